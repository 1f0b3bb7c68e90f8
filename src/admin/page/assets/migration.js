// Where the data of a service is on its way from one version to another.

import { get, of } from "./api.js";
import { facts, h, hide, paint, panel, permit, say } from "./dom.js";
import { deadLetters } from "./letters.js";
import { count, many, percent, span } from "./format.js";
import { STAGES, move } from "./move.js";
import { missing } from "./session.js";

const EVERY = 2000;

/** Stage, journal and consistency, for services that are migrated. */
export function migration(page) {
  const { node, body } = panel("Migration", "loose");
  const about = h("div");
  const go = h("button", { type: "button", class: "main", onclick: () => move(page.name, known, load) }, "Move…");
  const why = h("p", { class: "why", id: "migration-why" });
  const letters = deadLetters(page.name, () => load(true));
  body.append(about, h("div", { class: "acts" }, go), why, letters.node);
  node.hidden = true;
  let known = null;
  let asked = 0;
  let at = "";

  async function load(now = true) {
    if (!now && Date.now() - asked < EVERY) return;
    asked = Date.now();
    try {
      known = await get(of(page.name, "/migration"));
    } catch {
      return; // The stream says that serin is gone.
    }
    paint(about, known, () => shown(known));
    hide(go, false);
    letters.update(known.journal.deadLetters);
    allow();
  }

  function allow() {
    const lack = missing("operate");
    permit(go, lack, "migration-why");
    letters.allow(lack, "migration-why");
    say(why, lack ?? "");
  }

  hide(go, true);
  return {
    node,
    update({ service }) {
      node.hidden = !service.migration;
      if (!service.migration) return;
      allow();
      // A move shows at once, figures as they come.
      const now = `${service.migration.stage} ${service.migration.share}`;
      load(now !== at);
      at = now;
    },
  };
}

function shown({ stage, share, from, to, authoritative, alsoWrites, compares, next, missing, plan, journal, writes, consistency }) {
  const now = STAGES.indexOf(stage);
  const steps = STAGES.map((name, index) => h("li", { class: index < now ? "past" : index === now ? "now" : null, ...(index === now ? { "aria-current": "step" } : {}) },
    h("b", {}, name), index === now && share !== "100%" ? `${share} of the keys` : ""));
  return [
    h("ol", { class: "steps stages", "aria-label": "Stages" }, steps),
    facts([
      ["From, to", `${from} → ${to}`],
      ["Clients get", `what ${authoritative} answers${alsoWrites ? `; writes go on to ${alsoWrites}` : ""}${compares ? "; reads are compared" : ""}`],
      ["Journal", `${many(journal.entries, "write")}${journal.oldestSeconds >= 1 ? `, the oldest ${span(journal.oldestSeconds)} old` : ""}; ${count(journal.delivered)} delivered`
        + `${journal.failed ? `, ${many(journal.failed, "try", "tries")} in vain` : ""}${journal.inMemory ? "; in memory alone" : ""}`],
      ["No room", journal.full],
      ["Stands still", [journal.deadLetters && many(journal.deadLetters, "dead letter"), journal.uncertain && `${count(journal.uncertain)} uncertain`,
        journal.allToReconcile ? "every key is to be reconciled" : journal.toReconcile && `${many(journal.toReconcile, "key")} to reconcile`].filter(Boolean).join("; ")],
      ["Writes", Object.entries(writes).filter(([, number]) => number > 0).map(([result, number]) => `${result} ${count(number)}`).join(", ")],
      ["Consistency", consistency && agreement(consistency)],
      ["In doubt", consistency?.inDoubt.length > 0 && consistency.inDoubt.map((key) => [h("code", {}, key), " "])],
      ["Plan", plan && `${plan.next ? `next is ${plan.next}` : "nothing more to do"}${plan.paused ? "; it waits, as somebody moved by hand" : ""}${plan.missing.length ? `; waits for: ${plan.missing.map((one) => one.detail).join("; ")}` : ""}`],
      ["Next", next && (missing.length ? [`${next}, which still needs`, h("ul", {}, missing.map((one) => h("li", {}, one.detail)))] : `${next}; nothing stands in the way`)],
    ]),
  ];
}

function agreement({ ratio, low, high, looks, disagreed, keys }) {
  if (looks === 0) return "nothing was looked at yet";
  return `${percent(ratio)} of ${many(looks, "look")} agreed${disagreed ? `, ${count(disagreed)} did not` : ""}: ${percent(low)} to ${percent(high)} of the keys; ${many(keys, "key")} looked at`;
}
