// Where a rollout stands, and why.

import { orders } from "./actions.js";
import { clamp, facts, h, hide, paint, panel, permit, say } from "./dom.js";
import { clock, count, span } from "./format.js";
import { missing } from "./session.js";

const STATES = {
  pending: ["", "not started"], replacing: ["open", "… replacing"], baking: ["open", "… baking"],
  awaitingApproval: ["open", "! waits for approval"], drilling: ["open", "! drill"], paused: ["open", "❙❙ paused"], validating: ["open", "… validating"],
  rolledBack: ["bad", "✕ rolled back"], aborted: ["bad", "✕ aborted"], completed: ["good", "✓ completed"],
};

/** A rollout's state as a badge. */
export function state(rollout) {
  const [kind, text] = STATES[rollout.state] ?? ["", rollout.state];
  return h("span", { class: `badge ${kind}` }, text);
}

const OVER = ["pending", "rolledBack", "aborted", "completed"];
const ACTIONS = [
  ["start", "Start", (at) => OVER.includes(at)],
  ["approve", "Approve", (at) => at !== "completed"],
  ["pause", "Pause", (at) => at === "baking" || at === "awaitingApproval"],
  ["resume", "Resume", (at) => at === "paused"],
  ["promote", "Promote", (at) => ["baking", "paused"].includes(at)],
  ["abort", "Abort", (at) => !OVER.includes(at)],
];

/** The steps of a rollout, what it waits for, and what can be done with it. */
export function rollout(page) {
  const mark = h("span");
  const { node, body } = panel("Rollout", "loose", mark);
  const about = h("div");
  const why = h("p", { class: "why", id: "rollout-why" });
  const buttons = ACTIONS.map(([action, text, fits]) => {
    const button = h("button", { type: "button", class: action === "abort" ? "grave" : null, onclick: () => orders[action](page.name, page.last.service) }, text);
    return { action, button, fits };
  });
  body.append(about, h("div", { class: "acts" }, buttons.map(({ button }) => button)), why);

  function allow(rollout) {
    const reasons = new Set();
    for (const { action, button, fits } of buttons) {
      const lack = missing(action === "approve" ? "approve" : "operate");
      const needed = action !== "approve" || rollout.approvalsRequired > 0;
      hide(button, !needed || !fits(rollout.state));
      permit(button, lack, "rollout-why");
      if (lack && !button.hidden) reasons.add(lack);
    }
    say(why, [...reasons].join(" "));
  }

  return {
    node,
    update({ service }) {
      node.hidden = !service.rollout;
      if (!service.rollout) return;
      paint(mark, service.rollout.state, () => state(service.rollout));
      const { run, to } = service.rollout;
      const withdrawn = page.changes().findLast((entry) => entry.actor === "rollout" && entry.rollout === run && entry.to?.[to] === 0);
      paint(about, [service.rollout, withdrawn?.number], () => shown(service.rollout, withdrawn?.reason));
      allow(service.rollout);
    },
  };
}

/** `withdrawn` is why this run's version was withdrawn, where it was. */
function shown(rollout, withdrawn) {
  const now = rollout.step ?? (rollout.state === "completed" ? rollout.steps.length + 1 : 0);
  const steps = rollout.steps.map((step, index) => {
    const kind = index + 1 < now ? "past" : index + 1 === now ? "now" : null;
    const current = index + 1 === now ? { "aria-current": "step" } : {};
    return h("li", { class: kind, ...current }, h("b", {}, `${step.weight} %`), span(step.bakeSeconds), step.approval ? " · approval" : "");
  });
  const known = [
    ["Withdrawn", withdrawn],
    [withdrawn ? "Then" : "Why", rollout.reason === withdrawn ? null : rollout.reason && clamp(rollout.reason)],
    ["Waits for", rollout.waitingFor?.join("; ")],
    ["Held up by", rollout.blocked],
    ["Baked", rollout.bakedSeconds === undefined ? null : span(rollout.bakedSeconds)],
    ["Requests", rollout.requests && `${rollout.from} ${count(rollout.requests[0])}, ${rollout.to} ${count(rollout.requests[1])}`],
    ["Approvals", rollout.approvalsRequired > 0 ? `${rollout.approvals?.length ?? 0} of ${rollout.approvalsRequired}${rollout.approvals?.length ? `: ${rollout.approvals.join(", ")}` : ""}` : null],
    ["Validated", rollout.validated === undefined ? null : rollout.validated ? "the service is as before" : "the service is not yet as before"],
    ["Started by", rollout.startedBy && `${rollout.startedBy}, run ${rollout.run}`],
    ["Since", rollout.since && clock(rollout.since)],
  ];
  return [
    h("ol", { class: "steps", "aria-label": `Steps of ${rollout.to}` }, steps),
    facts(known),
  ];
}
