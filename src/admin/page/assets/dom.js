// Elements without markup: whatever comes from outside is text, and stays text.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `class`, `on…` (a listener) and properties such as `disabled` are taken as such, all else as attributes. */
export function h(name, attributes, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function s(name, attributes, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const painted = new WeakMap();

/** Fills `node` with what `make` gives, but only where `about` is not what it was. Focus and scrolled tables stay. */
export function paint(node, about, make) {
  const key = JSON.stringify(about);
  if (painted.get(node) === key) return;
  painted.set(node, key);
  const restore = standing(node);
  node.replaceChildren(...[make()].flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  restore();
}

const REACHED = "a[href], button, input, select, [tabindex]";

/** Remembers what is scrolled in `node` and what has the focus, by its `data-key` or its place; gives a way to restore it. */
function standing(node) {
  const scrolled = [...node.querySelectorAll(".scroll")].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
  const active = node.contains(document.activeElement) && document.activeElement !== node ? document.activeElement : null;
  const at = active ? [...node.querySelectorAll(REACHED)].indexOf(active) : -1;
  return () => {
    node.querySelectorAll(".scroll").forEach((region, index) => region.scrollTo(...(scrolled[index] ?? [0, 0])));
    if (active) (keyed(active.dataset.key, node) ?? node.querySelectorAll(REACHED)[at])?.focus({ preventScroll: true });
  };
}

/** The element of this key. */
function keyed(key, within = document) {
  return key === undefined ? null : within.querySelector(`[data-key="${CSS.escape(key)}"]`);
}

/** Puts the focus back where it was; where that is gone, on the panel it was in. */
export function refocus(before) {
  const there = before?.isConnected ? before : keyed(before?.dataset?.key);
  if (there && !there.hidden && !there.disabled) there.focus({ preventScroll: true });
  else focusOn((there ?? before)?.closest("section") ?? document.getElementById("main"));
}

/** Hides a button, or shows it; the focus it may have goes to its panel. */
export function hide(button, hidden) {
  const had = hidden && document.activeElement === button;
  button.hidden = hidden;
  if (had) focusOn(button.closest("section"));
}

function focusOn(node) {
  if (!node) return;
  node.tabIndex = -1;
  node.focus({ preventScroll: true });
}

/** Sets a text only where it is another. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A panel with a heading; `tools` stand at the right of it. */
export function panel(title, width, ...tools) {
  const body = h("div", { class: "body" });
  const heading = h("h2", {}, title);
  const node = h("section", { class: `panel ${width}`, "aria-label": title }, h("header", {}, heading, ...tools), body);
  return { node, body, heading };
}

/** Buttons of which one is pressed. */
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => press(value) }, text));
  function press(value) {
    options.forEach(([known], index) => buttons[index].setAttribute("aria-pressed", String(known === value)));
    choose(value);
  }
  return h("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
}

const STYLES = ["", "dash", "dot"];

/** The line style of a version by its place, 0 to 2: with six colours, eighteen versions that look different. */
export const style = (index) => (index + Math.floor(index / 6)) % 3;

/** The classes of a version by its place: a colour and a line style. */
export function look(index) {
  return `c${index % 6} ${STYLES[style(index)]}`;
}

/** A version's name beside its line. */
export function version(name, index) {
  return h("span", { class: `version c${index % 6}` }, h("span", { class: `key ${STYLES[style(index)]}` }), name);
}

/** Shares as one bar, with the same in words. */
export function bar(shares, tall = false) {
  const words = shares.map(([name, share]) => `${name} ${(share * 100).toFixed(1)} %`).join(", ");
  const parts = shares.map(([, share], index) => {
    if (share === 0) return null;
    const part = h("span", { class: look(index) });
    part.style.width = `${share * 100}%`;
    return part;
  });
  return h("div", { class: tall ? "bar tall" : "bar", role: "img", "aria-label": words }, parts);
}

/** A table; every row is a list of cells, a cell a node, a text, or `[class, content]`. */
export function table(caption, heads, rows) {
  const cell = (tag) => (content) => {
    const [kind, inner] = Array.isArray(content) ? content : ["", content];
    return h(tag, { class: kind || null, scope: tag === "th" ? "col" : null }, inner ?? "");
  };
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${caption}` },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, ...heads.map(cell("th")))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell("td")))))));
}

/** What is known of something, by name; what there is nothing of is left out. */
export function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, fact]) => fact).map(([name, fact]) => [h("dt", {}, name), h("dd", {}, fact)]));
}

/** A long text, cut after a few lines. */
export const clamp = (text) => h("div", { class: "clamp", title: text }, text);

/** Whatever `lack` says, a button is disabled for want of; `about` is the id of where that is said. */
export function permit(button, lack, about) {
  button.disabled = lack !== null;
  if (lack) button.setAttribute("aria-describedby", about);
  else button.removeAttribute("aria-describedby");
}
