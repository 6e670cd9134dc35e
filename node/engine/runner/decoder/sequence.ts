// One generation as the batch loop sees it: its ids, how many of them have their rows in the cache, and how tokens that are
// drawn go out. Changed by the loop only.
import type { GenerateRequest, GenerateResult, TokenLogprob } from '../../../../protocol/infer.ts';
import { REPLAY_TOKENS_MAX } from '../../limits.ts';
import type { TokenConstraint } from '../constraint.ts';
import { Draw } from '../draw.ts';
import { type GenerationContext, generatedMax } from '../generate.ts';
import { PromptLookup } from './draft.ts';

export interface SequenceInit {
  readonly request: GenerateRequest;
  /** Tokens of a sequence that the model, or the memory that it may take, has room for. */
  readonly contextLength: number;
  readonly context: GenerationContext;
  readonly constraint: TokenConstraint | undefined;
  /** What was generated elsewhere is computed as it was there, token by token, up to REPLAY_TOKENS_MAX of them. */
  readonly exact: boolean;
}

/** What was drawn in one step. */
interface Drawn {
  readonly ids: number[];
  readonly logprobs: TokenLogprob[];
}

export class Sequence {
  readonly request: GenerateRequest;
  readonly result: Promise<GenerateResult>;
  /** Rows in the cache: those of the first so many ids. */
  length = 0;
  /** Of its prompt: taken from kept prefixes, as it was first admitted. */
  cachedTokens: number | undefined;
  computeMs = 0;
  /** Its tokens are being drawn, or wait for the link: it takes no part in steps. */
  busy: Promise<void> | undefined;
  /**
   * It waits longer than interactive work, and gives way before it. False for batch work too once it has been let in for
   * the second time, or because it was its turn.
   */
  isBatch: boolean;
  /** It ran, and its room was taken. */
  gaveWay = false;
  readonly #context: GenerationContext;
  readonly #constraint: TokenConstraint | undefined;
  readonly #draw: Draw;
  readonly #stopIds: ReadonlySet<number>;
  readonly #max: number;
  readonly #exact: boolean;
  readonly #resolve: (result: GenerateResult) => void;
  readonly #reject: (reason: unknown) => void;
  #ids: Int32Array;
  #count: number;
  #inPieces: number;
  #prefillMs: number | undefined;
  #settled = false;
  #lookup: PromptLookup | undefined;

  /** @throws WeftError of the constraint when the resumed tokens break it */
  constructor(init: SequenceInit) {
    const { request, context, constraint } = init;
    const { ids, promptLength } = request;
    this.request = request;
    this.isBatch = context.priority === 'batch';
    this.#context = context;
    this.#constraint = constraint;
    this.#stopIds = new Set(request.stopIds);
    this.#max = generatedMax(request, init.contextLength);
    this.#exact = init.exact;
    this.#ids = Int32Array.from(ids);
    this.#count = ids.length;
    const replays = init.exact && ids.length - promptLength <= REPLAY_TOKENS_MAX;
    this.#inPieces = replays ? promptLength : ids.length;
    const { promise, resolve, reject } = Promise.withResolvers<GenerateResult>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#draw = new Draw(request, constraint, context.signal);
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Prompt, what was resumed and what was drawn, as far as the model may see it; a view that is valid until the next draw. */
  get ids(): Int32Array {
    return this.#ids.subarray(0, this.#count);
  }

  /** Ids without rows. */
  get debt(): number {
    return this.#count - this.length;
  }

  /** Ids that are computed in pieces of any size before it decodes token by token. */
  get piecesLeft(): number {
    return Math.max(0, this.#inPieces - this.length);
  }

  get generated(): number {
    return this.#count - this.request.promptLength;
  }

  /** Tokens that it may still be given. */
  get left(): number {
    return this.#max - this.generated;
  }

  /** What there is to say without any step; undefined when it has to be computed. */
  finishedBefore(): GenerateResult['finish'] | undefined {
    const last = this.generated > 0 ? this.#ids[this.#count - 1] : undefined;
    if (last !== undefined && this.#stopIds.has(last)) return 'stop';
    return this.generated >= this.#max ? 'length' : undefined;
  }

  /** Tokens that may follow, guessed from its own text. */
  guess(max: number): number[] {
    const most = Math.min(max, this.left - 1);
    if (most < 1) return [];
    this.#lookup ??= new PromptLookup(this.ids);
    return this.#lookup.draft(most);
  }

  /** Its rows are gone: all its ids are computed again, in pieces or, where it is to be exact, as they were. */
  restart(): void {
    this.length = 0;
    this.gaveWay = true;
    if (!this.#exact) this.#inPieces = this.#count;
  }

  computed(ms: number): void {
    this.computeMs += ms;
  }

  /**
   * Draws from the logits of one position after the other, as long as what is drawn is what was guessed, and sends it.
   * @param rows logits of consecutive positions, float32 [vocabulary] each; the first is behind the last id
   * @param guesses that the further rows stand behind
   * @returns how many tokens were drawn, and whether that was the end
   * @throws WeftError of the draw or the constraint; the signal's reason
   */
  async take(
    rows: readonly Float32Array[],
    guesses: readonly number[],
  ): Promise<{ readonly drawn: number; readonly finish: GenerateResult['finish'] | undefined }> {
    const firstIndex = this.generated;
    const out: Drawn = { ids: [], logprobs: [] };
    let finish: GenerateResult['finish'] | undefined;
    for (const [at, logits] of rows.entries()) {
      const { id, run } = await this.#draw.next(logits, firstIndex + at);
      this.#prefillMs ??= this.computeMs;
      out.ids.push(id);
      if (run.logprobs !== undefined) out.logprobs.push(...run.logprobs);
      if (this.#stopIds.has(id)) finish = 'stop';
      else if (firstIndex + at + 1 >= this.#max) finish = 'length';
      // First of all, so that the next mask is computed while the token leaves and the graph runs.
      else this.#draw.accept(id);
      this.#add(id);
      if (finish !== undefined || id !== guesses[at]) break;
    }
    const { ids, logprobs } = out;
    const full = this.#context.item({ firstIndex, ids, ...(logprobs.length > 0 && { logprobs }) });
    if (full !== undefined) await full;
    return { drawn: ids.length, finish };
  }

  finish(finish: GenerateResult['finish']): void {
    if (!this.#settle()) return;
    const prefillMs = this.#prefillMs ?? this.computeMs;
    const timing = { queueMs: 0, loadMs: 0, computeMs: this.computeMs, prefillMs };
    const { generated, cachedTokens = 0 } = this;
    this.#resolve({ finish, generated, node: '', timing, ...(cachedTokens > 0 && { cachedTokens }) });
  }

  fail(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#constraint?.close();
    return true;
  }

  #add(id: number): void {
    if (this.#count === this.#ids.length) {
      const grown = new Int32Array(2 * this.#count + 64);
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids[this.#count++] = id;
    this.#lookup?.accept(id);
  }
}
