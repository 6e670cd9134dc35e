// The last answers of /v1/responses, for requests that go on from one. In memory only, bounded by count, by bytes and by
// age; those that were not referred to for longest leave first. Used by the endpoints.
import type { InputMessage, OutputItem, Response } from '../../protocol/api/openai.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { GatewayLimits } from './limits.ts';

/** An answer, and what it answers. */
export interface StoredResponse {
  readonly response: Response;
  /** All that was said before it, item by item, but for the instructions. */
  readonly conversation: readonly InputMessage[];
}

export interface ResponseStoreComponents {
  readonly clock: Clock;
}

type StoreLimits = Pick<
  GatewayLimits,
  'storedResponsesMax' | 'storedBytesMax' | 'storedResponseBytesMax' | 'storedMsMax'
>;

interface Entry {
  /** All but the output as JSON: thousands of small objects would take several times the bytes that are counted. */
  readonly text: Uint8Array;
  readonly output: readonly OutputItem[];
  readonly bytes: number;
  /** By the clock's `now`. */
  readonly usedAt: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class ResponseStore {
  readonly #clock: Clock;
  readonly #limits: StoreLimits;
  /** By id; what was used last is last. */
  readonly #entries = new Map<string, Entry>();
  /** Item's id → its answer's id, and itself. */
  readonly #items = new Map<string, { readonly owner: string; readonly item: OutputItem }>();
  #bytes = 0;
  #timer: Timer | undefined;

  constructor({ clock }: ResponseStoreComponents, limits: StoreLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Answers that are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** What they take, as JSON. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps an answer, and forgets others where there are too many. @returns false for one that is too large */
  keep({ response, conversation }: StoredResponse): boolean {
    const { id, output } = response;
    const text = encoder.encode(JSON.stringify({ response: { ...response, output: [] }, conversation }));
    const bytes = text.byteLength + encoder.encode(JSON.stringify(output)).byteLength;
    if (bytes > this.#limits.storedResponseBytesMax) return false;
    this.#entries.set(id, { text, output, bytes, usedAt: this.#clock.now() });
    this.#bytes += bytes;
    for (const item of output) this.#items.set(item.id, { owner: id, item });
    this.#shrink();
    return true;
  }

  /** An answer by its id, which counts as its use. */
  get(id: string): StoredResponse | undefined {
    const entry = this.#use(id);
    if (entry === undefined) return undefined;
    const { response, conversation } = JSON.parse(decoder.decode(entry.text)) as StoredResponse;
    return { response: { ...response, output: [...entry.output] }, conversation };
  }

  /** An item of an answer by its own id, which counts as the answer's use. */
  item(id: string): OutputItem | undefined {
    const found = this.#items.get(id);
    return found === undefined || this.#use(found.owner) === undefined ? undefined : found.item;
  }

  /** Forgets an answer. Others that went on from it have their own copy of what was said. @returns false if unknown */
  delete(id: string): boolean {
    this.#shrink();
    return this.#drop(id);
  }

  #use(id: string): Entry | undefined {
    this.#shrink();
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    this.#entries.set(id, { ...entry, usedAt: this.#clock.now() });
    return entry;
  }

  /** Forgets what is too old or too much, and comes back when the next one is due. */
  #shrink(): void {
    const { storedResponsesMax, storedBytesMax, storedMsMax } = this.#limits;
    const now = this.#clock.now();
    for (const [id, { usedAt }] of this.#entries) {
      const dueMs = usedAt + storedMsMax - now;
      const tooMuch = this.#entries.size > storedResponsesMax || this.#bytes > storedBytesMax;
      if (dueMs > 0 && !tooMuch) {
        this.#comeBack(dueMs);
        return;
      }
      this.#drop(id);
    }
  }

  #comeBack(afterMs: number): void {
    this.#timer ??= this.#clock.after(afterMs, () => {
      this.#timer = undefined;
      this.#shrink();
    });
  }

  #drop(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    this.#bytes -= entry.bytes;
    for (const item of entry.output) this.#items.delete(item.id);
    return true;
  }
}
