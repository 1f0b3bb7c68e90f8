// The record of changes: who, what, when and why.

import { get } from "./api.js";
import { read } from "./dialog.js";
import { clamp, h, paint, panel, say, table } from "./dom.js";
import { clock, many } from "./format.js";

const PAGE = 200;
/** Most weights that are told one by one. */
const FEW = 5;

/** What an entry says, in a few words. */
export function shortly(entry) {
  switch (entry.kind) {
    case "weights": return moved(entry);
    case "migration": return `${entry.from ? `${point(entry.from)} → ` : ""}${entry.to ? point(entry.to) : "none"}${entry.forced ? ", forced" : ""}`;
    case "files": return `${entry.result}${entry.problem ? `: ${entry.problem.split("\n")[0]}` : ""}`;
    case "flags": return `${entry.result}${entry.problem ? `: ${entry.problem.split("\n")[0]}` : ""}${entry.diff?.length ? `: ${entry.diff[0]}${entry.diff.length > 1 ? ` and ${entry.diff.length - 1} more` : ""}` : ""}`;
    case "event": return entry.event;
    case "approval": return `of ${entry.of}`;
    case "refusal": return entry.asked;
    case "note": return entry.note;
    case "started": return `serin ${entry.version}`;
    default: return "";
  }
}

const point = ({ stage, share }) => (share === "100%" ? stage : `${stage} for ${share}`);

/** Weights before and after; of many versions those that changed. */
function moved({ from, to }) {
  const names = Object.keys({ ...from, ...to });
  const changed = names.length <= FEW ? names : names.filter((name) => from?.[name] !== to?.[name]);
  const told = changed.length <= FEW ? changed : changed.slice(0, FEW - 1);
  const weights = (of) => told.filter((name) => of[name] !== undefined).map((name) => `${name} ${of[name]}`).join(" / ") || "none";
  const more = changed.length > told.length ? ` and ${many(changed.length - told.length, "more version")}` : "";
  return `${from ? `${weights(from)} → ` : ""}${to ? weights(to) : "no such service"}${more}`;
}

/** Everything of an entry. */
export function openEntry(entry) {
  read(`Ledger entry ${entry.number}`, { wide: true }, h("pre", { tabindex: "0" }, JSON.stringify(entry, null, 2)));
}

/** The entries of one service, or all, newest first; `told` hears of those that come in. */
export function ledger(service, told = () => {}) {
  const search = h("input", { type: "search", placeholder: "Search who, what, why", "aria-label": "Search the ledger", oninput: draw });
  const kind = h("select", { "aria-label": "Kind of entry", onchange: draw }, h("option", { value: "" }, "all kinds"));
  const { node, body } = panel("Ledger", "", h("div", { class: "filters" }, search, kind));
  const list = h("div");
  const about = h("p", { class: "sub" });
  const older = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => loadOlder() }, "Load older");
  body.append(list, h("div", { class: "acts" }, about, older));
  let entries = [];
  let seen = null;
  let loading = false;

  async function load(count) {
    if (loading || count === seen) return;
    loading = true;
    try {
      const query = new URLSearchParams({ limit: PAGE });
      if (service) query.set("service", service);
      // The first time the last there are; then what came after them.
      if (seen !== null && entries.length > 0) query.set("after", entries.at(-1).number);
      const page = await get(`/api/v1/ledger?${query}`);
      older.hidden = seen === null ? page.entries.length < PAGE : older.hidden;
      entries = entries.concat(page.entries);
      seen = page.next === null ? count : seen ?? -1;
      draw();
      told(entries);
    } catch {
      // The stream says that serin is gone; the next state asks again.
    } finally {
      loading = false;
    }
  }

  async function loadOlder() {
    const first = entries[0].number;
    const from = Math.max(0, first - PAGE - 1);
    const query = new URLSearchParams({ limit: PAGE, after: from });
    if (service) query.set("service", service);
    const page = await get(`/api/v1/ledger?${query}`);
    entries = page.entries.filter((entry) => entry.number < first).concat(entries);
    older.hidden = from === 0;
    draw();
    told(entries);
  }

  function draw() {
    const kinds = [...new Set(entries.map((entry) => entry.kind))].sort();
    paint(kind, kinds, () => [h("option", { value: "" }, "all kinds"), ...kinds.map((name) => h("option", { value: name, selected: name === kind.value }, name))]);
    const wanted = search.value.toLowerCase();
    const fits = (entry) => (kind.value === "" || entry.kind === kind.value)
      && (wanted === "" || JSON.stringify(entry).toLowerCase().includes(wanted));
    const found = entries.filter(fits).reverse();
    say(about, found.length === entries.length ? many(found.length, "entry", "entries") : `${found.length} of ${many(entries.length, "entry", "entries")}`);
    paint(list, [found.map((entry) => entry.number)], () => found.length === 0 ? h("p", { class: "none" }, "Nothing is written of this.") : rows(found));
  }

  function rows(found) {
    const heads = ["#", "When", "Kind", ...(service ? [] : ["Service"]), "Who", "What", "Why"];
    const cells = found.map((entry) => [
      h("button", { type: "button", class: "quiet", "data-key": `entry ${entry.number}`, "aria-label": `Entry ${entry.number}, all of it`, onclick: () => openEntry(entry) }, String(entry.number)),
      ["nowrap", clock(entry.time)], entry.kind, ...(service ? [] : [entry.service ?? ""]), ["nowrap", entry.actor], ["wide", clamp(shortly(entry))], ["wide", clamp(entry.reason)],
    ]);
    const shown = table("Entries of the ledger", heads, cells);
    shown.classList.add("ledger");
    return shown;
  }

  return { node, update: (state) => load(state.entries), entries: () => entries };
}
