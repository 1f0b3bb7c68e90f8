// The OpenFeature SDK for servers with its OFREP provider (both from npm) against a serin. Argument: the base URL.
'use strict';
const assert = require('node:assert');
const { OpenFeature } = require('@openfeature/server-sdk');
const { OFREPProvider } = require('@openfeature/ofrep-provider');

function same(details, value, reason, variant) {
  assert.deepStrictEqual([details.value, details.reason, details.variant, details.errorCode], [value, reason, variant, undefined]);
}

async function main(baseUrl) {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl }));
  const client = OpenFeature.getClient();
  const staff = { targetingKey: 'user-1', email: 'ada@serin.example', age: 36, since: new Date(0), tags: ['a', 'b'] };
  const guest = { targetingKey: 'user-2', email: 'bob@other.example' };

  same(await client.getBooleanDetails('new-checkout', false), true, 'STATIC', 'on');
  same(await client.getStringDetails('banner', ''), 'Grüße', 'STATIC', 'plain');
  same(await client.getNumberDetails('limit', 0), 3, 'STATIC', 'three');
  same(await client.getNumberDetails('rate', 0), 3, 'STATIC', 'three');
  same(await client.getObjectDetails('theme', {}), { color: 'black', sizes: [1, 2.5] }, 'STATIC', 'dark');
  same(await client.getBooleanDetails('staff', false, staff), true, 'TARGETING_MATCH', 'yes');
  same(await client.getBooleanDetails('staff', true, guest), false, 'DEFAULT', 'no');
  same(await client.getNumberDetails('team/limit', 0), 4, 'STATIC', 'four');
  assert.deepStrictEqual((await client.getObjectDetails('theme', {})).flagMetadata, { owner: 'web', set: 'test' });

  // Without a value the caller's own holds. This provider insists on one, and calls its absence an error.
  assert.strictEqual(await client.getStringValue('retired', 'mine'), 'mine');
  assert.strictEqual(await client.getStringValue('no-default', 'mine'), 'mine');

  for (const [key, code] of [['nope', 'FLAG_NOT_FOUND'], ['broken', 'PARSE_ERROR'], ['unknown-variant', 'GENERAL']]) {
    const details = await client.getNumberDetails(key, 7);
    assert.deepStrictEqual([details.value, details.errorCode], [7, code], key);
    assert.ok(details.errorMessage, key);
  }
  const mismatch = await client.getStringDetails('new-checkout', 'mine');
  assert.deepStrictEqual([mismatch.value, mismatch.errorCode], ['mine', 'TYPE_MISMATCH']);
  console.log('done');
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
