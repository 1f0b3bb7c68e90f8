// Flags, and when each last changed.

import { get } from "./api.js";
import { h, paint, panel, say, table } from "./dom.js";
import { clock, count } from "./format.js";

const EVERY = 5000;

/** The flags in force; `entries` gives the ledger's, in which their changes are. */
export function flags(entries) {
  const search = h("input", { type: "search", placeholder: "Search keys", "aria-label": "Search flags", oninput: () => load(true) });
  const { node, body } = panel("Flags", "", h("div", { class: "filters" }, search));
  const list = h("div");
  const about = h("p", { class: "sub" });
  body.append(list, about);
  node.hidden = true;
  let asked = 0;
  let last = null;

  async function load(now) {
    if (!now && Date.now() - asked < EVERY) return;
    asked = Date.now();
    const wanted = search.value;
    try {
      const found = await get(`/api/v1/flags?search=${encodeURIComponent(wanted)}`);
      if (wanted === search.value) last = found;
    } catch {
      return; // The stream says that serin is gone.
    }
    draw();
  }

  function draw() {
    node.hidden = last.total === 0;
    say(about, last.flags.length === last.total ? "" : `${count(last.flags.length)} of ${count(last.total)}`);
    const changes = entries().filter((entry) => entry.kind === "flags");
    const rows = last.flags.map((flag) => {
      const change = changes.findLast((entry) => entry.diff?.some((line) => line.startsWith(`${flag.key}:`) || line.startsWith(`${flag.key} `)));
      const said = change?.diff.filter((line) => line.startsWith(flag.key)).map((line) => line.slice(flag.key.length).replace(/^:? /, "")).join("; ");
      return [
        h("b", {}, flag.key), state(flag), flag.defaultVariant ?? "–", flag.hasRule ? "rule" : "",
        ["wide", flag.evaluations.map(({ variant, count: number }) => `${variant || "none"} ${count(number)}`).join(", ")],
        ["wide", change ? `${said} (${clock(change.time)}, ${change.actor})` : ""],
      ];
    });
    paint(list, rows.map((row, index) => [last.flags[index], row[5]]), () => table("Flags", ["Flag", "State", "Default", "Targeting", "Evaluations by variant", "Last change"], rows));
  }

  return { node, update: () => load(false), changed: () => last && draw() };
}

function state(flag) {
  if (flag.broken) return h("span", { class: "badge bad", title: flag.broken }, `✕ broken: ${flag.broken}`);
  return flag.enabled ? h("span", { class: "badge good" }, "✓ on") : h("span", { class: "badge" }, "– disabled");
}
