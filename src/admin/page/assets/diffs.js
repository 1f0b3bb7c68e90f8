// Where copies of requests were answered otherwise than the requests themselves.

import { get, of } from "./api.js";
import { read } from "./dialog.js";
import { h, paint, panel, table } from "./dom.js";
import { clock, count, percent } from "./format.js";

const EVERY = 3000;
const KINDS = { different: ["bad", "✕ different"], undecided: ["open", "… undecided"], noise: ["", "≈ noise"], same: ["good", "✓ same"] };

/** Differences by path, for services whose requests are copied. */
export function diffs(page) {
  const { node, body } = panel("Shadow diffs", "");
  node.hidden = true;
  let asked = 0;

  async function load() {
    if (Date.now() - asked < EVERY) return;
    asked = Date.now();
    try {
      const answer = await get(of(page.name, "/diffs"));
      const routes = Array.isArray(answer) ? answer : answer.routes ?? [];
      node.hidden = false;
      paint(body, routes, () => (routes.length === 0 ? h("p", { class: "none" }, "Nothing has been compared yet.") : routes.map(route)));
    } catch {
      // The stream says that serin is gone.
    }
  }

  return { node, update: ({ service }) => { if (service.shadow) load(); else node.hidden = true; } };
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
