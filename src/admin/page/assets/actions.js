// What can be done. Each is asked for with what it will do, and why it is done.

import { ask, of } from "./api.js";
import { form, reason, tell } from "./dialog.js";
import { h } from "./dom.js";
import { span } from "./format.js";

/** Asks for an order to a rollout. */
async function order(service, action, { title, verb, does, done, grave, more }) {
  const why = reason();
  const parts = [h("p", { class: "does" }, does), h("label", {}, "Reason", why)];
  const send = () => ask("POST", of(service, "/rollout"), { action, reason: why.value.trim(), ...more });
  if (await form(title, verb, parts, send, { grave })) tell(done);
}

const share = (rollout, index) => `${rollout.steps[index]?.weight ?? 100} %`;

/** Orders for a rollout, by their names in the API. */
export const orders = {
  start: (service, { rollout, versions }) => order(service, "start", {
    title: `Start the rollout of ${rollout.to}?`, verb: "Start the rollout", done: `The rollout of ${service} is started.`,
    does: `${rollout.to} gets ${share(rollout, 0)} of the traffic of ${service} for at least ${span(rollout.steps[0]?.bakeSeconds ?? 0)}, then more in ${rollout.steps.length} steps. `
      + `Where it is worse than ${rollout.from}, it is taken back at once. Now: ${versions.map((version) => `${version.name} ${version.weight}`).join(" / ")}.`,
  }),
  pause: (service, { rollout }) => order(service, "pause", {
    title: "Pause the rollout?", verb: "Pause", done: `The rollout of ${service} is paused.`,
    does: `${rollout.to} keeps the share it has. Gates still hold: where it turns out to be worse, it is taken back.`,
  }),
  resume: (service, { rollout }) => order(service, "resume", {
    title: "Resume the rollout?", verb: "Resume", done: `The rollout of ${service} goes on.`,
    does: `The rollout of ${rollout.to} goes on where it stopped.`,
  }),
  promote: (service, { rollout }) => order(service, "promote", {
    title: "Promote to the next step?", verb: "Promote", done: `The rollout of ${service} is one step further.`,
    does: `${rollout.to} gets ${rollout.step < rollout.steps.length ? share(rollout, rollout.step) : "all"} of the traffic now, without waiting for bake time or evidence.`,
  }),
  abort: (service, { rollout }) => order(service, "abort", {
    title: "Abort the rollout?", verb: "Abort the rollout", done: `The rollout of ${service} is aborted.`, grave: true,
    does: `Everything is taken from ${rollout.to} at once: all users of ${service} are on ${rollout.from} again.`,
  }),
  approve: (service, { rollout }) => order(service, "approve", {
    title: "Approve the rollout?", verb: "Approve", done: `The rollout of ${service} has your approval.`, more: { planHash: rollout.planHash },
    does: `You agree to the plan ${rollout.planHash.slice(0, 12)} of ${service}: ${rollout.steps.map((step) => `${step.weight} %`).join(", ")} for ${rollout.to}. `
      + `It needs ${rollout.approvalsRequired} and has ${rollout.approvals?.length ?? 0}.`,
  }),
};

/** Asks for a rollback drill. */
export async function drill(service, { rollout }) {
  const why = reason();
  const fault = h("select", { name: "fault" }, h("option", { value: "errors" }, "errors: requests fail"), h("option", { value: "delay" }, "delay: requests are slow"));
  const part = h("input", { type: "number", name: "share", value: "20", min: "1", max: "100", required: true });
  const within = h("input", { type: "number", name: "within", value: "30", min: "1", max: "300", required: true });
  const parts = [
    h("p", { class: "does" }, `Real requests to ${rollout.to} are hurt on purpose, to see that it is withdrawn in time. The fault ends by itself, and weights and rollout are then as before.`),
    h("label", {}, "What is done", fault), h("label", {}, "To how many of its requests, in percent", part),
    h("label", {}, "Withdrawn within, in seconds", within), h("label", {}, "Reason", why),
  ];
  const send = () => ask("POST", of(service, "/drill"), { fault: fault.value, share: `${part.value}%`, within: `${within.value}s`, reason: why.value.trim() });
  if (await form(`Rollback drill of ${service}?`, "Begin the drill", parts, send, { grave: true })) tell("The drill has begun.");
}
