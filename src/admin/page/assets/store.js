// What a service did, by the second and by the minute, as it is known so far.

import { get, of } from "./api.js";

const COLUMNS = ["requests", "failures", "p50", "p90", "p99", "p99.9", "share", "inFlight"];

/** How far back a page can look: seconds, and the step of the rows. */
export const RANGES = [["300", "5 min"], ["900", "15 min"], ["3600", "1 h"], ["86400", "24 h"]];

class Rows {
  constructor(most) {
    this.most = most;
    this.at = [];
    this.seconds = [];
    this.versions = new Map();
  }

  /** Takes in what is newer than what is there. */
  add(rows) {
    const last = this.at.at(-1) ?? 0;
    const fresh = rows.at.findIndex((at) => at > last);
    if (fresh < 0) return;
    for (const version of rows.versions) {
      if (this.versions.has(version.name)) continue;
      const empty = COLUMNS.map((column) => [column, this.at.map(() => null)]);
      this.versions.set(version.name, Object.fromEntries(empty));
    }
    const known = new Map(rows.versions.map((version) => [version.name, version]));
    this.at.push(...rows.at.slice(fresh));
    this.seconds.push(...rows.seconds.slice(fresh));
    const missing = rows.at.slice(fresh).map(() => null);
    for (const [name, columns] of this.versions) {
      const more = known.get(name);
      for (const column of COLUMNS) columns[column].push(...(more ? more[column].slice(fresh) : missing));
    }
    const over = this.at.length - this.most;
    if (over > 0) {
      this.at.splice(0, over);
      this.seconds.splice(0, over);
      for (const columns of this.versions.values()) for (const column of COLUMNS) columns[column].splice(0, over);
    }
  }
}

export class Store {
  constructor(service) {
    this.service = service;
    this.seconds = new Rows(3600);
    this.minutes = new Rows(1440);
    this.range = 900;
    this.minuteAsked = 0;
    this.waiting = [];
    this.loaded = false;
    this.withoutRoom = false;
  }

  /** Loads the last hour; what comes in meanwhile waits. */
  async load() {
    const rows = await get(of(this.service, "/history?step=1s"));
    this.seconds.add(rows);
    this.loaded = true;
    this.withoutRoom = rows.withoutRoom > 0;
    this.waiting.forEach((waiting) => this.seconds.add(waiting));
    this.waiting = [];
  }

  add(rows) {
    if (this.loaded) this.seconds.add(rows);
    else this.waiting.push(rows);
  }

  /** Loads the minutes, where they are looked at, and not more than once each. */
  async minute() {
    if (this.range <= 3600 || Date.now() - this.minuteAsked < 55_000) return;
    this.minuteAsked = Date.now();
    this.minutes.add(await get(of(this.service, `/history?step=1m&from=${this.minutes.at.at(-1) ?? 0}`)));
  }

  /** The rows looked at: times in seconds since 1970, and a function from a version and a column to as many values. */
  shown() {
    const rows = this.range > 3600 ? this.minutes : this.seconds;
    const last = rows.at.at(-1) ?? 0;
    const from = Math.max(0, rows.at.findIndex((at) => at > last - this.range * 1000));
    const slice = (list) => list.slice(from);
    return {
      at: slice(rows.at).map((at) => at / 1000),
      seconds: slice(rows.seconds),
      of: (version, column) => slice(rows.versions.get(version)?.[column] ?? rows.at.map(() => null)),
    };
  }
}
