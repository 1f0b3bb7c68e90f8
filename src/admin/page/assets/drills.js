// Faults that are put in on purpose.

import { h, paint, panel, table } from "./dom.js";
import { clock, count } from "./format.js";

export function drills() {
  const { node, body } = panel("Drills under way", "loose");
  return {
    node,
    update({ service }) {
      const all = service.drills ?? [];
      node.hidden = all.length === 0;
      paint(body, all, () => table("Drills", ["Drill", "Hurts", "Does", "Until", ["n", "Injected"]], all.map((drill) => [
        h("b", {}, drill.name), ["wide", `${drill.share} of ${drill.version}${drill.header ? ` with ${drill.header}` : ""}`],
        ["wide", drill.effects.join(", ")], ["nowrap", clock(drill.until)], ["n", count(drill.injected)],
      ])));
    },
  };
}
