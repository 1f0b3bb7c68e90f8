// Where versions answer, and how well; and what flags do to the split.

import { h, paint, panel, table, version } from "./dom.js";
import { span } from "./format.js";

const STATES = { up: ["good", "✓ up"], ejected: ["bad", "✕ ejected"], unhealthy: ["bad", "✕ unhealthy"] };

export function addresses(page) {
  const { node, body } = panel("Addresses", "loose");
  return {
    node,
    update({ service }) {
      const all = service.versions.flatMap((of, index) => of.addresses.map((address) => ({ index, name: of.name, ...address })));
      const told = all.map((address) => ({ ...address, ejectedSeconds: address.ejectedSeconds && Math.round(address.ejectedSeconds) }));
      paint(body, told, () => table("Addresses", ["Version", "Address", "State", "Why"], told.map((address) => {
        const [kind, text] = STATES[address.state] ?? ["", address.state];
        const left = address.ejectedSeconds ? `back in ${span(address.ejectedSeconds)}` : "";
        return [version(address.name, address.index), h("code", {}, address.address), h("span", { class: `badge ${kind}` }, text),
          ["wide soft", [address.reason, left].filter(Boolean).join("; ")]];
      })));
    },
  };
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
