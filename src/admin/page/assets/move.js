// Moving a migration: asked for with what each stage does, and with what still stands in the way.

import { ask, of } from "./api.js";
import { form, reason, tell } from "./dialog.js";
import { h } from "./dom.js";
import { missing } from "./session.js";

/** The stages, in their order. */
export const STAGES = ["off", "dualWrite", "shadow", "live", "rampDown", "complete"];

/** What a stage does, in a sentence. */
const DOES = {
  off: ({ from, to }) => `${from} answers everything; ${to} gets nothing.`,
  dualWrite: ({ from, to }) => `${from} answers. Writes go to ${from} and then to ${to}.`,
  shadow: ({ from, to }) => `${from} answers. Writes go to ${from} and then to ${to}; reads are asked of both, and compared.`,
  live: ({ from, to }) => `${to} answers: clients get its data. Writes go to ${to} and then to ${from}; reads are asked of both, and compared.`,
  rampDown: ({ from, to }) => `${to} answers. Writes go to ${to} and then to ${from}, which is asked for nothing.`,
  complete: ({ from, to }) => `${to} answers everything; ${from} gets nothing any more, and falls behind with the first write. The way back is then a reconciliation of all keys.`,
};

/** Asks for a move; `moved` hears that it is done. */
export async function move(service, known, moved) {
  const now = STAGES.indexOf(known.stage);
  const stage = h("select", { name: "stage", oninput: told }, STAGES.map((name, index) =>
    h("option", { value: name, selected: name === (known.next ?? known.stage) }, index === now ? `${name} (now)` : name)));
  const part = h("input", { type: "number", name: "share", min: "0.01", max: "100", step: "0.01", value: "100", required: true, oninput: told });
  const why = reason();
  const does = h("div", { class: "does", "aria-live": "polite" });
  const byPlan = h("input", { type: "checkbox", name: "byPlan" });
  const force = h("input", { type: "checkbox", name: "force", oninput: told });
  const mayForce = missing("administer") === null;

  function told() {
    const wanted = STAGES.indexOf(stage.value);
    const share = Number(part.value);
    const lines = [DOES[stage.value](known)];
    if (share < 100 && wanted > 0) lines.push(`So for ${share} % of the keys, always the same ones; for all others as in ${STAGES[wanted - 1]}: ${DOES[STAGES[wanted - 1]](known)}`);
    if (wanted < now) lines.push(`This is a way back from ${known.stage}.`);
    if (wanted > now + 1) lines.push("Stages are taken one at a time: serin will say what is missing.");
    const still = stage.value === known.next ? known.missing : [];
    if (still.length) lines.push(`${force.checked ? "Done against" : "It is refused while there is missing"}: ${still.map((one) => one.detail).join("; ")}.`);
    if (known.plan) lines.push("The plan waits from then on, unless it is to go on from there.");
    does.replaceChildren(...lines.map((line) => h("p", {}, line)));
  }

  told();
  const parts = [
    h("p", { class: "sub" }, `Now: ${known.stage} for ${known.share} of the keys.`),
    h("label", {}, "Stage", stage), h("label", {}, "For how many of the keys, in percent", part), does,
    known.plan ? h("label", { class: "tick" }, byPlan, "The plan goes on from there") : null,
    mayForce ? h("label", { class: "tick" }, force, "Whatever stands in the way") : null,
    h("label", {}, "Reason", why),
  ].filter(Boolean);
  const send = () => ask("PUT", of(service, "/migration"), { stage: stage.value, share: `${Number(part.value)}%`, reason: why.value.trim(),
    ...(force.checked ? { force: true } : {}), ...(byPlan.checked ? { byPlan: true } : {}) });
  if (!await form(`Move the migration of ${service}?`, "Move the migration", parts, send)) return;
  tell(`The migration of ${service} is at ${stage.value}.`);
  moved();
}
