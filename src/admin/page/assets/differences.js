// The page of a service's differences: where two versions answer the same requests otherwise, path by path.

import { ask, of } from "./api.js";
import { Found, badge, dropped, told } from "./diffs.js";
import { form, read, reason, tell } from "./dialog.js";
import { choice, clamp, h, paint, panel, permit, say, table } from "./dom.js";
import { clock, count, many, percent } from "./format.js";
import { missing, watch } from "./session.js";

/** What may be looked at, by what is made of it. */
const SHOWN = [["different", "That differ", ["different"]], ["open", "Undecided too", ["different", "undecided"]],
  ["all", "All, with noise", ["different", "undecided", "noise", "same"]]];

/** The page. */
export function differences(main, name) {
  let wanted = "open";
  let last = null;
  const search = h("input", { type: "search", placeholder: "Search paths", "aria-label": "Search paths", oninput: draw });
  const kinds = choice("Which paths", SHOWN, wanted, (chosen) => { wanted = chosen; draw(); });
  const reset = h("button", { type: "button", class: "grave", onclick: () => forget(name, found) }, "Begin anew…");
  const why = h("p", { class: "why", id: "diffs-why" });
  const since = h("p", { class: "sub" });
  const copies = panel("Copies", "");
  const { node, body } = panel("Paths", "", h("div", { class: "filters" }, kinds, search));
  const list = h("div");
  const more = h("div");
  body.append(since, list, more);
  main.replaceChildren(h("div", { class: "head" }, h("h1", {}, `Differences of ${name}`), h("div", { class: "acts" }, reset)), why,
    h("div", { class: "grid" }, copies.node, node));
  const found = new Found(name, (found) => { last = found; draw(); });

  function draw() {
    reset.hidden = !last;
    if (!last) return paint(list, null, () => h("p", { class: "none" }, "Answers of this service are not compared: it has no `shadow` with a `diff`."));
    const verdicts = SHOWN.find(([kind]) => kind === wanted)[2];
    const text = search.value.toLowerCase();
    say(since, last.since ? `Compared since ${clock(last.since)} with the answers of ${last.to}. A path differs once that is clearly more than old differs from itself.` : "");
    paint(list, [last.routes, wanted, text], () => last.routes.length === 0
      ? h("p", { class: "none" }, "Nothing has been compared yet.")
      : last.routes.map((of) => route(of, of.places.filter(({ verdict, place }) => verdicts.includes(verdict) && place.toLowerCase().includes(text)))));
    paint(more, last.dropped, () => dropped(last.dropped));
  }

  const stop = watch(() => {
    const lack = missing("operate");
    permit(reset, lack, "diffs-why");
    say(why, lack ?? "");
  });

  return {
    path: `/api/v1/live?service=${encodeURIComponent(name)}`,
    title: `Differences of ${name}`,
    trail: [["/ "], [name, `#/service/${encodeURIComponent(name)}`], [" / differences"]],
    update({ service: { shadow } }) {
      copies.node.hidden = !shadow;
      if (shadow) paint(copies.body, shadow, () => told(shadow));
      found.load();
    },
    close: stop,
  };
}

async function forget(name, found) {
  const does = h("p", { class: "does" }, `All that was found by comparing answers of ${name} is forgotten, and comparing begins anew: for another build at the same address, say. `
    + "A gate of a rollout that goes by it has to wait until enough is compared again. Nobody's requests are touched.");
  const why = reason();
  const send = () => ask("DELETE", `${of(name, "/diffs")}?reason=${encodeURIComponent(why.value.trim())}`);
  if (!await form("Forget what was found?", "Begin anew", [does, h("label", {}, "Reason", why)], send, { grave: true })) return;
  tell(`Comparing answers of ${name} begins anew.`);
  found.load(true);
}

function route(of, places) {
  const left = of.places.length - places.length;
  const rows = places.map((place) => {
    const latest = place.samples.at(-1);
    return [
      ["path", h("code", {}, place.place)], badge(place.verdict), ["n", count(place.differed)],
      ["n", shares(place.rate)], ["n soft", shares(place.noise)],
      ["nowrap", Object.entries(place.changes).map(([change, number]) => h("div", {}, `${change} ${count(number)}`))],
      ["sample", latest && clamp(latest.old)], ["sample", latest && clamp(latest.new)],
      place.samples.length ? h("button", { type: "button", class: "quiet", "data-key": `${of.route} ${place.place}`,
        "aria-label": `${many(place.samples.length, "sample")} of ${place.place}`, onclick: () => samples(place) }, many(place.samples.length, "sample")) : "",
    ];
  });
  return h("div", { class: "part" },
    h("h3", {}, of.route, " ", badge(of.verdict)),
    h("p", { class: "sub" }, `${count(of.differed)} of ${many(of.compared, "compared answer")} differ somewhere; old from itself in ${count(of.noiseDiffered)} of ${count(of.noiseCompared)}.`
      + (of.bodiesLeftOut ? ` ${many(of.bodiesLeftOut, "answer")} without the body, which was too long.` : "")
      + (of.placesLeftOut ? ` ${many(of.placesLeftOut, "difference")} in further paths.` : "")),
    rows.length ? table(`Paths of ${of.route}`, ["Path", "Verdict", ["n", "Differ"], ["n", "Rate"], ["n", "Noise"], "How", "Old, last", "New, last", "All"], rows)
      : h("p", { class: "none" }, of.places.length ? `No such path among ${many(of.places.length, "path")} in which answers have differed.` : "No answer has differed."),
    rows.length && left ? h("p", { class: "sub" }, `${many(left, "other path is", "other paths are")} not shown.`) : null);
}

/** How often, and from where to where that may be. */
function shares({ estimate, low, high, n }) {
  return [percent(estimate), n > 0 ? h("div", { class: "soft small" }, `${percent(low)} to ${percent(high)}`) : null];
}

function samples(place) {
  const rows = place.samples.toReversed().map((sample) => [["nowrap", clock(sample.at)], sample.change, ["wide mono", sample.old], ["wide mono", sample.new]]);
  read(`Samples of ${place.place}`, { wide: true }, h("p", { class: "sub" }, "The latest, cut at 200 bytes, without what is to be redacted."),
    table("Samples", ["When", "How", "Old", "New"], rows));
}
