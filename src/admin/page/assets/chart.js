// uPlot as it is used here: the page's colours, a legend that tells what is under the cursor, and the page's width.

/* global uPlot */
import { h, style, version } from "./dom.js";
import { tick } from "./format.js";

const DASHES = [[], [7, 4], [2, 3]];
const charts = new Set();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.build()));

/** A colour of the page. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const versionColour = (index) => colour(`v${index % 6}`);

/** A colour as one can see through. */
export function faint(value, opacity) {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(value.slice(at, at + 2), 16));
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}

const two = (number) => String(number).padStart(2, "0");

function times(_, splits, __, ___, step) {
  return splits.map((at) => {
    const date = new Date(at * 1000);
    const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return step < 60 ? `${minutes}:${two(date.getSeconds())}` : minutes;
  });
}

export class Chart {
  /**
   * `format` writes values of y, `formatX` those of x (without it, x is the time), `log` and `logX` say which axes are
   * logarithmic, `range` gives the ends of y, `draw(plot)` draws below the lines, `paths` how lines are drawn, `fill`
   * whether what is below them is filled, `key` joins the cursors of charts.
   */
  constructor(label, height, options) {
    this.options = options;
    this.height = height;
    this.host = h("div", { class: "plot", role: "img", "aria-label": label });
    this.host.style.height = `${height}px`;
    this.label = label;
    this.legend = h("div", { class: "legend", "aria-hidden": "true" });
    this.nothing = h("p", { class: "nothing", hidden: true }, "No requests in this time.");
    /** What is drawn, and what lies over it: no part of the picture, as it may be reached by key. */
    this.stage = h("div", { class: "stage" }, this.host, this.nothing);
    this.node = h("div", {}, this.legend, this.stage);
    this.series = [];
    this.data = [[]];
    this.plot = null;
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.host);
    charts.add(this);
  }

  /** Shows this: times or values of x, then for each of `series` (`{ name, index }`) as many of y. */
  show(series, data) {
    const same = JSON.stringify(series) === JSON.stringify(this.series);
    this.series = series;
    this.data = data;
    // Of an axis of time without a point nothing is known yet.
    const waits = data[0].length === 0 && !this.options.formatX;
    this.nothing.hidden = waits || data.slice(1).some((list) => list.some((value) => value !== null));
    if (same && this.plot) this.plot.setData(data);
    else this.build();
    this.tell();
  }

  build() {
    this.plot?.destroy();
    this.plot = null;
    const width = this.host.clientWidth;
    if (width === 0 || this.series.length === 0) return;
    const { format, formatX, log, logX, range, draw, paths, fill, key } = this.options;
    const axis = { stroke: colour("ink-soft"), font: "12px system-ui, sans-serif", ticks: { show: false },
      grid: { stroke: colour("line-soft"), width: 1 } };
    // Of a logarithmic axis: 1, 2, 5, 10, 20 …
    const few = (_, splits) => splits.map((value) => (/^[125]\.000/.test(value?.toExponential(3)) ? value : null));
    const written = (write) => (_, splits) => splits.map((value) => (value === null ? "" : tick(write(value))));
    const lines = this.series.map(({ name, index, width: thick = 1.6, dash, step, alpha }) => ({
      label: name, stroke: alpha ? faint(versionColour(index), alpha) : versionColour(index), width: thick,
      dash: dash ?? DASHES[style(index)], spanGaps: false, points: { show: false },
      paths: step ? uPlot.paths.stepped({ align: 1 }) : paths?.(),
      fill: fill ? faint(versionColour(index), 0.1) : undefined,
    }));
    this.plot = new uPlot({
      width, height: this.height, padding: [8, 26, 0, 0], legend: { show: false },
      cursor: { drag: { x: false, y: false, setScale: false }, sync: key ? { key } : undefined, points: { size: 6 } },
      scales: { x: { time: !formatX, distr: logX ? 3 : 1, range: logX ? undefined : (_, low, high) => [low, high] },
        y: { distr: log ? 3 : 1, range } },
      axes: [{ ...axis, size: 30, space: 80, values: formatX ? written(formatX) : times }, { ...axis, size: 62, values: written(format), filter: log ? few : undefined }],
      series: [{}, ...lines],
      hooks: { drawClear: [(plot) => draw?.(plot)], draw: [() => this.options.after?.(this)], setCursor: [() => this.tell()] },
    }, this.data, this.host);
    this.tell();
  }

  resize() {
    const width = this.host.clientWidth;
    if (!this.plot) this.build();
    else if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  /** What is under the cursor, or the last there is. */
  tell() {
    const at = this.plot?.cursor.idx ?? null;
    const { format, formatX, title } = this.options;
    const value = (index) => {
      const list = this.data[index + 1] ?? [];
      return at === null ? list.findLast((known) => known !== null) : list[at];
    };
    const shown = this.series.map((series, index) => ({ series, value: value(index) })).filter(({ series }) => !series.quiet);
    const still = at === null && formatX;
    const texts = shown.map(({ series, value }) => [series.name, value === undefined || value === null ? "–" : format(value)]);
    const when = at === null ? title?.() : formatX ? formatX(this.data[0][at]) : times(null, [this.data[0][at]], 0, 0, 1)[0];
    this.legend.replaceChildren(...shown.map(({ series }, index) =>
      h("span", {}, version(series.name, series.index), " ", still ? "" : h("b", {}, texts[index][1]))), ...(when ? [h("span", {}, when)] : []));
    this.host.setAttribute("aria-label", `${this.label}: ${texts.map((pair) => (still ? pair[0] : pair.join(" "))).join(", ")}`);
  }

  close() {
    charts.delete(this);
    this.sizes.disconnect();
    this.plot?.destroy();
  }
}

/**
 * Shades from one place to another along an axis, 0 for x and 1 for y, for an interval of a version; one without an end
 * fades.
 */
export function shade(plot, axis, [from, to], index, open) {
  const { left, top, width, height } = plot.bbox;
  const colour = versionColour(index);
  const ends = axis === 0 ? [from, 0, to, 0] : [0, from, 0, to];
  const gradient = plot.ctx.createLinearGradient(...ends);
  gradient.addColorStop(0, faint(colour, 0.16));
  gradient.addColorStop(1, faint(colour, open ? 0 : 0.16));
  plot.ctx.fillStyle = gradient;
  const [low, size] = [Math.min(from, to), Math.max(Math.abs(to - from), 1)];
  if (axis === 0) plot.ctx.fillRect(low, top, size, height);
  else plot.ctx.fillRect(left, low, width, size);
}

/** A small line without axes. */
export function spark(canvas, values, index) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  if (width === 0) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const most = Math.max(...values, 1e-9);
  context.strokeStyle = versionColour(index);
  context.lineWidth = 1.5 * scale;
  context.setLineDash(DASHES[style(index)].map((length) => (length * scale) / 2));
  context.beginPath();
  values.forEach((value, at) => {
    const x = width - ((values.length - 1 - at) / 59) * width;
    context.lineTo(x, height - 2 * scale - (value / most) * (height - 4 * scale));
  });
  context.stroke();
}
