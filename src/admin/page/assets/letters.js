// Writes that the other version of a migration does not take: each stops its key.

import { ask, get, of } from "./api.js";
import { form, reason, tell } from "./dialog.js";
import { clamp, h, paint, permit, table } from "./dom.js";
import { count, many, span } from "./format.js";

/** The dead letters of a service; `settled` hears of one that is settled. */
export function deadLetters(service, settled) {
  const node = h("div", { hidden: true });
  let lack = null;
  let about = null;
  let last = "";

  async function update(number) {
    node.hidden = number === 0;
    if (number === 0) return;
    try {
      const { deadLetters: letters } = await get(of(service, "/migration/deadLetters"));
      // Their age alone is no reason to draw them anew.
      const known = JSON.stringify(letters.map(({ ageSeconds, ...letter }) => [letter, Math.floor(ageSeconds / 10)]));
      if (known === last) return;
      last = known;
      paint(node, known, () => shown(letters, number));
      allow(lack, about);
    } catch {
      // The stream says that serin is gone.
    }
  }

  function shown(letters, number) {
    const rows = letters.map((letter) => [
      ["path", h("code", {}, letter.key)], ["path", h("code", {}, `${letter.method} ${letter.target}`)], ["wide", clamp(letter.why)],
      ["n", count(letter.tries)], ["n", count(letter.behind)], ["nowrap", span(letter.ageSeconds)],
      h("div", { class: "acts" },
        h("button", { type: "button", "data-key": `retry ${letter.number}`, "aria-label": `Retry… the write of ${letter.key}`, onclick: () => settle(letter, "retry") }, "Retry…"),
        h("button", { type: "button", class: "grave", "data-key": `give up ${letter.number}`, "aria-label": `Give up… the write of ${letter.key}`, onclick: () => settle(letter, "giveUp") }, "Give up…")),
    ]);
    return [h("h3", {}, `Dead letters: ${letters[0]?.version ?? "the other version"} does not take these writes`),
      table("Dead letters", ["Key", "Write", "Why", ["n", "Tries"], ["n", "Behind it"], "Age", "What now"], rows),
      number > letters.length ? h("p", { class: "sub" }, `The first ${count(letters.length)} of ${count(number)}.`) : null];
  }

  async function settle({ number, key, behind, version }, action) {
    const why = reason();
    const later = behind ? ` ${many(behind, "later write")} of this key ${behind === 1 ? "follows" : "follow"}.` : "";
    const [title, verb, does] = action === "retry"
      ? ["Try this write again?", "Retry", `The write of ${key} is sent to ${version} again, as if it had just come.${later}`]
      : ["Give up this write?", "Give up", `${version} never gets this write of ${key}: the key goes on without it, and is listed to be reconciled.${later}`];
    const send = () => ask("POST", of(service, "/migration/deadLetters"), { action, number, reason: why.value.trim() });
    if (!await form(title, verb, [h("p", { class: "does" }, does), h("label", {}, "Reason", why)], send, { grave: action !== "retry" })) return;
    tell(action === "retry" ? "It is tried again." : "It is given up.");
    settled();
  }

  function allow(missing, id) {
    [lack, about] = [missing, id];
    for (const button of node.querySelectorAll("button")) permit(button, lack, about);
  }

  return { node, update, allow };
}
