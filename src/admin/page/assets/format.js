// Figures as people read them.

const grouped = new Intl.NumberFormat("en-US");
const NONE = "–";

/** Three significant digits, and no more zeros than they need. */
function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** Seconds as µs, ms or s. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NONE;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  if (seconds < 100) return `${digits(seconds)} s`;
  return span(seconds);
}

/** A time that people wait: 45 s, 3 min 20 s, 2 h 5 min. */
export function span(seconds) {
  const whole = Math.round(seconds);
  const two = (most, unit, rest, less) => `${Math.floor(most)} ${unit}${Math.floor(rest) ? ` ${Math.floor(rest)} ${less}` : ""}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
  if (whole < 86400) return two(whole / 3600, "h", (whole % 3600) / 60, "min");
  return two(whole / 86400, "d", (whole % 86400) / 3600, "h");
}

/** A figure at an axis: 20 ms, not 20.0 ms. */
export const tick = (text) => text.replace(/\.0+(?=\s|$)|(\.\d*[1-9])0+(?=\s|$)/, "$1");

/** A share of one as a percentage. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return NONE;
  const hundred = share * 100;
  if (hundred === 0) return "0 %";
  if (hundred > 0 && hundred < 0.01) return "< 0.01 %";
  return `${Number(hundred.toFixed(hundred < 10 ? 2 : 1))} %`;
}

export function count(value) {
  return value === null || value === undefined ? NONE : grouped.format(value);
}

/** How many a second. */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  return value === 0 ? "0" : value >= 1000 ? grouped.format(Math.round(value)) : digits(value);
}

/** A number as it was written. */
export function weight(value) {
  return String(Number(value.toFixed(3)));
}

/** The time of day; with the day where that is another. */
export function clock(at) {
  const date = new Date(at);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

/** One of something, or many. */
export function many(number, one, more = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : more}`;
}
