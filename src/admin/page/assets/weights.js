// Setting weights: a slider with the exact number, and who would move.

import { ask, get, of } from "./api.js";
import { form, reason, tell } from "./dialog.js";
import { h, version } from "./dom.js";
import { count, percent, weight } from "./format.js";

const WAIT = 150;
/** Most versions that are told one by one. */
const FEW = 6;

/** Asks for weights. */
export async function setWeights(service) {
  const versions = service.versions;
  const why = reason();
  const does = h("p", { class: "does", "aria-live": "polite" });
  const total = versions.reduce((sum, version) => sum + version.weight, 0);
  const rows = versions.map((known, index) => row(known, index, total));
  let known = null;
  let turn = 0;

  function row({ name, weight: now }, index, most) {
    const top = String(Math.max(most, 1));
    const slider = h("input", { type: "range", min: "0", max: top, step: "0.1", value: now, "aria-label": `Weight of ${name}, slider` });
    const exact = h("input", { type: "number", min: "0", max: "1000000000", step: "0.001", value: weight(now), required: true, "aria-label": `Weight of ${name}` });
    slider.addEventListener("input", () => { exact.value = slider.value; follow(index); });
    exact.addEventListener("input", () => { slider.value = exact.value; follow(index); });
    return { name, slider, exact };
  }

  /** Of two versions the other one has the rest. */
  function follow(index) {
    const value = Number(rows[index].exact.value);
    if (rows.length === 2 && value >= 0 && value <= total) {
      const other = rows[1 - index];
      other.exact.value = weight(total - value);
      other.slider.value = other.exact.value;
    }
    known = null;
    const mine = ++turn;
    setTimeout(() => { if (mine === turn) preview(); }, WAIT);
  }

  const wanted = () => Object.fromEntries(rows.map(({ name, exact }) => [name, Number(exact.value)]));

  async function preview() {
    const mine = ++turn;
    let text;
    let answer = null;
    try {
      answer = await get(of(service.name, `/weights/preview?weights=${encodeURIComponent(JSON.stringify(wanted()))}`));
      text = words(answer, service.name);
    } catch (error) {
      text = error.message;
    }
    if (mine !== turn) return;
    known = answer;
    does.textContent = text;
    why.form?.dispatchEvent(new Event("ready"));
  }

  const grid = h("div", { class: "weights" }, rows.map(({ name, slider, exact }, index) => [version(name, index), slider, exact]));
  const send = () => ask("PUT", of(service.name, "/weights"), { weights: wanted(), reason: why.value.trim() });
  preview();
  const parts = [grid, does, h("label", {}, "Reason", why)];
  const ready = () => known !== null;
  if (await form(`Set weights of ${service.name}`, "Set weights", parts, send, { ready })) tell(`The weights of ${service.name} are set.`);
}

function words({ sticky, versions, keys, moves }, service) {
  const listed = (all, say) => `${all.slice(0, FEW).map(say).join(", ")}${all.length > FEW ? ` and ${count(all.length - FEW)} more` : ""}`;
  const changed = versions.filter(({ before, after }) => before !== after);
  if (changed.length === 0) return `The shares of ${service} stay as they are: ${listed(versions, ({ name, after }) => `${name} ${percent(after)}`)}.`;
  const shares = listed(changed, ({ name, before, after }) => `${name} ${percent(before)} → ${percent(after)}`);
  if (!sticky) return `${shares}. Requests of ${service} have no sticky key: each is drawn by itself.`;
  const moved = listed(moves, ({ from, to, keys: number }) => `${count(number)} move from ${from} to ${to}`);
  return `${shares}. Of ${count(keys)} sample users, ${moved || "nobody moves"}${moves.length ? `; ${count(keys - moves.reduce((sum, move) => sum + move.keys, 0))} stay where they are` : ""}.`;
}
