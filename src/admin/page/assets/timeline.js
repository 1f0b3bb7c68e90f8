// Intended and actual shares, and every change with its reason.

import { Chart } from "./chart.js";
import { h, paint, panel } from "./dom.js";
import { clock, percent } from "./format.js";
import { shortly } from "./ledger.js";

/** Rows that an actual share is taken over: single seconds say little of small shares. */
const SMOOTH = 10;

/** Of each row the sum of the last few. */
function smoothed(list) {
  let sum = 0;
  return list.map((value, at) => (sum += (value ?? 0) - (list[at - SMOOTH] ?? 0)));
}

/** The shares over time, with a mark for each change of weights. */
export function timeline(page) {
  const { node, body } = panel("Traffic share, intended and actual", "");
  const marks = h("div", { class: "marks" });
  const tip = h("div", { class: "tip", hidden: true });
  const chart = new Chart("Shares over time", 170, {
    format: percent, key: "time", range: (_, __, most) => [0, most > 0.4 ? 1 : Math.max(most, 0.01) * 1.2], after: (drawn) => place(drawn.plot),
  });
  chart.stage.append(marks, tip);
  const note = h("p", { class: "sub" }, "Strong: intended. Thin: what was answered. ◆ marks a change of weights; hover it, or reach it by Tab, for who and why.");
  body.append(chart.node, note);
  let plotted = null;

  function place(plot) {
    plotted = plot;
    const { min, max } = plot.scales.x;
    const seen = page.changes().filter((entry) => Date.parse(entry.time) / 1000 >= min && Date.parse(entry.time) / 1000 <= max);
    paint(marks, [seen.map((entry) => entry.number)], () => seen.map((entry) => mark(entry)));
    seen.forEach((entry, index) => {
      marks.children[index].style.left = `${plot.valToPos(Date.parse(entry.time) / 1000, "x") + plot.bbox.left / devicePixelRatio}px`;
    });
  }

  function mark(entry) {
    const words = `${clock(entry.time)}: ${shortly(entry)}, by ${entry.actor}${entry.reason ? `: ${entry.reason}` : ""}`;
    const show = (event) => {
      tip.replaceChildren(h("b", {}, shortly(entry)), h("div", {}, entry.reason || "No reason was given."),
        h("div", { class: "soft" }, `${clock(entry.time)} · ${entry.actor} · ledger ${entry.number}`));
      tip.hidden = false;
      const left = Number.parseFloat(event.currentTarget.style.left);
      tip.style.left = `${Math.max(0, Math.min(left - 20, chart.host.clientWidth - tip.offsetWidth))}px`;
    };
    const hide = () => { tip.hidden = true; };
    return h("button", { type: "button", class: "mark", "aria-label": words, onmouseenter: show, onfocus: show, onmouseleave: hide, onblur: hide, onclick: () => page.openEntry(entry) });
  }

  return {
    node,
    update() {
      const shown = page.store.shown();
      const names = page.series;
      const summed = (name) => smoothed(shown.of(name, "requests"));
      const all = page.versions.map(summed).reduce((total, list) => total.map((sum, at) => sum + list[at]), shown.at.map(() => 0));
      const actual = names.map(({ name }) => summed(name).map((sum, at) => (all[at] === 0 ? null : sum / all[at])));
      const series = [...names.map((series) => ({ ...series, step: true, width: 2.2 })),
        ...names.map(({ name, index }) => ({ name: `${name}, actual`, index, width: 1, dash: [], alpha: 0.75, quiet: true }))];
      chart.show(series, [shown.at, ...names.map(({ name }) => shown.of(name, "share")), ...actual]);
    },
    marksChanged: () => plotted && place(plotted),
    close: () => chart.close(),
  };
}
