// The grammar worker: a thread of the runner that owns the grammar library. It computes the mask of a generation's next
// token while the main thread stands in the runtime, and can be ended when a schema is too much for the library.
// Started by grammars.ts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import { parseTokenizerJson } from '../../../../models/tasks/tokenizer-json.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { assert } from '../../../core/assert.ts';
import { GRAMMARS_CACHED_MAX, VOCABULARIES_CACHED_MAX } from '../../limits.ts';
import { LruCache } from './cache.ts';
import { grammarOf } from './grammar.ts';
import { loadGrammarLibrary } from './library.ts';
import {
  BUSY,
  type GrammarFailure,
  type GrammarOrder,
  type GrammarWorkerData,
  MASK,
  type OpenOrder,
  STATE,
  ticks,
} from './messages.ts';
import { grammarVocabulary } from './vocabulary.ts';

assert(parentPort !== null, 'the grammar worker is a worker');
const port = parentPort;
const data = workerData as GrammarWorkerData;
const busy = new Int32Array(data.busy);
const library = loadGrammarLibrary(data.wasmBytesMax);

interface Session {
  readonly matcher: GrammarMatcher;
  readonly state: Int32Array;
  accepted: number;
  broken: boolean;
}

const sessions = new Map<number, Session>();
const compilers = new LruCache<GrammarCompiler>(VOCABULARIES_CACHED_MAX, (compiler) => compiler.dispose());
const grammars = new LruCache<CompiledGrammar>(GRAMMARS_CACHED_MAX, (grammar) => grammar.dispose());

/**
 * Says for whom the worker works, so that whoever waits too long knows whose fault it is. It stays said when the work
 * fails: that ends the worker.
 */
async function onBehalf(session: number, work: () => Promise<void>): Promise<void> {
  Atomics.store(busy, BUSY.since, ticks());
  Atomics.store(busy, BUSY.session, session);
  await work();
  Atomics.store(busy, BUSY.session, 0);
}

async function open(order: OpenOrder): Promise<void> {
  const state = new Int32Array(order.state);
  try {
    const matcher = await library.GrammarMatcher.createGrammarMatcher(await compiled(order));
    const session = { matcher, state, accepted: 0, broken: false };
    sessions.set(order.session, session);
    for (const id of order.ids) accept(session, id);
  } catch (error) {
    // What the library throws is not for the one who asked, and leaves it in no state to go on.
    if (!(error instanceof WeftError)) throw error;
    const { code, message, remedy, facts } = error;
    port.postMessage({ session: order.session, code, message, remedy, facts } satisfies GrammarFailure);
    publish(state, order.ids.length, MASK.failed);
  }
}

async function compiled({ model, constraint, stopIds }: OpenOrder): Promise<CompiledGrammar> {
  // Stop ids belong to the vocabulary: given to a matcher only, the library takes them for special tokens and refuses
  // them wherever most tokens are allowed.
  const vocabulary = `${model.digest} ${model.vocabularySize} ${stopIds.join()}`;
  const key = `${vocabulary} ${JSON.stringify(constraint)}`;
  const known = grammars.get(key);
  if (known !== undefined) return known;
  const text = grammarOf(constraint);
  let compiler = compilers.get(vocabulary);
  if (compiler === undefined) {
    const json = parseTokenizerJson(await readFile(join(model.folder, 'tokenizer.json')));
    const { tokens, kind } = grammarVocabulary(json, model.vocabularySize);
    const info = await library.TokenizerInfo.createTokenizerInfo([...tokens], kind, false, tokens.length, [...stopIds]);
    compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
    info.dispose();
    compilers.set(vocabulary, compiler);
  }
  const grammar = await compiler.compileGrammar(text);
  grammars.set(key, grammar);
  return grammar;
}

function accept(session: Session, id: number): void {
  session.accepted++;
  session.broken ||= session.matcher.isTerminated() || !session.matcher.acceptToken(id);
}

async function fill(session: Session): Promise<void> {
  const begun = performance.now();
  const { matcher, state, accepted } = session;
  if (session.broken) return publish(state, accepted, MASK.broken);
  if (matcher.isTerminated()) return publish(state, accepted, MASK.none);
  const mask = await matcher.getNextTokenBitmask();
  state.set(mask, STATE.words);
  state[STATE.microseconds] = Math.round((performance.now() - begun) * 1000);
  publish(state, accepted, mask.some((word) => word !== 0) ? MASK.some : MASK.none);
}

function publish(state: Int32Array, accepted: number, outcome: number): void {
  Atomics.store(state, STATE.outcome, outcome);
  Atomics.store(state, STATE.ready, accepted + 1);
  Atomics.notify(state, STATE.ready);
}

/** Orders in their order; a mask only when no further token of its session waits. */
async function obey(orders: readonly GrammarOrder[]): Promise<void> {
  const due = new Set<number>();
  for (const order of orders) {
    if (order.kind === 'open') await onBehalf(order.session, () => open(order));
    const session = sessions.get(order.session);
    if (session === undefined) continue;
    if (order.kind === 'close') {
      session.matcher.dispose();
      sessions.delete(order.session);
      continue;
    }
    if (order.kind === 'accept') await onBehalf(order.session, async () => accept(session, order.id));
    due.add(order.session);
  }
  for (const id of due) {
    const session = sessions.get(id);
    if (session !== undefined) await onBehalf(id, () => fill(session));
  }
}

let turn = Promise.resolve();
port.on('message', (first: GrammarOrder) => {
  turn = turn.then(() => {
    const orders = [first];
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      orders.push(next.message as GrammarOrder);
    }
    return obey(orders);
  });
});
Atomics.store(busy, BUSY.up, 1);
