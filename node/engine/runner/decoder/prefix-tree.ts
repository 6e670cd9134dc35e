// Keeps the KV rows of prompts and answers, so that a later prompt that begins alike computes only its rest. A tree over
// blocks of tokens: a block stands under the block before it, so prefixes share what they have in common (RadixAttention,
// Zheng et al., NeurIPS 2024; automatic prefix caching in vLLM, Kwon et al., SOSP 2023). One node per block instead of
// compressed edges: a node takes about 0.4 KB, the rows it stands for hundreds, and blocks are what is evicted.
import { assert } from '../../../core/assert.ts';
import { type HeapItem, MinHeap } from './min-heap.ts';

/** KV rows of one block of tokens: every layer's keys and values, [2 · layers][kv heads][blockTokens][head size]. */
export interface KvRows {
  readonly data: Float32Array | Uint16Array;
}

export interface PrefixTreeInit {
  readonly blockTokens: number;
  /** Bytes of one block's rows. */
  readonly blockBytes: number;
  /** The budget; it may shrink while the tree is in use, see {@link PrefixTree.trim}. */
  readonly bytesMax: () => number;
}

/** A prefix that is there; its rows can't be evicted until it is released. */
export interface PrefixMatch {
  /** A multiple of blockTokens; 0 = nothing is known of this prompt. */
  readonly tokens: number;
  /** One per block, in order; emptied by `release`, so that nobody holds rows that the budget no longer counts. */
  readonly rows: readonly KvRows[];
  /** May be called more than once. */
  release(): void;
}

/** Uses that still raise a block's worth: what was popular for long leaves all the same, soon after its last use. */
const USES_COUNTED_MAX = 32;

/**
 * Context at which attention takes as long as the rest of a token's work, so that a token at this position costs twice
 * the first one. SmolLM2 with the rewritten graph: 13 ms at 32 tokens, 20 ms at 1,024 on one core.
 */
const ATTENTION_TOKENS = 2_048;

/** The start of a scope's prefixes, or a block. */
interface Place {
  /** undefined: the start of a scope. */
  readonly parent: Place | undefined;
  /** The block's tokens, or the scope. */
  readonly key: string;
  readonly children: Map<string, Block>;
}

interface Block extends Place, HeapItem {
  readonly parent: Place;
  readonly rows: KvRows;
  /** Time to compute the block, in blocks at position 0. */
  readonly cost: number;
  /** Blocks of an earlier epoch were cleared while somebody held them; they go when they are released. */
  readonly epoch: number;
  uses: number;
  pins: number;
}

/**
 * Prefixes of different scopes never match each other: whether a prompt's prefix is there shows in the time of its first
 * token, so what one caller must not learn of another goes into a scope of its own. Scope '' is everyone's.
 *
 * What goes first when the budget is full: GreedyDual-Size-Frequency (Cherkasova, HPL-98-69R1, 1998; after Cao and Irani,
 * USITS 1997). A block is worth `age + uses · cost` as of its last use, where its cost is the time to compute it again and
 * grows with its position; all blocks have one size. The least worthy goes, and `age` rises to its worth, so that what
 * stays unused loses against what comes. Only blocks that no other stands on may go, so a shared beginning outlives its
 * ends. A block that is worth less than all that could go is not kept; it raises `age` as if it had come and gone, and
 * so the next one has a better chance.
 */
export class PrefixTree {
  readonly #init: PrefixTreeInit;
  readonly #starts = new Map<string, Place>();
  /** Blocks that may go: nothing stands on them and nobody holds them. */
  readonly #loose = new MinHeap<Block>();
  #blocks = 0;
  #age = 0;
  #clock = 0;
  #epoch = 0;

  constructor(init: PrefixTreeInit) {
    assert(init.blockTokens > 0 && init.blockBytes > 0, 'a block holds something');
    this.#init = init;
  }

  /** Bytes of all rows that are kept, those that were cleared and are still held included. */
  get bytes(): number {
    return this.#blocks * this.#init.blockBytes;
  }

  get blocks(): number {
    return this.#blocks;
  }

  /**
   * The longest run of whole blocks at the start of `ids` that is there; counts as a use of each.
   * @param tokensMax at least one token has to be computed for its logits, so usually one less than there are ids
   */
  match(scope: string, ids: Int32Array, tokensMax: number): PrefixMatch {
    const rows: KvRows[] = [];
    let held: Block | undefined;
    for (const block of this.#path(scope, ids, tokensMax)) {
      block.uses = Math.min(block.uses + 1, USES_COUNTED_MAX);
      this.#touch(block);
      rows.push(block.rows);
      held = block;
    }
    if (held !== undefined) this.#hold(held);
    return {
      tokens: rows.length * this.#init.blockTokens,
      rows,
      release: () => {
        if (held === undefined) return;
        rows.length = 0;
        this.#letGo(held);
        held = undefined;
        // The budget may have shrunk below what was held.
        this.trim();
      },
    };
  }

  /**
   * Keeps the whole blocks of `ids` that are not there yet, in order, until the budget holds nothing but what is held or
   * worth more.
   * @param read the rows of the block that begins at this token, in memory of their own; called once for each block that
   * is kept, after room has been made for it. What it throws comes through, and what was kept before stays.
   * @returns how many tokens at the start of `ids` are there now
   */
  insert(scope: string, ids: Int32Array, read: (fromToken: number) => KvRows): number {
    this.trim();
    let at: Place = this.#starts.get(scope) ?? { parent: undefined, key: scope, children: new Map() };
    let tokens = 0;
    for (const block of this.#path(scope, ids, ids.length)) {
      this.#touch(block);
      at = block;
      tokens += this.#init.blockTokens;
    }
    if (isBlock(at)) this.#hold(at);
    try {
      for (; tokens + this.#init.blockTokens <= ids.length; tokens += this.#init.blockTokens) {
        const cost = 1 + tokens / ATTENTION_TOKENS;
        if (!this.#makeRoom(this.#age + cost)) break;
        const block = this.#block(at, this.#key(ids, tokens), read(tokens), cost);
        // What stands on it protects the one before: the path is held by its end.
        if (isBlock(at)) this.#letGo(at);
        at = block;
      }
    } finally {
      if (isBlock(at)) this.#letGo(at);
    }
    return tokens;
  }

  /** Evicts until the budget is kept, or nothing is left but what is held. */
  trim(): void {
    const bytesMax = this.#init.bytesMax();
    while (this.bytes > bytesMax && this.#loose.least !== undefined) this.#evict(this.#loose.least);
  }

  /** Nothing matches any more; what is held is freed when it is released. */
  clear(): void {
    this.#epoch++;
    this.#starts.clear();
    while (this.#loose.least !== undefined) this.#remove(this.#loose.least);
  }

  /** The blocks at the start of `ids` that are there, in order. */
  *#path(scope: string, ids: Int32Array, tokensMax: number): Generator<Block, void> {
    const { blockTokens } = this.#init;
    const end = Math.min(ids.length, tokensMax);
    let at = this.#starts.get(scope);
    for (let from = 0; at !== undefined && from + blockTokens <= end; from += blockTokens) {
      const block: Block | undefined = at.children.get(this.#key(ids, from));
      if (block !== undefined) yield block;
      at = block;
    }
  }

  /** The block's ids, two characters each. `apply` takes the array as it is: four times as fast as spreading it. */
  #key(ids: Int32Array, from: number): string {
    const { blockTokens } = this.#init;
    const halves = new Uint16Array(ids.buffer, ids.byteOffset + 4 * from, 2 * blockTokens);
    return String.fromCharCode.apply(null, halves as unknown as number[]);
  }

  /** A new block, held. */
  #block(parent: Place, key: string, rows: KvRows, cost: number): Block {
    assert(rows.data.buffer.byteLength <= this.#init.blockBytes, 'the rows of a block take what the budget counts');
    const state = { uses: 1, pins: 1, worth: 0, used: 0, heapIndex: -1 };
    const block: Block = { parent, key, children: new Map(), rows, cost, epoch: this.#epoch, ...state };
    this.#touch(block);
    parent.children.set(key, block);
    // A scope is there while it has blocks; making room may just have taken its last one.
    if (!isBlock(parent)) this.#starts.set(parent.key, parent);
    this.#blocks++;
    return block;
  }

  /**
   * Renews a block's worth. Only the last one of a path can be in the heap, which is ordered by it, and whoever walks the
   * path takes that one out next, to hold it.
   */
  #touch(block: Block): void {
    block.worth = this.#age + block.uses * block.cost;
    block.used = ++this.#clock;
  }

  #hold(block: Block): void {
    block.pins++;
    if (block.heapIndex >= 0) this.#loose.remove(block);
  }

  #letGo(block: Block): void {
    block.pins--;
    if (block.pins > 0 || block.children.size > 0) return;
    if (block.epoch === this.#epoch) this.#loose.push(block);
    else this.#remove(block);
  }

  /** @returns false when there is none for a block of this worth */
  #makeRoom(worth: number): boolean {
    const bytesMax = this.#init.bytesMax();
    while (this.bytes + this.#init.blockBytes > bytesMax) {
      const { least } = this.#loose;
      if (least === undefined) return false;
      if (least.worth > worth) {
        this.#age = Math.max(this.#age, worth);
        return false;
      }
      this.#evict(least);
    }
    return true;
  }

  #evict(block: Block): void {
    this.#age = Math.max(this.#age, block.worth);
    this.#remove(block);
  }

  /** Removes a block on which nothing stands, and with it those before it that were kept for its sake only. */
  #remove(block: Block): void {
    for (let gone = block; ; ) {
      if (gone.heapIndex >= 0) this.#loose.remove(gone);
      this.#blocks--;
      const { parent } = gone;
      parent.children.delete(gone.key);
      if (parent.children.size > 0) return;
      if (!isBlock(parent)) {
        if (this.#starts.get(parent.key) === parent) this.#starts.delete(parent.key);
        return;
      }
      if (parent.pins > 0) return;
      if (parent.epoch === this.#epoch) {
        this.#loose.push(parent);
        return;
      }
      gone = parent;
    }
  }
}

function isBlock(place: Place): place is Block {
  return place.parent !== undefined;
}
