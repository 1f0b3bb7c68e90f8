// How long requests took, over time.

import { Chart, shade } from "./chart.js";
import { choice, panel } from "./dom.js";
import { duration } from "./format.js";

export const QUANTILES = ["p50", "p90", "p99", "p99.9"];

/** The latency of every version over time; the judge's interval of each as a band over the time it is of. */
export function latency(page) {
  const pick = choice("Quantile", QUANTILES.map((q) => [q, q]), page.quantile, (quantile) => page.chooseQuantile(quantile));
  const { node, body } = panel("Latency", "w7", pick);
  const chart = new Chart("Latency over time", 248, {
    format: duration, log: true, range: (_, least, most) => [(least ?? 0.001) / 1.4, (most ?? 1) * 1.4], key: "time", draw: (plot) => bands(plot, page), title: () => `${page.quantile}, now`,
  });
  body.append(chart.node);
  return {
    node,
    update() {
      const shown = page.store.shown();
      const series = page.series;
      chart.show(series, [shown.at, ...series.map(({ name }) => shown.of(name, page.quantile))]);
    },
    close: () => chart.close(),
  };
}

function bands(plot, page) {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  plot.ctx.beginPath();
  const begin = Math.max(plot.valToPos(page.at / 1000 - page.windowSeconds(), "x", true), left);
  plot.ctx.rect(begin, top, left + width - begin, height);
  plot.ctx.clip();
  for (const { index, low, high } of page.intervals()) {
    shade(plot, 1, [within(plot, low), high === null ? top : within(plot, high)], index, high === null);
  }
  plot.ctx.restore();
}

/** The place of a value of y, inside the chart. */
function within(plot, value) {
  const { top, height } = plot.bbox;
  const at = value > 0 ? plot.valToPos(value, "y", true) : top + height;
  return Math.min(Math.max(at, top), top + height);
}
