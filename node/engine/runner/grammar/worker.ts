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
import type { Spelling } from './ebnf.ts';
import { answerForm } from './grammar.ts';
import { AnswerGuard, type TokenTable, tokenTable } from './guard.ts';
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
import type { TextForm } from './text-state.ts';
import { spellingOf, tokenBytes } from './token-bytes.ts';
import { grammarVocabulary } from './vocabulary.ts';

assert(parentPort !== null, 'the grammar worker is a worker');
const port = parentPort;
const data = workerData as GrammarWorkerData;
const busy = new Int32Array(data.busy);
const library = loadGrammarLibrary(data.wasmBytesMax);

/** A model's tokens, prepared. */
interface Vocabulary {
  readonly compiler: GrammarCompiler;
  readonly table: TokenTable;
  readonly spelling: Spelling;
}

/** A constraint, prepared. */
interface Prepared {
  readonly grammar: CompiledGrammar;
  readonly form: TextForm | undefined;
  readonly table: TokenTable;
}

interface Session {
  readonly matcher: GrammarMatcher;
  readonly guard: AnswerGuard;
  readonly state: Int32Array;
  accepted: number;
  broken: boolean;
}

const sessions = new Map<number, Session>();
const vocabularies = new LruCache<Vocabulary>(VOCABULARIES_CACHED_MAX, ({ compiler }) => compiler.dispose());
const grammars = new LruCache<Prepared>(GRAMMARS_CACHED_MAX, ({ grammar }) => grammar.dispose());

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
    const { grammar, form, table } = await prepared(order);
    const matcher = await library.GrammarMatcher.createGrammarMatcher(grammar);
    const session = { matcher, guard: new AnswerGuard(table, form), state, accepted: 0, broken: false };
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

async function prepared({ model, constraint, stopIds }: OpenOrder): Promise<Prepared> {
  const { digest, folder, vocabularySize } = model;
  // Stop ids belong to the vocabulary: given to a matcher only, the library takes them for special tokens and refuses
  // them wherever most tokens are allowed.
  const tokens = `${digest} ${vocabularySize} ${stopIds.join()}`;
  const key = `${tokens} ${JSON.stringify(constraint)}`;
  const known = grammars.get(key);
  if (known !== undefined) return known;
  let vocabulary = vocabularies.get(tokens);
  if (vocabulary === undefined) {
    Atomics.store(busy, BUSY.reading, 1);
    vocabulary = await readVocabulary(folder, vocabularySize, stopIds);
    vocabularies.set(tokens, vocabulary);
    Atomics.store(busy, BUSY.since, ticks());
    Atomics.store(busy, BUSY.reading, 0);
  }
  const { compiler, table, spelling } = vocabulary;
  const { text, form } = answerForm(constraint, spelling);
  const made = { grammar: await compiler.compileGrammar(text), form, table };
  grammars.set(key, made);
  return made;
}

async function readVocabulary(folder: string, width: number, stopIds: readonly number[]): Promise<Vocabulary> {
  const vocabulary = grammarVocabulary(parseTokenizerJson(await readFile(join(folder, 'tokenizer.json'))), width);
  const { tokens, kind } = vocabulary;
  const info = await library.TokenizerInfo.createTokenizerInfo([...tokens], kind, false, width, [...stopIds]);
  // Grammars are kept here, where there is a bound.
  const compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
  info.dispose();
  const bytes = tokenBytes(vocabulary);
  return { compiler, table: tokenTable(bytes), spelling: spellingOf(bytes) };
}

function accept(session: Session, id: number): void {
  session.accepted++;
  session.broken ||= session.matcher.isTerminated() || !session.matcher.acceptToken(id) || !session.guard.accept(id);
}

async function fill(session: Session): Promise<void> {
  const begun = performance.now();
  const { matcher, guard, state, accepted } = session;
  if (session.broken) return publish(state, accepted, MASK.broken);
  if (matcher.isTerminated()) return publish(state, accepted, MASK.none);
  const mask = await matcher.getNextTokenBitmask();
  guard.restrict(mask);
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
