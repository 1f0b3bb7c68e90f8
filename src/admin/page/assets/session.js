// Who is looking, and what they may do.

import { get, isShown, show } from "./api.js";
import { form } from "./dialog.js";
import { h, say } from "./dom.js";

let me = { name: "", role: null, may: {}, wayIn: null, tokens: false };
const watchers = new Set();

/** Calls `changed` now and whenever somebody else is looking; gives a way to stop that. */
export function watch(changed) {
  watchers.add(changed);
  changed();
  return () => watchers.delete(changed);
}

export const mayRead = () => me.may.read === true;

const NEEDS = { operate: "operator or admin", approve: "approver or admin", administer: "admin" };

/** Why this right is missing, in words; null: it is there. */
export function missing(right) {
  if (me.may[right]) return null;
  if (me.role) return `${me.name} is ${me.role} here; this needs the role ${NEEDS[right]}.`;
  if (me.tokens) return `You are looking without credentials; this needs the role ${NEEDS[right]}. Sign in with a token.`;
  return me.wayIn ?? "This address is read-only.";
}

/** Asks who is looking. */
export async function refresh() {
  me = await get("/api/v1/me");
  say(document.getElementById("who"), me.role ? `${me.name} · ${me.role}` : me.may.operate ? "open to everybody" : "viewing");
  const sign = document.getElementById("sign");
  sign.hidden = !me.tokens && !isShown();
  say(sign, isShown() ? "Sign out" : "Sign in");
  for (const changed of watchers) changed();
}

/** Signs out. */
export async function forget() {
  show(null);
  await refresh();
}

/** Signs out whoever is signed in; else asks for a token. */
export async function toggle() {
  if (isShown()) await forget();
  else await signIn();
}

/** Asks for a token; true once one is good. */
export function signIn() {
  const token = h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" });
  return form("Sign in", "Sign in", [
    h("p", { class: "why" }, "The token is kept in the memory of this page alone: reloading it signs you out."),
    h("label", {}, "Token", token),
  ], async () => {
    show(token.value.trim());
    try {
      await refresh();
    } catch (error) {
      show(null);
      throw error;
    }
  });
}
