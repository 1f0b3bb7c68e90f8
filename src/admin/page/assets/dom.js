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

/** Fills `node` with what `make` gives, but only where `about` is not what it was: focus and selection stay otherwise. */
export function paint(node, about, make) {
  const key = JSON.stringify(about);
  if (painted.get(node) === key) return;
  painted.set(node, key);
  node.replaceChildren(...[make()].flat(3).filter((child) => child !== null && child !== undefined && child !== false));
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

/** The classes of a version by its place: a colour and a line style. */
export function look(index) {
  return `c${index % 6} ${STYLES[index % 3]}`;
}

/** A version's name beside its line. */
export function version(name, index) {
  return h("span", { class: `version c${index % 6}` }, h("span", { class: `key ${STYLES[index % 3]}` }), name);
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
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, ...heads.map(cell("th")))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell("td")))))));
}
