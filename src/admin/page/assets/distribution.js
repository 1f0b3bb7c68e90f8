// How long requests took, all of them.

/* global uPlot */
import { get, of } from "./api.js";
import { Chart, faint, shade, versionColour } from "./chart.js";
import { choice, h, panel, say } from "./dom.js";
import { count, duration, percent, span } from "./format.js";

/** Buckets that are drawn as one: eight to the factor of two. */
const TOGETHER = 4;
const EVERY = 2000;
/** Most versions whose requests are told one by one. */
const FEW = 6;

/** The distribution of every version, one over the other, on a logarithmic axis; the judge's intervals as bands. */
export function distribution(page) {
  let window = "step";
  let asked = 0;
  let data = null;
  const about = h("p", { class: "sub" });
  const pick = choice("Which requests", [["step", "Since last change"], ["recent", "10 s"], ["total", "All"]], window, (chosen) => {
    window = chosen;
    asked = 0;
    load();
  });
  const { node, body } = panel("Distribution", "w5", pick);
  const chart = new Chart("Distribution of latency", 212, {
    format: percent, formatX: duration, logX: true, fill: true, draw: (plot) => bands(plot, page),
    range: (_, __, most) => [0, Math.max(most, 0.01) * 1.05], paths: () => uPlot.paths.stepped({ align: -1 }),
    title: () => "share of requests by latency",
  });
  body.append(chart.node, about);

  async function load() {
    if (Date.now() - asked < EVERY) return;
    asked = Date.now();
    try {
      data = await get(of(page.name, `/distribution?window=${window}`));
    } catch {
      return; // The stream says that serin is gone.
    }
    draw();
  }

  function draw() {
    const versions = data.versions.map((version, index) => ({ ...version, index }))
      .filter(({ name, count: number }) => number > 0 && page.series.some((series) => series.name === name));
    const edges = new Set();
    const shares = versions.map((version) => {
      const grouped = new Map();
      version.counts.forEach((number, at) => {
        const group = Math.floor((version.first + at - 1) / TOGETHER);
        grouped.set(group, (grouped.get(group) ?? 0) + number / version.count);
      });
      for (const group of grouped.keys()) [group - 1, group, group + 1].forEach((edge) => edges.add(edge));
      return grouped;
    });
    const groups = [...edges].sort((a, b) => a - b);
    const upper = groups.map((group) => 2 ** (((group + 1) * TOGETHER) / 32));
    chart.show(versions.map(({ name, index }) => ({ name, index })),
      [upper, ...shares.map((grouped) => groups.map((group) => grouped.get(group) ?? 0))]);
    const counts = data.versions.length <= FEW ? data.versions.map((version) => `${version.name} ${count(version.count)}`).join(", ")
      : `${count(data.versions.reduce((sum, version) => sum + version.count, 0))}`;
    const shaded = page.intervals().length ? `; shaded: where the judge holds ${page.quantile} to be` : "";
    say(about, `${counts} requests in ${span(data.seconds)}${shaded}.`);
  }

  return { node, update: load, close: () => chart.close(), redraw: () => data && draw() };
}

function bands(plot, page) {
  const { left, top, width, height } = plot.bbox;
  const at = (value) => Math.min(Math.max(plot.valToPos(value, "x", true), left), left + width);
  for (const { index, low, high, estimate } of page.intervals()) {
    const from = low > 0 ? at(low) : left;
    shade(plot, 0, [from, high === null ? left + width : at(high)], index, high === null);
    if (!estimate) continue;
    plot.ctx.fillStyle = faint(versionColour(index), 0.7);
    plot.ctx.fillRect(at(estimate), top, 1.5 * devicePixelRatio, height);
  }
}
