// Which nodes computed which beginnings of prompts last: they hold the keys and values, and are spared the prefill. A block of
// tokens is known by the hash of itself and everything before it. Guesses: the executor's own word comes with its answer.
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { PREFIX_BLOCK_TOKENS, PREFIX_BLOCKS_MAX, PREFIX_HOLDERS_MAX, PREFIX_KEPT_MS } from './limits.ts';

interface Holder {
  readonly node: NodeId;
  readonly atMs: number;
}

export interface PrefixMemoryInit {
  /** @default PREFIX_BLOCKS_MAX */
  readonly blocksMax?: number;
}

export class PrefixMemory {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #blocksMax: number;
  /** By hash, in the order in which they were last computed; of each the newest holder first. */
  readonly #blocks = new Map<number, readonly Holder[]>();
  /** Since when a node is known to hold nothing. */
  readonly #emptied = new Map<NodeId, number>();

  constructor(components: { readonly clock: Pick<Clock, 'now'> }, init: PrefixMemoryInit = {}) {
    this.#clock = components.clock;
    this.#blocksMax = init.blocksMax ?? PREFIX_BLOCKS_MAX;
  }

  /** The node has computed these ids. */
  note(digest: string, ids: Int32Array, node: NodeId): void {
    const holder: Holder = { node, atMs: this.#clock.now() };
    const blocks = Math.min(this.#blocksMax, Math.floor(ids.length / PREFIX_BLOCK_TOKENS));
    let hash = seedOf(digest);
    for (let block = 0; block < blocks; block++) {
      hash = chained(hash, ids, block * PREFIX_BLOCK_TOKENS);
      const others = this.#blocks.get(hash)?.filter((other) => other.node !== node) ?? [];
      this.#blocks.delete(hash);
      this.#blocks.set(hash, [holder, ...others.slice(0, PREFIX_HOLDERS_MAX - 1)]);
    }
    keepNewest(this.#blocks, this.#blocksMax);
  }

  /** Leading tokens of these ids that nodes hold, by node; the last token is always computed. Undefined = none holds any. */
  cached(digest: string, ids: Int32Array): ReadonlyMap<NodeId, number> | undefined {
    if (this.#blocks.size === 0) return undefined;
    const sinceMs = this.#clock.now() - PREFIX_KEPT_MS;
    let cached: Map<NodeId, number> | undefined;
    let hash = seedOf(digest);
    for (let end = PREFIX_BLOCK_TOKENS; end <= ids.length; end += PREFIX_BLOCK_TOKENS) {
      hash = chained(hash, ids, end - PREFIX_BLOCK_TOKENS);
      const holders = this.#blocks.get(hash);
      if (holders === undefined) break;
      for (const { node, atMs } of holders) {
        if (atMs < sinceMs || atMs <= (this.#emptied.get(node) ?? Number.NEGATIVE_INFINITY)) continue;
        cached ??= new Map();
        // A node that lacks a block in the middle has no use for those behind it.
        if ((cached.get(node) ?? 0) === Math.min(end - PREFIX_BLOCK_TOKENS, ids.length - 1)) {
          cached.set(node, Math.min(end, ids.length - 1));
        }
      }
    }
    return cached === undefined || cached.size === 0 ? undefined : cached;
  }

  /** The node was started again, or was lost: what it held is gone. */
  forget(node: NodeId): void {
    if (this.#blocks.size === 0) return;
    const nowMs = this.#clock.now();
    for (const [other, sinceMs] of this.#emptied) {
      // Holders of before that time are too old by themselves.
      if (sinceMs >= nowMs - PREFIX_KEPT_MS) break;
      this.#emptied.delete(other);
    }
    this.#emptied.delete(node);
    this.#emptied.set(node, nowMs);
  }

  get blocks(): number {
    return this.#blocks.size;
  }
}

// Two 32-bit lanes of multiply-and-rotate give the 53 bits that a number holds. Nobody gains by a collision: it makes a guess
// wrong, and no answer.

const LANE = 0x1_0000_0000;
const LOW_BITS = 21;

function seedOf(digest: string): number {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let at = Math.max(0, digest.length - 16); at < digest.length; at++) {
    const code = digest.charCodeAt(at);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0xcc9e2d51);
  }
  return joined(high, low);
}

function chained(before: number, ids: Int32Array, from: number): number {
  let high = Math.floor(before / 2 ** LOW_BITS) | 0;
  let low = ((before % LANE) | 0) ^ 0x27d4eb2f;
  for (let at = from; at < from + PREFIX_BLOCK_TOKENS; at++) {
    const id = ids[at] ?? 0;
    high = Math.imul(high ^ id, 0xcc9e2d51);
    high = (high << 15) | (high >>> 17);
    low = Math.imul(low ^ id, 0x1b873593);
    low = (low << 13) | (low >>> 19);
    high = (high + low) | 0;
  }
  return joined(high ^ (high >>> 16), low ^ (low >>> 15));
}

const joined = (high: number, low: number): number => (high >>> 0) * 2 ** LOW_BITS + (low >>> (32 - LOW_BITS));
