// Which page is shown, and the stream that keeps it up to date.

import { events, get } from "./api.js";
import { differences } from "./differences.js";
import { h, paint, say } from "./dom.js";
import { overview } from "./overview.js";
import { service } from "./service.js";
import { forget, mayRead, refresh, signIn, toggle, watch } from "./session.js";

const main = document.getElementById("main");
const live = document.getElementById("live");
let page = null;
let stream = null;
let endpoints = {};

const offers = (path) => path in endpoints;

function status(kind, text) {
  live.className = `live ${kind}`;
  say(live, text);
}

/** Shows the page that the address names. */
function route() {
  stream?.abort();
  page?.close();
  page = null;
  if (!mayRead()) return locked();
  page = open();
  document.title = `${page.title} · serin`;
  paint(document.getElementById("trail"), page.trail, () => page.trail.map(([text, href]) => (href ? h("a", { href }, text) : text)));
  follow(page);
}

function open() {
  const [, kind, known, part] = location.hash.split("/");
  if (kind !== "service" || !known) return overview(main);
  const name = named(known);
  return part === "diffs" ? differences(main, name) : service(main, name, offers);
}

/** A name as it stands in an address; one that cannot be read is nobody's, and stays as it is. */
function named(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function locked() {
  status("", "signed out");
  main.replaceChildren(h("div", { class: "panel center" }, h("div", { class: "body" },
    h("h1", {}, "Sign in"), h("p", { class: "why" }, "This serin shows itself only to those it knows."),
    h("p", {}, h("button", { type: "button", class: "main", onclick: () => signIn() }, "Sign in with a token")))));
}

/** Keeps a page up to date for as long as it is shown. */
async function follow(shown) {
  stream?.abort();
  stream = new AbortController();
  const { signal } = stream;
  for (let pause = 500; page === shown && !signal.aborted; pause = Math.min(pause * 2, 5000)) {
    try {
      for await (const event of events(shown.path, signal)) {
        if (page !== shown) return;
        pause = 500;
        const state = JSON.parse(event.data);
        try {
          shown.update(state);
        } catch (error) {
          // A fault of the page is not one of the connection.
          reportError(error);
        }
        status(state.phase === "ready" ? "on" : "off", state.phase === "ready" ? "live" : state.phase);
        document.documentElement.dataset.at = state.at;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) return gone(error);
      // The token is nobody's any more, or may not look: without it, perhaps.
      if (error.status === 401 || error.status === 403) await forget().catch(() => {});
    }
    if (page !== shown || signal.aborted) return;
    status("off", "no connection, trying again");
    await new Promise((done) => setTimeout(done, pause));
    // Another token, or none, may be what is needed now.
    await refresh().catch(() => {});
  }
}

function gone(error) {
  status("", "not found");
  main.replaceChildren(h("p", { class: "notice" }, error.message), h("p", {}, h("a", { href: "#/" }, "All services")));
}

addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});

// A page that nobody sees costs nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream?.abort();
  else if (page) follow(page);
});

document.getElementById("sign").addEventListener("click", () => toggle().catch(() => {}));

try {
  await refresh();
  if (mayRead()) endpoints = (await get("/api/v1/openapi.json")).paths;
} catch {
  status("off", "no connection");
}
let could = mayRead();
route();
watch(async () => {
  if (mayRead() === could) return;
  could = mayRead();
  if (could) endpoints = await get("/api/v1/openapi.json").then((document) => document.paths, () => ({}));
  route();
});
