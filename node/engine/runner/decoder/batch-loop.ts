// Continuous batching (Orca, Yu et al., OSDI 2022): all sequences of one model go forward together, one token each per
// round; a newcomer joins at the next round, and its prompt is computed in pieces between the others' tokens (chunked
// prefill: Sarathi-Serve, Agrawal et al., OSDI 2024). Runs in a runner process, one loop per model.

import { rowBytes } from '../../../../models/onnx/kv-rewrite/layout.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult } from '../../../../protocol/infer.ts';
import { untilNextLoop } from '../../../core/waiting.ts';
import { ClassTurns } from '../../class-turns.ts';
import type { GeneratorReading } from '../../generator-stats.ts';
import { KV_BLOCK_TOKENS, KV_CAPACITY_STEP, KV_COPY_BYTES, PREFILL_TOKENS } from '../../limits.ts';
import { mebibytes } from '../../mebibytes.ts';
import { noNumbers } from '../../sampling.ts';
import type { TokenConstraint } from '../constraint.ts';
import { type GenerationContext, nextPiece } from '../generate.ts';
import type { Turns } from '../turns.ts';
import { DraftPolicy } from './draft-policy.ts';
import { type Group, Groups } from './groups.ts';
import { areNumbers, type KvArray, type NewRows } from './kv-block.ts';
import { prefillChunk } from './prefill-chunk.ts';
import { type PrefixMatch, PrefixTree } from './prefix-tree.ts';
import type { DecoderModel, Step, StepResult } from './rewritten-model.ts';
import { DRAFT_TOKENS_MAX, Room } from './room.ts';
import { Sequence } from './sequence.ts';
import { planSlots } from './slot-plan.ts';
import { StepCosts } from './step-costs.ts';

/** New keys and values of one sequence, as a step gave them; valid during the call only. */
export interface RowsEvent {
  readonly request: GenerateRequest;
  /** Position of the first of them in the sequence. */
  readonly from: number;
  readonly count: number;
  readonly rows: NewRows;
  /** Which of the B sequences within the rows, and S, how many tokens each has there. */
  readonly index: number;
  readonly tokens: number;
  /** Which of the S tokens is the one at `from`. */
  readonly first: number;
}

export interface BatchLoopComponents {
  readonly model: DecoderModel;
  readonly turns: Turns;
  /** Told of every row that is kept, so that a standby can follow a session. */
  readonly onRows?: (event: RowsEvent) => void;
  /** Milliseconds. @default performance.now */
  readonly now?: () => number;
}

export interface BatchLoopInit {
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  /** Bytes that rows may take: of running sequences and, as far as they leave room, of kept prefixes. */
  readonly kvBytesMax: number;
  /** Sequences that run side by side; more wait. */
  readonly sequencesMax: number;
  /**
   * Computes every sequence by itself, in pieces that depend on it alone: nothing is shared, kept or guessed, and what was
   * generated elsewhere is replayed token by token. Kernels for one row and for several round differently, and so do sums
   * in other pieces: only so the same request gives the same text whoever else is served. @default false
   */
  readonly exact?: boolean;
  /** @default true, unless exact */
  readonly keepPrefixes?: boolean;
  /** @default true, unless exact */
  readonly draft?: boolean;
  /** Bytes of rows that are copied between two tokens of others. @default KV_COPY_BYTES */
  readonly copyBytes?: number;
}

/** Weight of one step's guesses in what is expected of newcomers. */
const ACCEPTANCE_WEIGHT = 0.05;

/** Every so many pieces it is the turn of whoever waits longest, whatever is left of the others' prompts. */
const OLDEST_EVERY = 4;

export class BatchLoop {
  readonly #components: BatchLoopComponents;
  readonly #init: BatchLoopInit;
  readonly #keepsPrefixes: boolean;
  readonly #drafts: boolean;
  readonly #now: () => number;
  readonly #contextLength: number;
  readonly #groups: Groups;
  readonly #tree: PrefixTree;
  readonly #room: Room;
  /** Takes a running sequence's slot; it is computed again later, before others of its class. */
  readonly #giveWay: (victim: Sequence) => void;
  /** Blocks of kept rows that are copied between two tokens of others. */
  readonly #blocksAtOnce: number;
  /** Kept rows that are being copied for a newcomer, whose length says how many of them have been. */
  readonly #reusing = new Map<Sequence, PrefixMatch>();
  readonly #costs: StepCosts;
  readonly #closing = new AbortController();
  readonly #waiting: Sequence[] = [];
  readonly #turns = new ClassTurns();
  /** In the order in which they were admitted. */
  readonly #running: Sequence[] = [];
  readonly #policies = new WeakMap<Sequence, DraftPolicy>();
  #wake: (() => void) | undefined;
  /** Something has happened since the loop looked last. */
  #woken = false;
  /** Sequences whose rows are not numbers any more, perhaps: their slots are cleared. */
  readonly #spoilt = new WeakSet<Sequence>();
  #loop: Promise<void> | undefined;
  #arranged = true;
  #pieces = 0;
  /** Of recent guesses: what a newcomer's first ones are expected to be worth. */
  #acceptance = 0.5;
  /** Bytes that blocks are about to take. */
  #growing = 0;
  #promptTokens = 0;
  #cachedTokens = 0;
  #draftedTokens = 0;
  #acceptedTokens = 0;

  constructor(components: BatchLoopComponents, init: BatchLoopInit) {
    this.#components = components;
    this.#init = init;
    const { exact = false } = init;
    this.#keepsPrefixes = init.keepPrefixes ?? !exact;
    this.#drafts = init.draft ?? !exact;
    this.#now = components.now ?? (() => performance.now());
    const { layout, manyRowsMin } = components.model;
    this.#costs = new StepCosts(manyRowsMin);
    const bytes = rowBytes(layout);
    // A sequence that has all of the memory must have room for what it is promised.
    const tokensMax = Math.floor(init.kvBytesMax / bytes / KV_CAPACITY_STEP) * KV_CAPACITY_STEP;
    this.#contextLength = Math.min(init.contextLength, tokensMax);
    this.#groups = new Groups({ layout, bytesMax: init.kvBytesMax, onGrowth: (extra) => this.#makeWay(extra) });
    this.#tree = new PrefixTree({
      blockTokens: KV_BLOCK_TOKENS,
      blockBytes: KV_BLOCK_TOKENS * bytes,
      bytesMax: () => (this.#keepsPrefixes ? Math.max(0, init.kvBytesMax - this.#groups.bytes - this.#growing) : 0),
    });
    const { copyBytes = KV_COPY_BYTES } = init;
    this.#blocksAtOnce = Math.max(1, Math.floor(copyBytes / (KV_BLOCK_TOKENS * bytes)));
    this.#giveWay = (victim) => {
      remove(this.#running, victim);
      this.#closeSlot(victim);
      victim.restart();
      this.#waiting.unshift(victim);
    };
    this.#room = new Room(
      { groups: this.#groups, running: () => this.#running, giveWay: this.#giveWay },
      { contextLength: this.#contextLength, drafts: this.#drafts, exact, copyBytes },
    );
  }

  get stats(): GeneratorReading {
    return {
      sequences: this.#running.length,
      waiting: this.#waiting.length,
      kvBytes: this.#groups.bytes,
      prefixBytes: this.#tree.bytes,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      draftedTokens: this.#draftedTokens,
      acceptedTokens: this.#acceptedTokens,
    };
  }

  /**
   * Generates until a stop id, `maxNewTokens` or the context is reached; each run of tokens is one item. A cancellation is
   * seen before the next step.
   * @param constraint what the text must look like; closed in any case
   * @throws the signal's reason; WeftError `out_of_memory` for a prompt that its memory never holds; what the graph, its
   *   logits or the constraint say
   */
  async generate(
    request: GenerateRequest,
    context: GenerationContext,
    constraint?: TokenConstraint,
  ): Promise<GenerateResult> {
    const { signal } = context;
    const onAbort = (): void => this.#wakeUp();
    try {
      this.#closing.signal.throwIfAborted();
      signal.throwIfAborted();
      if (request.ids.length >= this.#contextLength && this.#contextLength < this.#init.contextLength) {
        throw this.#tooLarge(request.ids.length);
      }
      const sequence = new Sequence({
        request,
        contextLength: this.#contextLength,
        context,
        constraint,
        exact: this.#init.exact === true,
      });
      const finished = sequence.finishedBefore();
      if (finished !== undefined) {
        sequence.finish(finished);
        return await sequence.result;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(sequence);
      this.#wakeUp();
      this.#loop ??= this.#run();
      return await sequence.result;
    } finally {
      signal.removeEventListener('abort', onAbort);
      constraint?.close();
    }
  }

  /** Ends all generations with this reason, and gives all memory back. */
  async close(reason: WeftError): Promise<void> {
    this.#closing.abort(reason);
    this.#wakeUp();
    await this.#loop;
    for (const sequence of [...this.#waiting.splice(0), ...this.#running.splice(0)]) sequence.fail(reason);
    this.#forgetRows();
  }

  // ── The loop ──────────────────────────────────────────────────────────────────────────────────

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      // A run stands the process still: what came meanwhile, cancellations above all, is read before the next one.
      await untilNextLoop();
      this.#woken = false;
      try {
        this.#sweep();
        this.#admit();
        if (!(await this.#round())) await this.#untilWoken();
      } catch (error) {
        this.#startAgain(error);
      }
    }
  }

  /** Something that must not happen has happened: nobody waits for ever because of it, and newcomers find order. */
  #startAgain(error: unknown): void {
    for (const sequence of this.#running.splice(0)) sequence.fail(error);
    this.#forgetRows();
  }

  #forgetRows(): void {
    this.#groups.clear();
    for (const sequence of this.#reusing.keys()) this.#release(sequence);
    this.#tree.clear();
  }

  /** One token for everyone who decodes, and one piece of one prompt. @returns false when there was nothing to do */
  async #round(): Promise<boolean> {
    this.#arrange();
    let worked = false;
    const due = this.#groups.all.filter(({ sequences }) => sequences.some(decodes));
    for (const group of due) {
      if (!this.#groups.all.includes(group)) continue;
      const { capacity } = group.block;
      const there = this.#room.forStep(group);
      this.#arranged &&= group.block.capacity === capacity;
      if (!there) continue;
      await this.#decode(group);
      worked = true;
      if (this.#closing.signal.aborted) return false;
    }
    const prompt = this.#nextPrompt();
    // Copying a part of a block takes as long as some of a piece: one of the two stands between two tokens of the others.
    if (prompt === undefined || (worked && this.#groups.all.some(growsNext))) return worked;
    if (worked) await untilNextLoop();
    await this.#prefill(prompt);
    return true;
  }

  /** Those who have ended, or whose caller has gone, leave. Nowhere else: what a run was given stays where it is. */
  #sweep(): void {
    for (const list of [this.#waiting, this.#running]) {
      for (const sequence of [...list]) {
        if (!sequence.settled && sequence.signal.aborted) sequence.fail(sequence.signal.reason);
        // Whoever draws still reads its logits; its slot is free at once all the same.
        if (!sequence.settled) continue;
        remove(list, sequence);
        if (list === this.#waiting) continue;
        this.#closeSlot(sequence);
        this.#arranged = false;
      }
    }
  }

  #closeSlot(sequence: Sequence): void {
    this.#release(sequence);
    this.#groups.close(sequence, this.#spoilt.has(sequence));
  }

  #admit(): void {
    for (;;) {
      const sequence = this.#turns.next(this.#waiting);
      if (sequence === undefined) return;
      const opened = this.#running.length < this.#init.sequencesMax && this.#open(sequence);
      if (!opened && this.#running.length > 0) {
        // Nobody goes past the one whose turn it is: what needs much room would never find it.
        if (sequence.isBatch || !this.#batchGivesWay()) return;
        continue;
      }
      remove(this.#waiting, sequence);
      if (!opened) {
        sequence.fail(this.#tooLarge(sequence.ids.length));
        continue;
      }
      this.#running.push(sequence);
      this.#turnTaken(sequence);
      this.#reuse(sequence);
    }
  }

  /** Interactive work waits for no batch work's whole answer. @returns false when there is none that could go */
  #batchGivesWay(): boolean {
    const victim = this.#running.findLast(({ isBatch, busy }) => isBatch && busy === undefined);
    if (victim !== undefined) this.#giveWay(victim);
    return victim !== undefined;
  }

  #turnTaken(sequence: Sequence): void {
    const { isBatchTurn } = this.#turns;
    this.#turns.took(
      sequence.isBatch ? 'batch' : 'interactive',
      this.#waiting.some(({ isBatch }) => isBatch),
    );
    // Else interactive work that comes later would take its room again and again, and it would begin for ever.
    if (isBatchTurn || sequence.gaveWay) sequence.isBatch = false;
  }

  /** One alone gets in: its bound is what the memory holds. Unless the process itself has none left. */
  #open(sequence: Sequence): boolean {
    const { length } = sequence.ids;
    const first = Math.min(length, PREFILL_TOKENS);
    try {
      if (this.#groups.open(sequence, first, Math.min(length + KV_CAPACITY_STEP, this.#contextLength))) return true;
      return this.#running.length === 0 && this.#groups.open(sequence, first, length);
    } catch {
      return false;
    }
  }

  /** Rows of a prefix that is kept are copied; the last id is always computed, because its logits are wanted. */
  #reuse(sequence: Sequence): void {
    const { ids } = sequence;
    const match = this.#tree.match('', ids, ids.length - 1);
    const { group } = this.#groups.placeOf(sequence);
    // Rows that are held can't make way: where there is no room beside them, they are computed again.
    const tokens = this.#groups.grow(group, match.tokens) ? match.tokens : 0;
    if (tokens === 0) match.release();
    else {
      this.#reusing.set(sequence, match);
      // In one go, unless others would wait for it; rows that are held must not keep others from growing.
      if (!this.#running.some(decodesNext) || this.#isOver(0)) this.#copyRows(sequence, match.rows.length);
    }
    // Of what it had before it gave way, or on another node, nothing was kept for its prompt's sake.
    if (sequence.cachedTokens !== undefined) return;
    const { promptLength } = sequence.request;
    sequence.cachedTokens = Math.min(tokens, promptLength);
    this.#promptTokens += promptLength;
    this.#cachedTokens += sequence.cachedTokens;
  }

  /** @returns false when there was nothing to copy */
  #copyRows(sequence: Sequence, blocks: number): boolean {
    const match = this.#reusing.get(sequence);
    if (match === undefined) return false;
    const { group, slot } = this.#groups.placeOf(sequence);
    // What was made ready for them may have been given back to others; making it ready again may cost the rows themselves.
    if (!this.#groups.grow(group, match.tokens)) this.#giveUpRows(sequence);
    if (!this.#reusing.has(sequence)) return false;
    const first = sequence.length / KV_BLOCK_TOKENS;
    for (const [index, { data }] of match.rows.slice(first, first + blocks).entries()) {
      group.block.write(slot, (first + index) * KV_BLOCK_TOKENS, data as KvArray);
    }
    sequence.length = Math.min(match.tokens, (first + blocks) * KV_BLOCK_TOKENS);
    if (sequence.length === match.tokens) this.#release(sequence);
    return true;
  }

  /** Sequences that decode stand together where that is cheaper. */
  #arrange(): void {
    if (this.#arranged || this.#init.exact === true) return;
    this.#arranged = true;
    const decoding = this.#running.filter(decodesNext);
    if (decoding.length < 2) return;
    const groups = this.#groups.all;
    const runs = planSlots({
      lengths: decoding.map(({ length }) => length + 1),
      current: groups.map(({ sequences }) => sequences.map((one) => decoding.indexOf(one)).filter((at) => at >= 0)),
      costs: this.#costs,
    });
    this.#groups.arrange(runs.map((members) => members.map((index) => decoding[index] as Sequence)));
  }

  // ── Steps ─────────────────────────────────────────────────────────────────────────────────────

  async #decode(group: Group): Promise<void> {
    const { block } = group;
    const members = [...group.sequences];
    const guesses = this.#guess(members);
    const tokens = 1 + guesses.length;
    const [only] = members;
    const ids = new Int32Array(members.length * tokens);
    const wanted: number[] = [];
    for (const [index, sequence] of members.entries()) {
      // One that can't go forward now takes part all the same, because slots stand side by side: its row is not kept.
      ids[index] = sequence.ids[sequence.length] ?? 0;
      if (decodes(sequence) && sequence.debt === 1) wanted.push(index);
    }
    if (only !== undefined && guesses.length > 0) {
      ids.set(guesses, 1);
      wanted.push(...guesses.map((_, at) => at + 1));
    }
    const taking = members.filter(decodes);
    const lengths = members.map(({ length }) => length);
    const vocabulary = this.#components.model.layout.vocabularySize;
    await this.#step({ block, firstSlot: 0, lengths, ids, wanted }, taking, (sequence, { logits, rows }) => {
      const row = (at: number): Float32Array => logits.subarray(at * vocabulary, (at + 1) * vocabulary);
      const index = members.indexOf(sequence);
      const last = sequence.debt === 1;
      this.#keep(sequence, rows, { index, tokens }, 1);
      if (!last) return;
      const drawn = guesses.length > 0 ? wanted.map((_, at) => row(at)) : [row(wanted.indexOf(index))];
      this.#draw(sequence, drawn, guesses, rows);
    });
  }

  /** What a sequence that is alone may get in one step, as far as its own text tells and as long as that has paid. */
  #guess(members: readonly Sequence[]): number[] {
    const [sequence] = members;
    if (!this.#drafts || sequence === undefined || this.#running.length > 1) return [];
    if (sequence.debt !== 1) return [];
    const policy = this.#policies.get(sequence) ?? new DraftPolicy({ acceptance: this.#acceptance });
    this.#policies.set(sequence, policy);
    const { block } = this.#groups.placeOf(sequence).group;
    const room = block.capacity - sequence.length - 1;
    const guesses = sequence.guess(Math.min(room, DRAFT_TOKENS_MAX));
    const count = policy.choose((rows) => this.#costs.stepMs(rows, block.capacity), guesses.length);
    return guesses.slice(0, count);
  }

  async #prefill(sequence: Sequence): Promise<void> {
    if (this.#copyRows(sequence, this.#blocksAtOnce)) return;
    const { group, slot } = this.#groups.placeOf(sequence);
    const { length, piecesLeft } = sequence;
    const { block } = group;
    const othersWait = this.#running.some(decodesNext);
    const count = this.#init.exact === true ? nextPiece(piecesLeft) : this.#nextPiece(sequence, block.capacity);
    // In strides, because growing copies what is there; not at once, because every step pays for all of it.
    const { capacity } = block;
    const roomy = length + Math.min(piecesLeft, count + Math.max(PREFILL_TOKENS, length >> 1));
    if (length + count > capacity) {
      if (othersWait && this.#room.slowlyFor(group, roomy)) return;
      if (!this.#room.for(group, length + count, roomy)) return;
      // The copy took as long as a piece: others have their next token first.
      if (othersWait) return;
    }
    const last = count === sequence.debt;
    const ids = sequence.ids.slice(length, length + count);
    const wanted = last ? [count - 1] : [];
    const step = { block, firstSlot: slot, lengths: [length], ids, wanted, prompt: !othersWait };
    await this.#step(step, [sequence], (_, { logits, rows }) => {
      this.#keep(sequence, rows, { index: 0, tokens: count }, count);
      if (sequence.piecesLeft === 0) this.#arranged = false;
      if (last) this.#draw(sequence, [logits], [], rows);
    });
  }

  /** Short enough that the others' tokens keep coming, where there are others. */
  #nextPiece(sequence: Sequence, capacity: number): number {
    const others = this.#groups.all.filter(({ sequences }) => sequences.some(decodesNext));
    const count = prefillChunk({
      left: sequence.piecesLeft,
      context: capacity,
      decoding: others.reduce((sum, { sequences }) => sum + sequences.length, 0),
      contextOfOthers: Math.max(0, ...others.map(({ block }) => block.capacity)),
      costs: this.#costs,
    });
    return others.length > 0 ? count : this.#upToKept(sequence, count);
  }

  /**
   * Of a piece, what a later prompt of the same ids finds kept; its rest is a piece of its own, and is computed alike then:
   * products on float activations differ in their last digits by how many rows they have, and of two tokens that are
   * nearly as likely another one would be drawn.
   */
  #upToKept({ ids, length }: Sequence, count: number): number {
    if (!this.#keepsPrefixes || this.#components.model.manyRowsMin === undefined) return count;
    const kept = Math.floor((ids.length - 1) / KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS;
    return length < kept && length + count > kept ? kept - length : count;
  }

  /**
   * One run of the graph, in its turn. Where one of several sequences makes it fail, each is run alone, so that only that
   * one pays for it.
   * @param onResult called for each of them; what it throws is that one's end
   */
  async #step(
    step: Step,
    sequences: readonly Sequence[],
    onResult: (sequence: Sequence, result: StepResult) => void,
  ): Promise<void> {
    try {
      await this.#components.turns.take(this.#closing.signal, async () => {
        const begun = this.#now();
        const result = await this.#components.model.step(step);
        const ms = this.#now() - begun;
        // The rest of a prompt says nothing of steps of so few rows, where those are computed in another form.
        const { manyRowsMin = 0 } = this.#components.model;
        if (step.prompt !== true || step.ids.length >= manyRowsMin) {
          this.#costs.add(step.ids.length, step.block.capacity, ms);
        }
        for (const sequence of sequences) {
          sequence.computed(ms);
          try {
            onResult(sequence, result);
          } catch (error) {
            this.#fail(sequence, error);
          }
        }
      });
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const [only] = sequences;
      if (sequences.length > 1) await this.#eachAlone(sequences);
      else if (only !== undefined) this.#fail(only, error);
    }
  }

  async #eachAlone(sequences: readonly Sequence[]): Promise<void> {
    for (const sequence of sequences) {
      if (!this.#running.includes(sequence) || !decodes(sequence)) continue;
      const { group, slot } = this.#groups.placeOf(sequence);
      const ids = Int32Array.of(sequence.ids[sequence.length] ?? 0);
      const wanted = sequence.debt === 1 ? [0] : [];
      const step = { block: group.block, firstSlot: slot, lengths: [sequence.length], ids, wanted };
      await this.#step(step, [sequence], (_, { logits, rows }) => {
        this.#keep(sequence, rows, { index: 0, tokens: 1 }, 1);
        if (wanted.length > 0) this.#draw(sequence, [logits], [], rows);
      });
    }
  }

  /**
   * New rows go into the cache; whole blocks of them into the tree, as soon as they are there.
   * @throws WeftError `internal` when they are no numbers: nothing of them is kept
   */
  #keep(
    sequence: Sequence,
    rows: NewRows,
    batch: { readonly index: number; readonly tokens: number; readonly first?: number },
    count: number,
  ): void {
    const { group, slot } = this.#groups.placeOf(sequence);
    const from = sequence.length;
    if (!areNumbers(rows, this.#components.model.layout, batch, count)) throw noNumbers();
    group.block.append(rows, batch, slot, from, count);
    sequence.length = from + count;
    this.#components.onRows?.({ request: sequence.request, from, count, rows, first: 0, ...batch });
    if (Math.floor(sequence.length / KV_BLOCK_TOKENS) === Math.floor(from / KV_BLOCK_TOKENS)) return;
    if (!this.#keepsPrefixes) return;
    this.#tree.insert('', sequence.ids.subarray(0, sequence.length), (at) => ({ data: group.block.read(slot, at) }));
  }

  /** Draws and sends; the sequence takes no part in steps meanwhile, and others don't wait for it. */
  #draw(sequence: Sequence, logits: readonly Float32Array[], guesses: readonly number[], rows: NewRows): void {
    sequence.busy = sequence
      .take(logits, guesses)
      .then(({ drawn, finish }) => {
        if (guesses.length > 0) this.#learn(sequence, guesses, drawn - 1, rows);
        if (finish !== undefined) sequence.finish(finish);
      })
      .catch((error: unknown) => this.#fail(sequence, error))
      .finally(() => {
        sequence.busy = undefined;
        this.#wakeUp();
      });
  }

  /** Guesses that were right have their rows already. */
  #learn(sequence: Sequence, guesses: readonly number[], right: number, rows: NewRows): void {
    this.#draftedTokens += guesses.length;
    this.#acceptedTokens += right;
    const policy = this.#policies.get(sequence);
    policy?.observe(guesses.length, right);
    if (policy !== undefined) this.#acceptance += (policy.acceptance - this.#acceptance) * ACCEPTANCE_WEIGHT;
    if (sequence.settled || !this.#running.includes(sequence)) return;
    // Where drawing took long, others may have been given the room: those without are computed again.
    const count = Math.min(right, this.#groups.placeOf(sequence).group.block.capacity - sequence.length);
    if (count > 0) this.#keep(sequence, rows, { index: 0, tokens: 1 + guesses.length, first: 1 }, count);
  }

  #fail(sequence: Sequence, error: unknown): void {
    this.#spoilt.add(sequence);
    sequence.fail(error);
  }

  // ── Memory ────────────────────────────────────────────────────────────────────────────────────

  /** Kept prefixes leave before sequences take their room; those that are being copied, too: the rest is computed. */
  #makeWay(bytes: number): void {
    this.#growing = bytes;
    this.#tree.trim();
    if (this.#reusing.size > 0 && this.#isOver(bytes)) {
      for (const sequence of [...this.#reusing.keys()]) this.#giveUpRows(sequence);
      this.#tree.trim();
    }
    this.#growing = 0;
  }

  /** Rows that are kept and not copied yet: they are computed instead. */
  #giveUpRows(sequence: Sequence): void {
    this.#release(sequence);
    const { cachedTokens = 0 } = sequence;
    sequence.cachedTokens = Math.min(cachedTokens, sequence.length);
    this.#cachedTokens -= cachedTokens - sequence.cachedTokens;
  }

  #release(sequence: Sequence): void {
    this.#reusing.get(sequence)?.release();
    this.#reusing.delete(sequence);
  }

  #isOver(extra: number): boolean {
    return this.#groups.bytes + this.#tree.bytes + extra > this.#init.kvBytesMax;
  }

  #tooLarge(tokens: number): WeftError {
    const { kvBytesMax } = this.#init;
    const needed = this.#groups.bytesFor(tokens + 1);
    return new WeftError({
      code: 'out_of_memory',
      message: `The cache of ${tokens} tokens takes ${mebibytes(needed)}; this model may take ${mebibytes(kvBytesMax)} for it.`,
      facts: { neededBytes: String(needed), limitBytes: String(kvBytesMax) },
    });
  }

  // ── Who is next ───────────────────────────────────────────────────────────────────────────────

  /**
   * The shortest rest of a prompt first, so that a short question doesn't wait for a book, and interactive work before batch
   * work; now and then the oldest.
   */
  #nextPrompt(): Sequence | undefined {
    const prompts = this.#running.filter((sequence) => goesOn(sequence) && sequence.piecesLeft > 0);
    const [oldest] = prompts;
    if (oldest === undefined) return undefined;
    this.#pieces++;
    if (this.#pieces % OLDEST_EVERY === 0) return oldest;
    return prompts.reduce((best, sequence) => {
      if (sequence.isBatch !== best.isBatch) return best.isBatch ? sequence : best;
      return sequence.piecesLeft < best.piecesLeft ? sequence : best;
    });
  }

  #wakeUp(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async #untilWoken(): Promise<void> {
    if (this.#woken || this.#closing.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }
}

/** It waits for more, as far as is known. */
const goesOn = (sequence: Sequence): boolean => !sequence.settled && !sequence.signal.aborted;

/** It can go forward by one token now. */
const decodes = (sequence: Sequence): boolean =>
  goesOn(sequence) && sequence.busy === undefined && sequence.piecesLeft === 0 && sequence.debt > 0;

/** Its next step copies: it needs a larger block, or one is being made ready. */
const growsNext = ({ block, sequences }: Group): boolean =>
  sequences.some(
    (sequence) => decodesNext(sequence) && (block.growingTo !== undefined || sequence.length >= block.capacity),
  );

/** It decodes, or will once its token is drawn. */
const decodesNext = (sequence: Sequence): boolean => !sequence.settled && sequence.piecesLeft === 0;

function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
