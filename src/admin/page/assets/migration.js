// Where the data of a service is on its way from one version to another.

import { h, paint, panel } from "./dom.js";
import { count, percent, span } from "./format.js";

/** Stage, journal and consistency, for services that are migrated. */
export function migration() {
  const { node, body } = panel("Migration", "loose");
  node.hidden = true;
  return {
    node,
    update({ service }) {
      const known = service.migration;
      node.hidden = !known;
      if (known) paint(body, known, () => shown(known));
    },
  };
}

function shown(migration) {
  const { journal, consistency } = migration;
  const missing = migration.missing ?? [];
  const share = typeof migration.share === "number" ? percent(migration.share) : migration.share;
  const interval = consistency && `${percent(consistency.estimate)} (${percent(consistency.low)} to ${percent(consistency.high)})`;
  const facts = [
    ["Stage", [migration.stage, share && `for ${share} of the keys`].filter(Boolean).join(" ")],
    ["From, to", migration.from && `${migration.from} → ${migration.to}`],
    ["Journal", journal && `${count(journal.depth ?? journal.entries)} writes${journal.oldestSeconds ? `, the oldest ${span(journal.oldestSeconds)} old` : ""}`],
    ["Dead letters", journal?.deadLetters === undefined ? null : count(journal.deadLetters)],
    ["Consistency", interval],
    ["Next stage needs", Array.isArray(missing) ? missing.join("; ") : missing],
  ].filter(([, fact]) => fact);
  return h("dl", { class: "facts" }, facts.map(([name, fact]) => [h("dt", {}, name), h("dd", {}, fact)]));
}
