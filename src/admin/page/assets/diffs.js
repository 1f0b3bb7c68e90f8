// Copies of requests: what became of them, and on which routes they were answered otherwise than the requests themselves.

import { get, of } from "./api.js";
import { facts, h, paint, panel, table } from "./dom.js";
import { count, duration, percent, rate } from "./format.js";
import { badge as verdict } from "./verdict.js";

const EVERY = 3000;
/** Of this many times as long as an answer takes it is asked for once: thousands of paths are not looked at for nothing. */
const COST = 200;
const KINDS = { different: ["bad", "✕ different"], undecided: ["open", "… undecided"], noise: ["", "≈ noise"], same: ["good", "✓ same"] };

/** What to make of differences, as a badge. */
export const badge = (verdict) => h("span", { class: `badge ${KINDS[verdict]?.[0] ?? ""}` }, KINDS[verdict]?.[1] ?? verdict);

/** Asks what was found in the answers of a service, no more often than is of use. */
export class Found {
  constructor(name, told) {
    this.name = name;
    this.told = told;
    this.asked = 0;
    this.rest = EVERY;
  }

  async load(now = false) {
    if (!now && Date.now() - this.asked < this.rest) return;
    this.asked = Date.now();
    try {
      this.told(await get(of(this.name, "/diffs")));
    } catch (error) {
      // Copies need not be compared. Whatever else it is, the stream says it.
      if (error.status === 404) this.told(null);
    }
    this.rest = Math.max(EVERY, Math.min(COST * (Date.now() - this.asked), 10 * EVERY));
  }
}

/** The copies of a service's requests, and by route whether answers differ. */
export function diffs(page) {
  const { node, body } = panel("Shadow traffic", "loose");
  const copies = h("div");
  const compared = h("div");
  body.append(copies, compared);
  node.hidden = true;
  const found = new Found(page.name, (found) => paint(compared, found, () => found && routes(page.name, found)));
  return {
    node,
    update({ service: { shadow } }) {
      node.hidden = !shadow;
      if (!shadow) return;
      paint(copies, shadow, () => told(shadow));
      found.load();
    },
  };
}

/** What became of the copies, and how the dark version does. */
export function told(shadow) {
  return facts([
    ["Copies", `${percent(shadow.share)} of the requests, for ${shadow.to}: ${rate(shadow.copiesPerSecond)} a second, ${count(shadow.inFlight)} in flight`],
    ["p50, p99", `${duration(shadow.latency.p50)}, ${duration(shadow.latency.p99)}`],
    ["What became of them", Object.entries(shadow.results).map(([result, number]) => `${result} ${count(number)}`).join(", ")],
    ["Verdict", shadow.verdict && [verdict(shadow.verdict.verdict), ` ${shadow.verdict.reason}`]],
  ]);
}

/** How many answers were not compared that were to be. */
export function dropped(number) {
  return number > 0 ? h("p", { class: "sub" }, `${count(number)} answers that were to be compared were not, for want of room.`) : null;
}

function routes(name, found) {
  if (found.routes.length === 0) return h("p", { class: "none" }, "Nothing has been compared yet.");
  const rows = found.routes.map((of) => [h("b", {}, of.route), badge(of.verdict), ["n", count(of.compared)], ["n", count(of.differed)],
    ["n soft", `${count(of.noiseDiffered)} of ${count(of.noiseCompared)}`]]);
  return [
    table("Answers by route", ["Route", "Verdict", ["n", "Compared"], ["n", "Differ"], ["n", "Old from itself"]], rows),
    dropped(found.dropped),
    h("p", {}, h("a", { href: `#/service/${encodeURIComponent(name)}/diffs`, "data-key": "diffs" }, "Where they differ, path by path")),
  ];
}
