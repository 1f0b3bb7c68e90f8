// What npm's @openfeature/flagd-core says of rules and contexts: one JSON object a line in, one a line out.
//
//   in:  {"rule": …, "contexts": [{…}, …]}
//   out: {"answers": [{"default": …, "interpreted": …, "reference": …, "why": […]}, …]}
//
// `default` and `interpreted` are the package's two ways to run a rule, which do not always agree. `reference` is its
// interpreter with a few things mended, each told in `why` where it mattered; see `mend` below. An answer is null (no
// variant), {"is": "name"} or {"error": "CODE"}.
//
// usage: node oracle.mjs FOLDER_WITH_NODE_MODULES

import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';

const require = createRequire(path.resolve(process.argv[2], 'oracle.js'));
const { FeatureFlag } = require('@openfeature/flagd-core');
const { LogicEngine } = require('json-logic-engine');

const NOW = 1_700_000_000;
Date.now = () => NOW * 1000 + 123;

const quiet = { error() {}, warn() {}, info() {}, debug() {} };
const loggerSymbol = Symbol.for('flagd.logger');
const NO_VARIANT = /^Variant '([\s\S]*)' not found in flag with key 'flag'$/;

function flag(targeting, interpreted) {
  const fields = { state: 'ENABLED', variants: { 'the default': 0 }, defaultVariant: 'the default', targeting };
  return new FeatureFlag('flag', fields, quiet, { disableDynamicCodeGeneration: interpreted });
}

function answer(flag, context) {
  const { reason, variant, errorCode, errorMessage } = flag.evaluate(context);
  if (reason === 'TARGETING_MATCH') return { is: variant.toWellFormed() };
  if (reason === 'DEFAULT') return null;
  const unknown = NO_VARIANT.exec(errorMessage ?? '');
  return unknown ? { is: unknown[1].toWellFormed() } : { error: errorCode ?? reason };
}

// ---- the reference: the interpreter, mended

let why = new Set();
const truthy = (engine, value) => Boolean(engine.truthy(value));

// serin's rule for all bad arguments: the operator gives null. NaN is no value.
function orNull(name, apply) {
  return (...args) => {
    try {
      const value = apply(...args);
      if (value === undefined) return null;
      if (Number.isNaN(value)) throw NaN;
      return value;
    } catch {
      why.add(`bad arguments of ${name}`);
      return null;
    }
  };
}

function mend(methods) {
  const mended = {};
  for (const [name, method] of Object.entries(methods)) {
    if (typeof method === 'function') mended[name] = orNull(name, method);
    else {
      mended[name] = { ...method, method: orNull(name, method.method) };
      for (const symbol of Object.getOwnPropertySymbols(method)) mended[name][symbol] = method[symbol];
      delete mended[name].compile;
      delete mended[name].optimizeUnary;
    }
  }
  const lazy = (name, apply) => {
    mended[name] = { lazy: true, method: orNull(name, apply) };
  };

  // One argument that is a list is negated itself, not its first item: as the package's default way.
  const one = (args, context, above, engine) => engine.run(Array.isArray(args) ? args[0] : args, context, { above });
  lazy('!', (args, context, above, engine) => !truthy(engine, one(args, context, above, engine) ?? null));
  lazy('!!', (args, context, above, engine) => truthy(engine, one(args, context, above, engine) ?? null));

  // A chain compares each value with the next, texts too: as the package's default way.
  const operators = ['<', '<=', '>', '>=', '==', '===', '!=', '!=='];
  for (const name of operators) {
    const pair = methods[name].method;
    lazy(name, (args, context, above, engine) => {
      if (!Array.isArray(args) || args.length < 2) throw new Error('too few');
      const quoted = (value) => ({ preserve: value });
      let left = engine.run(args[0], context, { above });
      for (let i = 1; i < args.length; i++) {
        const right = engine.run(args[i], context, { above });
        if (!pair([quoted(left), quoted(right)], context, above, engine)) return false;
        const textual = (value) => value === null || typeof value === 'string';
        if (name.length === 3 || (textual(left) && textual(right))) left = right;
        else if (left === null && !right) left = null;
        else if (right === null && !left) left = 0;
        else left = right;
      }
      return true;
    });
  }

  // A default holds for null too: as the package's default way and flagd itself.
  const read = methods.var.method;
  mended.var = {
    method: orNull('var', (args, context, above, engine) => {
      const value = read(args, context, above, engine);
      // The interpreter's shortcut gives "" or 0 itself for a path that leads into it.
      const names = String(Array.isArray(args) ? args[0] : args).split('.');
      const on = names.slice(0, -1).reduce((at, name) => (at ? at[name] : at), context);
      if (names.length > 1 && !on && on !== null && on !== undefined) why.add('a path into something empty');
      const otherwise = Array.isArray(args) ? args[1] : undefined;
      if (value === null && otherwise !== undefined && otherwise !== null) why.add('a default for what is null');
      return value ?? otherwise ?? null;
    }),
  };

  // With a list that is written out, the package runs the rule before there is a context, whatever it begins with.
  const computed = (value) => typeof value === 'object' && JSON.stringify(value).includes('{"');
  const reduce = mended.reduce.method;
  mended.reduce.method = (args, ...rest) => {
    if (Array.isArray(args) && !computed(args[0]) && computed(args[2])) why.add('a reduce over a written list');
    return reduce(args, ...rest);
  };

  // Where something else than a list is given, the package's two ways differ (and `all` of a number is true).
  for (const name of ['all', 'some', 'none']) {
    const apply = methods[name].method;
    lazy(name, (args, context, above, engine) => {
      const list = Array.isArray(args) ? engine.run(args[0], context, { above }) : args;
      if (list && !Array.isArray(list)) throw new Error('no list');
      return apply([{ preserve: list }, args[1]], context, above, engine);
    });
  }
  mended.every = mended.all;

  // Within `map` and its like, the package's own operators fail because their logger is not part of the item.
  for (const name of ['starts_with', 'ends_with', 'sem_ver']) {
    const apply = methods[name].method;
    mended[name] = {
      method: orNull(name, (args, context) => {
        if (!context?.[loggerSymbol]) why.add('an operator within an iteration');
        return apply(args, { [loggerSymbol]: quiet });
      }),
    };
  }

  // A bucketing expression that gives null counts as none, one that gives no text makes the result null, and a key is
  // hashed as UTF-8.
  const fractional = methods.fractional.method;
  lazy('fractional', (args, context, above, engine) => {
    let given = engine.run(args, context, { above });
    given = Array.isArray(given) ? given : [given];
    const written = Array.isArray(args) && !Array.isArray(args[0]);
    if (given[0] === null) {
      why.add('a bucketing expression that gives null');
      given = given.slice(1);
    } else if (written && typeof given[0] !== 'string') {
      why.add('a bucketing expression that gives no text');
      return null;
    }
    const utf8 = (text) => {
      const bytes = Buffer.from(text, 'utf8').toString('latin1');
      if (bytes !== text) why.add('a key outside ASCII');
      return bytes;
    };
    if (!context?.$flagd) return null;
    if (typeof given[0] === 'string') given = [utf8(given[0]), ...given.slice(1)];
    else if (!context.targetingKey) return null;
    else given = [utf8(`flag${context.targetingKey}`), ...given];
    return fractional(given, { ...context, [loggerSymbol]: quiet });
  });
  return mended;
}

const probe = flag({ '==': [1, 1] }, true);
const reference = new LogicEngine(mend(probe._targeting._engine.methods), {
  disableInline: true,
  disableInterpretedOptimization: true,
});

function referenceAnswer(rule, context) {
  const data = { ...context, $flagd: { flagKey: 'flag', timestamp: NOW }, [loggerSymbol]: quiet };
  const value = reference.run(rule, data);
  return value === null || value === undefined ? null : { is: value.toString().toWellFormed() };
}

function guarded(ask) {
  try {
    return ask();
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { rule, contexts } = JSON.parse(line);
  const flags = [flag(rule, false), flag(rule, true)];
  const answers = contexts.map((context) => {
    why = new Set();
    return {
      default: guarded(() => answer(flags[0], context)),
      interpreted: guarded(() => answer(flags[1], context)),
      reference: guarded(() => referenceAnswer(rule, context)),
      why: [...why],
    };
  });
  process.stdout.write(JSON.stringify({ answers }) + '\n');
}
