// The OpenFeature SDK for pages with its OFREP provider (both from npm) against a serin, with an EventSource (npm) as
// browsers have it. Arguments: the base URL, the flag file (which is changed), and how changes are found: sse or polling.
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { OpenFeature, ProviderEvents } = require('@openfeature/web-sdk');
const { OFREPWebProvider } = require('@openfeature/ofrep-web-provider');
const { EventSource } = require('eventsource');

globalThis.EventSource = EventSource;

const asked = [];

// What the provider asks with, and what it is answered.
async function recorded(request) {
  const response = await fetch(request);
  const { searchParams } = new URL(request.url);
  asked.push({ status: response.status, tag: request.headers.get('if-none-match'), event: searchParams.get('flagConfigEtag') });
  return response;
}

async function until(what, condition) {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain: ${what}: ${JSON.stringify(asked)}`);
}

async function main(baseUrl, file, changeDetection) {
  const polls = changeDetection === 'polling';
  const provider = new OFREPWebProvider({
    baseUrl, changeDetection, cacheMode: 'disabled', pollInterval: polls ? 20 : 0, fetchImplementation: recorded,
  });
  await OpenFeature.setContext({ targetingKey: 'user-2', email: 'bob@other.example' });
  await OpenFeature.setProviderAndWait(provider);
  const client = OpenFeature.getClient();
  const same = (details, value, reason, variant) =>
    assert.deepStrictEqual([details.value, details.reason, details.variant, details.errorCode], [value, reason, variant, undefined]);

  same(client.getBooleanDetails('new-checkout', false), true, 'STATIC', 'on');
  same(client.getStringDetails('banner', ''), 'Grüße', 'STATIC', 'plain');
  same(client.getNumberDetails('limit', 0), 3, 'STATIC', 'three');
  same(client.getNumberDetails('rate', 0), 3, 'STATIC', 'three');
  same(client.getObjectDetails('theme', {}), { color: 'black', sizes: [1, 2.5] }, 'STATIC', 'dark');
  same(client.getNumberDetails('team/limit', 0), 4, 'STATIC', 'four');
  same(client.getBooleanDetails('staff', true), false, 'DEFAULT', 'no');
  // Without a value the caller's own holds, and that is no error.
  same(client.getStringDetails('retired', 'mine'), 'mine', 'DISABLED', undefined);
  same(client.getStringDetails('no-default', 'mine'), 'mine', 'DEFAULT', undefined);
  for (const [key, code] of [['nope', 'FLAG_NOT_FOUND'], ['broken', 'PARSE_ERROR'], ['unknown-variant', 'GENERAL']]) {
    const details = client.getNumberDetails(key, 7);
    assert.deepStrictEqual([details.value, details.errorCode], [7, code], key);
  }
  await OpenFeature.setContext({ targetingKey: 'user-1', email: 'ada@serin.example' });
  same(client.getBooleanDetails('staff', false), true, 'TARGETING_MATCH', 'yes');

  // Asked again, unchanged flags are not sent again: at a poll, or when the stream begins.
  await until('304 for the tag', () => asked.some(({ status, tag }) => status === 304 && tag));

  const changed = new Promise((resolve) => client.addHandler(ProviderEvents.ConfigurationChanged, resolve));
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('defaultVariant: plain', 'defaultVariant: loud'));
  const event = await changed;
  assert.deepStrictEqual(event.flagsChanged, ['banner']);
  same(client.getStringDetails('banner', ''), 'GRÜSSE', 'STATIC', 'loud');
  const last = asked.findLast(({ status }) => status === 200);
  assert.strictEqual(Boolean(last.event), !polls, JSON.stringify(last));

  await OpenFeature.close();
  console.log('done');
  process.exit(0);
}

main(process.argv[2], process.argv[3], process.argv[4]).catch((error) => {
  console.error(error);
  process.exit(1);
});
