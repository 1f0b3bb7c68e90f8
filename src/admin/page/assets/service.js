// One service, whole.

import { addresses, steering } from "./addresses.js";
import { drill } from "./actions.js";
import { diffs } from "./diffs.js";
import { distribution } from "./distribution.js";
import { bar, choice, h, hide, paint, permit, say, version } from "./dom.js";
import { drills } from "./drills.js";
import { experiment } from "./experiment.js";
import { count, duration, percent, rate, weight } from "./format.js";
import { latency } from "./latency.js";
import { ledger, openEntry } from "./ledger.js";
import { migration } from "./migration.js";
import { figures } from "./overview.js";
import { rollout } from "./rollout.js";
import { missing, watch } from "./session.js";
import { RANGES, Store } from "./store.js";
import { timeline } from "./timeline.js";
import { traffic } from "./traffic.js";
import { verdict } from "./verdict.js";
import { setWeights } from "./weights.js";

/** Most versions in a chart: more lines cannot be told apart. */
const CHARTED = 8;

/** The page of a service; `offers` says whether serin has an endpoint. */
export function service(main, name, offers) {
  const page = {
    name,
    store: new Store(name),
    quantile: "p99",
    versions: [],
    /** The versions of the charts. */
    series: [],
    last: null,
    at: 0,
    /** The judge's intervals of the quantile looked at, by version. */
    intervals() {
      const judged = page.last?.service.verdict;
      const metric = judged?.metrics.find((metric) => metric.metric === page.quantile);
      if (!metric) return [];
      return [[judged.from, metric.old], [judged.to, metric.new]]
        .map(([name, estimate]) => ({ index: page.versions.indexOf(name), ...estimate }))
        .filter(({ index, low, high }) => index >= 0 && (low > 0 || high !== null));
    },
    windowSeconds: () => page.last?.service.verdict?.windowSeconds ?? 0,
    changes: () => record.entries().filter((entry) => entry.kind === "weights"),
    openEntry,
    chooseQuantile(quantile) {
      page.quantile = quantile;
      lines.update();
      spread.redraw();
    },
  };
  const record = ledger(name, () => shares.marksChanged());
  const [lines, spread, load, shares] = [latency(page), distribution(page), traffic(page), timeline(page)];
  const standing = [rollout(page), verdict(page)];
  const beside = [experiment(), migration(page), diffs(page)];
  const around = [drills(), steering(), addresses(page)];
  const panels = [...standing, ...beside, lines, spread, load, shares, ...around, record];
  const nodes = (panel) => panel.nodes ?? [panel.node];
  const row = (of) => h("div", { class: "row-of" }, of.flatMap(nodes));

  const split = h("div");
  const table = h("div");
  const set = h("button", { type: "button", class: "main", onclick: () => setWeights(page.last.service) }, "Set weights…");
  const test = h("button", { type: "button", onclick: () => drill(name, page.last.service) }, "Drill…");
  const why = h("p", { class: "why", id: "service-why" });
  const range = choice("How far back", RANGES, String(page.store.range), (chosen) => { page.store.range = Number(chosen); redraw(); });
  const few = h("p", { class: "sub" });
  const notice = h("p", { class: "notice", hidden: true }, "The past of this service is not kept: more versions are configured than have room in the history (96).");
  const top = h("section", { class: "panel", "aria-label": "Versions" }, h("div", { class: "body" }, split, table, few));
  main.replaceChildren(
    h("div", { class: "head" }, h("h1", {}, name), h("div", { class: "acts" }, range, test, set)), why,
    h("div", { class: "grid" }, top, notice, row(standing), row(beside), [lines, spread, load, shares].flatMap(nodes), row(around), nodes(record)));
  test.hidden = true;

  /** What the credentials do not allow is disabled, and it is said why. */
  function allow() {
    const lack = missing("operate");
    for (const button of [set, test]) {
      permit(button, lack, "service-why");
      if (page.last === null) button.disabled = true;
    }
    say(why, lack ?? "");
  }

  const stop = watch(() => {
    allow();
    if (page.last) for (const panel of [...standing, ...beside]) panel.update(page.last);
  });

  async function redraw() {
    await page.store.minute().catch(() => {});
    for (const panel of [lines, load, shares]) panel.update();
  }

  page.store.load().then(redraw, () => {});

  return {
    path: `/api/v1/live?service=${encodeURIComponent(name)}`,
    title: name,
    trail: [[`/ ${name}`]],
    update(state) {
      const first = page.last === null;
      page.last = state;
      if (first) allow();
      page.at = state.at;
      page.versions = state.service.versions.map((version) => version.name);
      page.series = charted(state.service);
      say(few, page.series.length < page.versions.length ? `The charts show ${page.series.length} of ${page.versions.length} versions: those with the greatest share, and those that are judged.` : "");
      page.store.add(state.rows);
      notice.hidden = !(page.store.withoutRoom && state.rows.versions.length < page.versions.length);
      hide(test, !offers("/api/v1/services/{service}/drill") || !state.service.rollout);
      // Under migration the stage alone says which version answers.
      hide(set, state.service.migration !== undefined);
      const known = state.service.versions;
      paint(split, known.map((of) => [of.name, of.effectiveShare]), () => bar(known.map((of) => [of.name, of.effectiveShare]), true));
      paint(table, known, () => versions(state.service));
      for (const panel of panels) if (![lines, load, shares].includes(panel)) panel.update(state);
      redraw();
    },
    close() {
      stop();
      for (const panel of panels) panel.close?.();
    },
  };
}

/** The versions worth a line in the charts: those that are judged, and those with the greatest share. */
function charted({ versions, verdict }) {
  const worth = ({ name, effectiveShare }) => (name === verdict?.from || name === verdict?.to ? 2 : effectiveShare);
  const chosen = versions.toSorted((a, b) => worth(b) - worth(a)).slice(0, CHARTED);
  return versions.map(({ name }, index) => ({ name, index })).filter(({ index }) => chosen.includes(versions[index]));
}

function versions(service) {
  const all = service.versions.reduce((sum, version) => sum + version.requestsPerSecond, 0);
  const heads = ["Version", "Weight", "Intended", "Possible now", "Answered", "Requests/s", "Failures", "p50", "p90", "p99", "p99.9", "In flight", "Since start"];
  const rows = service.versions.map((of, index) => [
    version(of.name, index), weight(of.weight), percent(of.share), percent(of.effectiveShare), all > 0 ? percent(of.requestsPerSecond / all) : "–",
    rate(of.requestsPerSecond), percent(of.requestsPerSecond > 0 ? of.failuresPerSecond / of.requestsPerSecond : null),
    duration(of.latency.p50), duration(of.latency.p90), duration(of.latency.p99), duration(of.latency["p99.9"]), count(of.inFlight), count(of.requests),
  ]);
  return figures(service.name, heads, rows);
}
