// Faults that are put in on purpose: drills by hand, and rollback drills of rollouts.

import { facts, h, paint, panel, table } from "./dom.js";
import { clock, count, span } from "./format.js";

export function drills() {
  const { node, body } = panel("Drills", "loose");
  return {
    node,
    update({ service }) {
      const byHand = service.drills ?? [];
      const rollback = service.rollout?.drill;
      node.hidden = byHand.length === 0 && !rollback;
      paint(body, [byHand, rollback], () => [rollback && rolledBack(rollback), byHand.length ? faults(byHand) : null]);
    },
  };
}

const RESULTS = { passed: ["good", "✓ passed"], failed: ["bad", "✕ failed"], interrupted: ["", "– interrupted"] };

function rolledBack(drill) {
  const [kind, text] = drill.running ? ["open", "! under way"] : RESULTS[drill.result] ?? ["", drill.result];
  const known = [
    ["Does", `${drill.fault} to ${drill.share} of the new version's requests; ${count(drill.hurt)} hurt so far`],
    ["Withdrawn", drill.rollbackSeconds === undefined ? `not yet; ${span(drill.withinSeconds)} are allowed` : `after ${drill.rollbackSeconds.toFixed(1)} s; ${span(drill.withinSeconds)} are allowed`],
    ["Look at", drill.lookAt],
    ["Asked for by", drill.by],
  ];
  return h("div", {}, h("p", { class: "sentence" }, h("span", { class: `badge ${kind}` }, text), " ", drill.sentence),
    facts(known));
}

function faults(all) {
  return table("Faults in force", ["Fault", "Hurts", "Does", "Until", ["n", "Injected"]], all.map((fault) => [
    h("b", {}, fault.name), ["wide", `${fault.share} of ${fault.version}${fault.header ? ` with ${fault.header}` : ""}`],
    ["wide", fault.effects.join(", ")], ["nowrap", clock(fault.until)], ["n", count(fault.injected)],
  ]));
}
