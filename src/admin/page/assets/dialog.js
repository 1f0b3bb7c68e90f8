// Questions, and what is said after them.

import { h, refocus, say } from "./dom.js";

/** Asks; `send` does what is asked for and may throw, which is said in place. True: it was done. */
export function form(title, verb, parts, send, { grave = false, ready = () => true } = {}) {
  return new Promise((done) => {
    const error = h("p", { class: "error", role: "alert", hidden: true });
    const go = h("button", { type: "submit", class: grave ? "grave" : "main" }, verb);
    const stay = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const body = h("form", { novalidate: true }, h("h2", { id: "asked" }, title), ...parts, error, h("div", { class: "row" }, stay, go));
    const dialog = h("dialog", { "aria-labelledby": "asked" }, body);
    const check = () => { go.disabled = !body.checkValidity() || !ready(); };
    let well = false;
    body.addEventListener("input", check);
    body.addEventListener("ready", check);
    body.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      try {
        await send();
        well = true;
        dialog.close();
      } catch (problem) {
        say(error, problem.message);
        error.hidden = false;
        check();
      }
    });
    const before = document.activeElement;
    dialog.addEventListener("close", () => { dialog.remove(); refocus(before); done(well); });
    document.body.append(dialog);
    check();
    dialog.showModal();
    body.querySelector("input, select")?.focus();
  });
}

/** The reason that every change needs. */
export function reason() {
  return h("input", { type: "text", name: "reason", required: true, maxlength: "1000", pattern: ".*\\S.*", autocomplete: "off" });
}

/** Shows something to read. */
export function read(title, { wide = false } = {}, ...parts) {
  const dialog = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": "asked" },
    h("form", { method: "dialog" }, h("h2", { id: "asked" }, title), ...parts, h("div", { class: "row" }, h("button", {}, "Close"))));
  const before = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); refocus(before); });
  document.body.append(dialog);
  dialog.showModal();
}

/** Says what has happened, for a while. */
export function tell(text) {
  const line = h("p", {}, text);
  document.getElementById("said").append(line);
  setTimeout(() => line.remove(), 6000);
}
