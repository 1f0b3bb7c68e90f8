// Asking serin. The token is kept here and nowhere else: it is gone with the page.

let token = null;

/** Shows this token from now on; null: none. */
export function show(shown) {
  token = shown;
}

export function isShown() {
  return token !== null;
}

/** What serin answers where it does not do what it was asked for. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function headers(more) {
  return token === null ? more : { ...more, authorization: `Bearer ${token}` };
}

async function refused(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Refused(answer.status, problem.detail ?? `serin answered ${answer.status}.`);
}

/** Asks for JSON; with a body, for a change. */
export async function ask(method, path, body) {
  const init = { method, headers: headers({ accept: "application/json" }), cache: "no-store", credentials: "same-origin" };
  // A change says so even where it has no body: no page of another address can.
  if (method !== "GET") init.headers["content-type"] = "application/json";
  if (body !== undefined) init.body = JSON.stringify(body);
  const answer = await fetch(path, init);
  if (!answer.ok) throw await refused(answer);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path) => ask("GET", path);

/** The path of a service. */
export const of = (service, rest = "") => `/api/v1/services/${encodeURIComponent(service)}${rest}`;

/** Server-sent events, read by `fetch` so that they carry the token as well. */
export async function* events(path, signal) {
  const answer = await fetch(path, { headers: headers({ accept: "text/event-stream" }), cache: "no-store", signal });
  if (!answer.ok) throw await refused(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const event = parse(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (event.data !== "") yield event;
    }
  }
}

function parse(text) {
  const event = { name: "message", data: "" };
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event;
}
