// Where the data of a service is on its way from one version to another.

import { get, of } from "./api.js";
import { h, paint, panel } from "./dom.js";
import { count, percent, span } from "./format.js";

const EVERY = 2000;

/** Stage, journal and consistency, for services that are migrated. */
export function migration(page) {
  const { node, body } = panel("Migration", "loose");
  node.hidden = true;
  let asked = 0;

  async function load() {
    if (Date.now() - asked < EVERY) return;
    asked = Date.now();
    try {
      const known = await get(of(page.name, "/migration"));
      paint(body, known, () => shown(known));
    } catch {
      // The stream says that serin is gone.
    }
  }

  return {
    node,
    update({ service }) {
      node.hidden = !service.migration;
      if (service.migration) load();
    },
  };
}

function shown({ stage, share, from, to, authoritative, alsoWrites, compares, next, missing, journal, writes, consistency }) {
  const held = consistency && `${percent(consistency.estimate)} (${percent(consistency.low)} to ${percent(consistency.high)})`;
  const facts = [
    ["Stage", `${stage}, for ${share} of the keys`],
    ["From, to", `${from} → ${to}`],
    ["Authoritative", `${authoritative}${alsoWrites ? `; ${alsoWrites} is written as well` : ""}${compares ? "; reads are compared" : ""}`],
    ["Journal", `${count(journal.entries)} writes${journal.oldestSeconds ? `, the oldest ${span(journal.oldestSeconds)} old` : ""}; ${count(journal.delivered)} delivered${journal.inMemory ? "; in memory alone" : ""}`],
    ["Stands still", [journal.deadLetters && `${count(journal.deadLetters)} dead letters`, journal.uncertain && `${count(journal.uncertain)} uncertain`,
      journal.toReconcile && `${count(journal.toReconcile)} keys to reconcile`, journal.full].filter(Boolean).join("; ")],
    ["Writes", Object.entries(writes ?? {}).map(([result, number]) => `${result} ${count(number)}`).join(", ")],
    ["Consistency", held],
    ["Next", next && `${next}${missing?.length ? `, which still needs: ${[missing].flat().join("; ")}` : ""}`],
  ].filter(([, fact]) => fact);
  return h("dl", { class: "facts" }, facts.map(([name, fact]) => [h("dt", {}, name), h("dd", {}, fact)]));
}
