// What the judge says, in a sentence and in a table.

import { h, paint, panel, s, table, version } from "./dom.js";
import { count, duration, percent, span } from "./format.js";

const KINDS = { healthy: ["good", "✓ healthy"], regressed: ["bad", "✕ regressed"], inconclusive: ["open", "… inconclusive"] };

/** A verdict as a badge. */
export function badge(verdict) {
  const [kind, text] = KINDS[verdict] ?? ["", verdict];
  return h("span", { class: `badge ${kind}` }, text);
}

/** How the newest version compares with the oldest one. */
export function verdict(page) {
  const mark = h("span");
  const { node, body } = panel("Verdict", "loose", mark);
  return {
    node,
    update({ service }) {
      node.hidden = !service.verdict;
      if (service.verdict) paint(mark, service.verdict.verdict, () => badge(service.verdict.verdict));
      const place = (name) => Math.max(0, page.versions.indexOf(name));
      if (service.verdict) paint(body, [service.verdict, page.versions], () => judged(service.verdict, place, "the weights last changed"));
    },
  };
}

/** A verdict whole: its sentence, and a table by metric where both were asked; `place` gives the colour of a name. */
export function judged(verdict, place, since) {
  const [old, now] = [verdict.from, verdict.to].map((name) => version(name, place(name)));
  const rows = verdict.metrics.map((metric) => {
    const value = valued(metric);
    return [metric.metric, ["n", known(metric.old, value)], ["n", known(metric.new, value)],
      whiskers(metric, place(verdict.from), place(verdict.to)), badge(metric.verdict)];
  });
  const counts = ["old", "new"].map((arm) => verdict.metrics[0]?.[arm].n ?? 0);
  const sentence = h("p", { class: "sentence" }, `${verdict.reason}.`);
  if (!["old", "new"].every((arm) => verdict.metrics.some((metric) => metric[arm].n > 0))) return [sentence];
  return [
    sentence,
    h("p", { class: "sub" }, `${count(counts[0])} and ${count(counts[1])} requests in ${span(verdict.windowSeconds)} since ${since}.`),
    table(`${verdict.to} against ${verdict.from}, by metric`, ["Metric", ["n", old], ["n", now], "Intervals", "Verdict"], rows),
    h("p", { class: "sub" }, `What could still be: ${verdict.metrics.map((metric) => metric.couldHide).join("; ")}.`),
  ];
}

/** How a metric's values are written. */
export const valued = (metric) => (metric.unit === "share" ? percent : duration);

/** An estimate, and from where to where it may be. */
export function known({ estimate, low, high }, value) {
  return [h("b", {}, value(estimate)), h("div", { class: "soft small" }, `${value(low)} to ${high === null ? "?" : value(high)}`)];
}

/** Both intervals, one above the other, on one logarithmic scale. */
function whiskers(metric, old, now) {
  const arms = [[metric.old, old, 8], [metric.new, now, 19]].filter(([{ n }]) => n > 0);
  const ends = arms.flatMap(([{ low, high }]) => [low, high]).filter((value) => value !== null && value > 0);
  if (ends.length === 0) return "";
  const [least, most] = [Math.min(...ends) * 0.95, Math.max(...ends) * 1.05];
  const x = (value) => 4 + (112 * Math.log(Math.min(Math.max(value, least), most) / least)) / Math.log(most / least);
  const line = ({ low, high, estimate }, index, y) => {
    const bar = s("line", { x1: x(low || least), x2: x(high ?? most), y1: y, y2: y, "stroke-width": 3, "stroke-linecap": "round", class: `c${index % 6}` });
    const dot = estimate > 0 ? s("circle", { cx: x(estimate), cy: y, r: 4, class: `c${index % 6}` }) : null;
    bar.style.stroke = "var(--c)";
    if (dot) dot.style.fill = "var(--c)";
    return [bar, dot];
  };
  return s("svg", { width: 120, height: 26, viewBox: "0 0 120 26", "aria-hidden": "true" }, arms.map((arm) => line(...arm)));
}
