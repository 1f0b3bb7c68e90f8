// An experiment: how requests with one variant of a flag do against those with another.

import { h, panel, paint, table, version } from "./dom.js";
import { count, span } from "./format.js";
import { badge, judged, known, valued } from "./verdict.js";

/** The verdict on every variant, for services that are measured by a flag. */
export function experiment() {
  const mark = h("span");
  const { node, body } = panel("Experiment", "loose", mark);
  node.hidden = true;
  return {
    node,
    update({ service: { experiment } }) {
      node.hidden = !experiment;
      if (!experiment) return;
      paint(mark, worst(experiment), () => worst(experiment) && badge(worst(experiment)));
      paint(body, experiment, () => shown(experiment));
    },
  };
}

/** The worst verdict on a variant; nothing where none is judged. */
export function worst({ variants }) {
  return ["regressed", "inconclusive", "healthy"].find((verdict) => variants.some((variant) => variant.verdict === verdict));
}

function shown({ flag, baseline, windowSeconds, variants, problem }) {
  if (problem) return h("p", { class: "notice" }, `Nothing is compared: ${problem}.`);
  const place = (name) => variants.findIndex(({ to }) => to === name) + 1;
  const about = h("p", { class: "sub" }, "Requests by the variant of ", h("b", {}, flag), `, in ${span(windowSeconds)} since that flag last changed; compared with `, h("b", {}, baseline), ".");
  if (variants.length === 0) return [about, h("p", { class: "none" }, "The flag has no other variant.")];
  return [about, arms(baseline, variants, place), variants.map((verdict) => h("div", { class: "part" },
    h("h3", {}, version(verdict.to, place(verdict.to)), " ", badge(verdict.verdict)), judged(verdict, place, "then")))];
}

/** All variants side by side: failures and latency, and from where to where each may be. */
function arms(baseline, variants, place) {
  const metrics = variants[0].metrics;
  const row = (name, side, { metrics, verdict }) => [
    h("b", {}, version(name, place(name))), ["n", count(metrics[0]?.[side].n)],
    ...metrics.map((metric) => ["n", known(metric[side], valued(metric))]), side === "old" ? h("span", { class: "soft" }, "compared with") : badge(verdict),
  ];
  return table("Variants", ["Variant", ["n", "Requests"], ...metrics.map((metric) => ["n", metric.metric]), "Verdict"],
    [row(baseline, "old", variants[0]), ...variants.map((verdict) => row(verdict.to, "new", verdict))]);
}
