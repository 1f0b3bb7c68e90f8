// Requests and failures, over time.

import { Chart } from "./chart.js";
import { panel } from "./dom.js";
import { percent, rate } from "./format.js";

const fromZero = (least) => (_, __, most) => [0, Math.max(most ?? 0, least) * 1.08];

/** Requests a second, and the share of them that failed. */
export function traffic(page) {
  const requests = panel("Requests per second", "w6");
  const failures = panel("Failures", "w6");
  const rates = new Chart("Requests per second", 150, { format: rate, key: "time", range: fromZero(1) });
  const failed = new Chart("Share of requests that failed", 150, { format: percent, key: "time", range: fromZero(0.001) });
  requests.body.append(rates.node);
  failures.body.append(failed.node);
  return {
    nodes: [requests.node, failures.node],
    update() {
      const shown = page.store.shown();
      const series = page.series;
      const perSecond = (name) => shown.of(name, "requests").map((n, at) => (n === null ? null : n / shown.seconds[at]));
      const share = (name) => {
        const [all, bad] = [shown.of(name, "requests"), shown.of(name, "failures")];
        return all.map((n, at) => (n ? bad[at] / n : n === null ? null : 0));
      };
      rates.show(series, [shown.at, ...series.map(({ name }) => perSecond(name))]);
      failed.show(series, [shown.at, ...series.map(({ name }) => share(name))]);
    },
    close() {
      rates.close();
      failed.close();
    },
  };
}
