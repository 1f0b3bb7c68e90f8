// Where copies of requests were answered otherwise than the requests themselves.

import { get, of } from "./api.js";
import { read } from "./dialog.js";
import { h, paint, panel, table } from "./dom.js";
import { clock, count, duration, percent, rate } from "./format.js";
import { badge as verdict } from "./verdict.js";

const EVERY = 3000;
const KINDS = { different: ["bad", "✕ different"], undecided: ["open", "… undecided"], noise: ["", "≈ noise"], same: ["good", "✓ same"] };

/** Differences by path, for services whose requests are copied. */
export function diffs(page) {
  const { node, body } = panel("Shadow traffic", "loose");
  const copies = h("div");
  const compared = h("div");
  body.append(copies, compared);
  node.hidden = true;
  let asked = 0;
  let none = false;

  async function load() {
    if (none || Date.now() - asked < EVERY) return;
    asked = Date.now();
    try {
      const { routes, dropped } = await get(of(page.name, "/diffs"));
      paint(compared, [routes, dropped], () => [
        routes.length === 0 ? h("p", { class: "none" }, "Nothing has been compared yet.") : routes.map(route),
        dropped > 0 ? h("p", { class: "sub" }, `${count(dropped)} answers that were to be compared were not, for want of room.`) : null]);
    } catch (error) {
      // Copies need not be compared. Whatever else it is, the stream says it.
      none = error.status === 404;
    }
  }

  return {
    node,
    update({ service: { shadow } }) {
      node.hidden = !shadow;
      if (!shadow) return;
      paint(copies, shadow, () => told(shadow));
      load();
    },
  };
}

/** What became of the copies, and how the dark version does. */
function told(shadow) {
  const results = Object.entries(shadow.results).map(([result, number]) => `${result} ${count(number)}`).join(", ");
  const facts = [
    ["Copies", `${percent(shadow.share)} of the requests to ${shadow.to}: ${rate(shadow.copiesPerSecond)} a second, ${count(shadow.inFlight)} in flight`],
    ["p50, p99", `${duration(shadow.latency.p50)}, ${duration(shadow.latency.p99)}`],
    ["What became of them", results],
    ["Verdict", shadow.verdict && [verdict(shadow.verdict.verdict), ` ${shadow.verdict.reason}`]],
  ].filter(([, fact]) => fact);
  return h("dl", { class: "facts" }, facts.map(([name, fact]) => [h("dt", {}, name), h("dd", {}, fact)]));
}

const badge = (verdict) => h("span", { class: `badge ${KINDS[verdict]?.[0] ?? ""}` }, KINDS[verdict]?.[1] ?? verdict);

function route(of) {
  const rows = of.places.map((place) => [
    h("code", {}, place.place), badge(place.verdict), ["n", count(place.differed)], ["n", percent(place.rate.estimate)],
    ["n soft", percent(place.noise.estimate)], ["nowrap", Object.entries(place.changes).map(([change, number]) => `${change} ${count(number)}`).join(", ")],
    place.samples.length ? h("button", { type: "button", class: "quiet", onclick: () => samples(place) }, `${place.samples.length} samples`) : "",
  ]);
  return h("div", {},
    h("p", {}, h("b", {}, of.route), " ", badge(of.verdict), h("span", { class: "soft" }, ` ${count(of.differed)} of ${count(of.compared)} compared answers differ; old from itself ${count(of.noiseDiffered)} of ${count(of.noiseCompared)}`)),
    rows.length ? table(`Differences of ${of.route}`, ["Path", "Verdict", ["n", "Differ"], ["n", "Rate"], ["n", "Noise"], "How", "Samples"], rows) : null);
}

function samples(place) {
  read(`Samples of ${place.place}`, table("Samples", ["When", "How", "Old", "New"], place.samples.map((sample) => [
    ["nowrap", clock(sample.at)], sample.change, ["wide mono", sample.old], ["wide mono", sample.new]])));
}
