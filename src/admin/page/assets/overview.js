// All services at a glance.

import { get, of } from "./api.js";
import { spark } from "./chart.js";
import { bar, h, paint, panel, say, version } from "./dom.js";
import { count, duration, many, percent, rate, weight } from "./format.js";
import { worst } from "./experiment.js";
import { flags } from "./flags.js";
import { ledger } from "./ledger.js";
import { state as rolloutState } from "./rollout.js";
import { badge } from "./verdict.js";

/** Requests per second that a spark shows, in seconds. */
const MINUTE = 60;
/** Most services whose last minute is asked for when the page opens. */
const WARM = 12;
/** Most versions of a service that are shown here: those with the greatest share. */
const SHOWN = 8;

export function overview(main) {
  const sub = h("span", { class: "sub" });
  const list = h("div", { class: "grid" });
  const record = ledger(null, () => known.changed());
  const known = flags(record.entries);
  const bottom = h("div", { class: "grid" }, record.node, known.node);
  bottom.style.marginTop = "14px";
  main.replaceChildren(h("div", { class: "head" }, h("h1", {}, "Services"), sub), list, bottom);
  const panels = new Map();

  return {
    path: "/api/v1/live",
    title: "Overview",
    trail: [],
    update(state) {
      sub.textContent = many(state.services.length, "service");
      const names = state.services.map((service) => service.name);
      for (const [name, one] of panels) if (!names.includes(name)) { one.node.remove(); panels.delete(name); }
      state.services.forEach((service, index) => {
        if (!panels.has(service.name)) {
          panels.set(service.name, new Summary(service.name, panels.size < WARM));
          list.append(panels.get(service.name).node);
        }
        panels.get(service.name).update(service);
      });
      record.update(state);
      known.update();
    },
    close() {},
  };
}

class Summary {
  constructor(name, warm) {
    this.marks = h("span", { class: "acts" });
    const { node, body, heading } = panel(name, "", this.marks);
    heading.replaceChildren(h("a", { href: `#/service/${encodeURIComponent(name)}` }, name));
    this.node = node;
    this.shares = h("div");
    this.figures = h("div");
    this.sentence = h("p", { class: "why clamp" });
    body.append(this.shares, this.figures, this.sentence);
    this.rates = new Map();
    this.canvases = new Map();
    if (warm) this.warm(name);
  }

  /** What was before the page was opened. */
  async warm(name) {
    try {
      const rows = await get(of(name, `/history?from=${Date.now() - MINUTE * 1000}`));
      for (const version of rows.versions) {
        const before = version.requests.map((number, at) => (number ?? 0) / rows.seconds[at]);
        this.rates.set(version.name, before.concat(this.rates.get(version.name) ?? []).slice(-MINUTE));
      }
    } catch {
      // It grows from now on.
    }
  }

  update(service) {
    // A version without requests of its own is judged by its copies, or not yet.
    const { rollout, shadow, experiment, migration } = service;
    const verdict = service.verdict?.metrics.some(({ new: arm }) => arm.n > 0) ? service.verdict : null;
    const tested = experiment && worst(experiment);
    const named = (what, ...said) => h("span", {}, h("span", { class: "soft" }, `${what} `), said);
    paint(this.marks, [rollout?.state, verdict?.verdict, service.drills?.length, shadow?.verdict?.verdict, tested, migration], () => [
      service.drills?.length ? h("span", { class: "badge open" }, "! drill") : null,
      migration ? named("migration", h("span", { class: "badge" }, `${migration.stage}${migration.share === "100%" ? "" : ` for ${migration.share}`}`)) : null,
      shadow?.verdict ? named("shadow", badge(shadow.verdict.verdict)) : null,
      tested ? named("experiment", badge(tested)) : null,
      rollout ? named("rollout", rolloutState(rollout)) : null,
      verdict ? badge(verdict.verdict) : null,
    ]);
    paint(this.shares, service.versions.map((version) => [version.name, version.effectiveShare]), () => bar(service.versions.map((version) => [version.name, version.effectiveShare])));
    paint(this.figures, [service.versions, service.windowSeconds > 0], () => this.table(service));
    const why = rollout?.state && rollout.state !== "pending" ? rollout.reason : null;
    say(this.sentence, why ?? (verdict ?? shadow?.verdict)?.reason ?? "");
    for (const version of service.versions) {
      const rates = this.rates.get(version.name) ?? [];
      rates.push(version.requestsPerSecond);
      this.rates.set(version.name, rates.slice(-MINUTE));
    }
    service.versions.forEach(({ name }, index) => this.canvases.get(name)?.isConnected && spark(this.canvases.get(name), this.rates.get(name), index));
  }

  table(service) {
    const heads = ["Version", "Weight", "Share", "Answered", "Requests/s", "Failures", "p50", "p90", "p99", "p99.9", "In flight"];
    const all = service.versions.reduce((sum, version) => sum + version.requestsPerSecond, 0);
    const greatest = service.versions.toSorted((a, b) => b.effectiveShare - a.effectiveShare).slice(0, SHOWN);
    const shown = service.versions.map((of, index) => [of, index]).filter(([of]) => greatest.includes(of));
    const left = service.versions.length - shown.length;
    const rows = shown.map(([of, index]) => {
      const canvas = h("canvas", { class: "spark", "aria-hidden": "true" });
      this.canvases.set(of.name, canvas);
      const failed = of.requestsPerSecond > 0 ? of.failuresPerSecond / of.requestsPerSecond : null;
      return [version(of.name, index), weight(of.weight), percent(of.effectiveShare), all > 0 ? percent(of.requestsPerSecond / all) : "–",
        rate(of.requestsPerSecond), percent(failed), duration(of.latency.p50), duration(of.latency.p90), duration(of.latency.p99),
        duration(of.latency["p99.9"]), count(of.inFlight), canvas];
    });
    return [figures(service.name, [...heads, "Last minute"], rows),
      left ? h("p", { class: "sub" }, `${many(left, "version")} with a smaller share: `, h("a", { href: `#/service/${encodeURIComponent(service.name)}`, "data-key": service.name }, "all of them")) : null];
  }
}

/** A table whose first column is a version and all others figures. */
export function figures(name, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Figures of ${name}` },
    h("table", {}, h("caption", { class: "unseen" }, `Versions of ${name}`),
      h("thead", {}, h("tr", {}, heads.map((head, index) => h("th", { scope: "col", class: index ? "n" : null }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, index) => (index ? h("td", { class: "n" }, cell) : h("th", { scope: "row" }, cell))))))));
}
