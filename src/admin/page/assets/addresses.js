// Where versions answer, and how well; and what flags do to the split.

import { h, hide, paint, panel, table, version } from "./dom.js";
import { count, span } from "./format.js";

const STATES = { up: ["good", "✓ up"], ejected: ["bad", "✕ ejected"], unhealthy: ["bad", "✕ unhealthy"] };

/** Most addresses that are shown unasked, those that are not up before all others. */
const FEW = 12;

export function addresses(page) {
  const all = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => { whole = true; hide(all, true); redraw(); } }, "Show all");
  const { node, body } = panel("Addresses", "loose", all);
  let whole = false;
  let known = [];

  function redraw() {
    const up = known.filter(({ state }) => state === "up").length;
    const first = known.toSorted((a, b) => (a.state === "up") - (b.state === "up")).slice(0, FEW);
    const shown = whole || known.length <= FEW ? known : known.filter((address) => first.includes(address));
    hide(all, shown.length === known.length);
    paint(body, [shown, known.length, up], () => [rows(shown),
      shown.length < known.length ? h("p", { class: "sub" }, `${count(up)} of ${count(known.length)} addresses are up; ${count(shown.length)} are shown.`) : null]);
  }

  return {
    node,
    update({ service }) {
      known = service.versions.flatMap((of, index) => of.addresses.map((address) =>
        ({ index, name: of.name, ...address, ejectedSeconds: address.ejectedSeconds && Math.round(address.ejectedSeconds) })));
      redraw();
    },
  };
}

function rows(addresses) {
  return table("Addresses", ["Version", "Address", "State", "Why"], addresses.map((address) => {
    const [kind, text] = STATES[address.state] ?? ["", address.state];
    const left = address.ejectedSeconds ? `back in ${span(address.ejectedSeconds)}` : "";
    return [version(address.name, address.index), h("code", {}, address.address), h("span", { class: `badge ${kind}` }, text),
      ["wide soft", [address.reason, left].filter(Boolean).join("; ")]];
  }));
}

const SAYS = { always: "for every request", byRequest: "by its rule", nothing: "nothing now" };

/** What flags do to the split of a service. */
export function steering() {
  const { node, body } = panel("Flags that steer", "loose");
  return {
    node,
    update({ service }) {
      const steering = service.steering;
      node.hidden = !steering;
      if (!steering) return;
      paint(body, steering, () => {
        const rows = [];
        const from = steering.versionFrom;
        if (from) rows.push([h("b", {}, from.flag), "names the version", SAYS[from.says] ?? from.says, from.version ?? ""]);
        for (const kill of steering.killSwitches ?? []) rows.push([h("b", {}, kill.flag), `takes ${kill.version} away`, SAYS[kill.says] ?? kill.says, kill.on ? "on" : ""]);
        if (steering.measureBy) rows.push([h("b", {}, steering.measureBy), "measures requests by variant", "", ""]);
        return table("Flags that steer", ["Flag", "What it does", "For whom", "Now"], rows);
      });
    },
  };
}
