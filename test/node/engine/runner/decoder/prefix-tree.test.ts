// What the prefix tree finds, keeps and lets go: against a plain map of prefixes with the same policy written down
// naively, and in the cases that it is there for.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KvRows, type PrefixMatch, PrefixTree } from '../../../../../node/engine/runner/decoder/prefix-tree.ts';
import { runs } from '../../../../support/property.ts';

const BLOCK = 4;
const BYTES = 8;

/** A tree, and reads whose rows say which prefix they belong to. */
function harness(blocksMax: number) {
  const budget = { blocks: blocksMax };
  const tree = new PrefixTree({ blockTokens: BLOCK, blockBytes: BYTES, bytesMax: () => budget.blocks * BYTES });
  const prefixes = new WeakMap<KvRows, string>();
  const reads: number[] = [];
  const insert = (scope: string, ids: readonly number[]): number =>
    tree.insert(scope, Int32Array.from(ids), (from) => {
      // Room is made before rows are read.
      expect(tree.bytes + BYTES).toBeLessThanOrEqual(budget.blocks * BYTES);
      reads.push(from);
      const rows = { data: new Uint16Array(BYTES / 2) };
      prefixes.set(rows, name(scope, ids, from + BLOCK));
      return rows;
    });
  const match = (scope: string, ids: readonly number[], tokensMax = ids.length): PrefixMatch => {
    const found = tree.match(scope, Int32Array.from(ids), tokensMax);
    expect(found.tokens).toBe(found.rows.length * BLOCK);
    expect(found.tokens).toBeLessThanOrEqual(Math.max(0, Math.min(tokensMax, ids.length)));
    for (const [index, rows] of found.rows.entries()) {
      expect(prefixes.get(rows)).toBe(name(scope, ids, (index + 1) * BLOCK));
    }
    return found;
  };
  /** Tokens that match, without holding them. */
  const known = (scope: string, ids: readonly number[]): number => {
    const found = match(scope, ids);
    found.release();
    return found.tokens;
  };
  return { tree, budget, reads, insert, match, known };
}

const name = (scope: string, ids: readonly number[], end: number): string => `${scope}:${ids.slice(0, end).join(',')}`;
const range = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => from + index);

/** The same policy over a map from prefix to block; every question scans all of it. */
class NaiveCache {
  readonly blocks = new Map<string, { uses: number; cost: number; worth: number; used: number; pins: number }>();
  readonly #blocksMax: () => number;
  #age = 0;
  #clock = 0;

  constructor(blocksMax: () => number) {
    this.#blocksMax = blocksMax;
  }

  match(scope: string, ids: readonly number[], tokensMax: number): { tokens: number; release: () => void } {
    const path = this.#path(scope, ids, Math.min(ids.length, tokensMax));
    for (const key of path) this.#touch(key, 1);
    const last = path.at(-1);
    const block = last === undefined ? undefined : this.blocks.get(last);
    if (block !== undefined) block.pins++;
    return {
      tokens: path.length * BLOCK,
      release: () => {
        if (block === undefined) return;
        block.pins--;
        this.trim();
      },
    };
  }

  insert(scope: string, ids: readonly number[]): number {
    this.trim();
    const path = this.#path(scope, ids, ids.length);
    for (const key of path) this.#touch(key, 0);
    let tokens = path.length * BLOCK;
    for (; tokens + BLOCK <= ids.length; tokens += BLOCK) {
      const cost = 1 + tokens / 2048;
      const worth = this.#age + cost;
      if (this.blocks.size >= this.#blocksMax()) {
        const least = this.#least(tokens > 0 ? name(scope, ids, tokens) : undefined);
        if (least === undefined) break;
        if (least[1].worth > worth) {
          this.#age = worth;
          break;
        }
        this.#evict(least);
      }
      this.blocks.set(name(scope, ids, tokens + BLOCK), { uses: 1, cost, worth: 0, used: 0, pins: 0 });
      this.#touch(name(scope, ids, tokens + BLOCK), 0);
    }
    return tokens;
  }

  trim(): void {
    for (let least = this.#least(); least !== undefined; least = this.#least()) {
      if (this.blocks.size <= this.#blocksMax()) return;
      this.#evict(least);
    }
  }

  #path(scope: string, ids: readonly number[], end: number): string[] {
    const path: string[] = [];
    for (let to = BLOCK; to <= end && this.blocks.has(name(scope, ids, to)); to += BLOCK)
      path.push(name(scope, ids, to));
    return path;
  }

  #touch(key: string, uses: number): void {
    const block = this.blocks.get(key);
    if (block === undefined) throw new Error('only what is there is touched');
    block.uses = Math.min(32, block.uses + uses);
    block.worth = this.#age + block.uses * block.cost;
    block.used = ++this.#clock;
  }

  #least(except?: string) {
    const keys = [...this.blocks.keys()];
    return [...this.blocks]
      .filter(([key, { pins }]) => pins === 0 && key !== except && !keys.some((other) => other.startsWith(`${key},`)))
      .sort(([, a], [, b]) => a.worth - b.worth || a.used - b.used)[0];
  }

  #evict([key, { worth }]: readonly [string, { readonly worth: number }]): void {
    this.#age = Math.max(this.#age, worth);
    this.blocks.delete(key);
  }
}

describe('PrefixTree', () => {
  it('finds the longest run of whole blocks, up to the tokens that may come from it', () => {
    const { insert, known, match, reads, tree } = harness(100);
    expect(insert('', range(11))).toBe(8);
    expect(reads).toEqual([0, 4]);
    expect(known('', range(11))).toBe(8);
    expect(known('', [...range(7), 99])).toBe(4);
    expect(known('', [99, ...range(11)])).toBe(0);
    expect([8, 7, 4, 3, 0, -1].map((tokensMax) => match('', range(8), tokensMax).tokens)).toEqual([8, 4, 4, 0, 0, 0]);
    expect(insert('', [...range(8), 50, 51, 52, 53])).toBe(12);
    expect(reads).toEqual([0, 4, 8]);
    expect(tree.blocks).toBe(3);
  });

  it('tells ids apart that share their lower half, and takes them from the middle of an array', () => {
    const { insert, known, tree } = harness(100);
    insert('', [0, 1, 2, 3]);
    expect(known('', [0, 1, 2, 3 + 0x10000])).toBe(0);
    expect(known('', [0, 1, 2, -3])).toBe(0);
    expect(tree.match('', Int32Array.from([9, 0, 1, 2, 3]).subarray(1), 4).tokens).toBe(4);
  });

  it('never matches across scopes', () => {
    const { insert, known } = harness(100);
    insert('alice', range(8));
    expect(['', 'bob', 'alice'].map((scope) => known(scope, range(8)))).toEqual([0, 0, 8]);
  });

  it('is the naive cache: same matches, same evictions, and never above the budget', () => {
    const scope = fc.constantFrom('', 'a');
    // Few different ids, so that prefixes are shared, branch and come again.
    const ids = fc
      .array(fc.nat(2), { maxLength: 7, size: 'max' })
      .map((blocks) => blocks.flatMap((id) => range(BLOCK, 10 * id)))
      .chain((whole) => fc.nat(3).map((rest) => [...whole, ...range(rest, 90)]));
    const command = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('insert' as const), scope, ids }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('match' as const), scope, ids, less: fc.nat(6) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), which: fc.nat() }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('budget' as const), blocks: fc.nat(14), trims: fc.boolean() }),
      },
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80, size: 'max' }), fc.nat(14), (commands, blocksMax) => {
        const { tree, budget, insert, match } = harness(blocksMax);
        const naive = new NaiveCache(() => budget.blocks);
        const holds: { scope: string; ids: number[]; found: PrefixMatch; release: () => void }[] = [];
        for (const step of commands) {
          if (step.kind === 'insert') {
            expect(insert(step.scope, step.ids)).toBe(naive.insert(step.scope, step.ids));
          } else if (step.kind === 'match') {
            const tokensMax = step.ids.length - step.less;
            const found = match(step.scope, step.ids, tokensMax);
            const expected = naive.match(step.scope, step.ids, tokensMax);
            expect(found.tokens).toBe(expected.tokens);
            holds.push({ scope: step.scope, ids: step.ids, found, release: expected.release });
          } else if (step.kind === 'release') {
            const [hold] = holds.splice(step.which % Math.max(1, holds.length), 1);
            for (let twice = 0; twice < 2; twice++) hold?.found.release();
            hold?.release();
          } else {
            budget.blocks = step.blocks;
            // Whatever is added or let go keeps to the new budget, trimmed or not.
            if (!step.trims) continue;
            tree.trim();
            naive.trim();
          }
          if (step.kind === 'match') continue;
          expect(tree.blocks).toBe(naive.blocks.size);
          expect(tree.bytes).toBe(tree.blocks * BYTES);
          // What is held is there, and nothing but that may stand above a budget that has shrunk.
          const held = new Set<string>();
          for (const { scope: of, ids: prompt, found } of holds) {
            for (let to = BLOCK; to <= found.tokens; to += BLOCK) held.add(name(of, prompt, to));
          }
          for (const key of held) expect(naive.blocks.has(key)).toBe(true);
          if (step.kind !== 'release') expect(tree.blocks).toBeLessThanOrEqual(Math.max(budget.blocks, held.size));
        }
        for (const hold of holds) hold.found.release();
        budget.blocks = 0;
        tree.trim();
        expect(tree.bytes).toBe(0);
      }),
      runs(300),
    );
  });

  it('keeps the system prompt that many share, over one-off prompts', () => {
    const { insert, known } = harness(20);
    const system = range(32);
    for (let chat = 0; chat < 50; chat++) {
      const prompt = [...system, ...range(8, 1_000 + 10 * chat)];
      if (chat > 0) expect(known('', prompt)).toBe(32);
      insert('', prompt);
      insert('', range(40, 100_000 + 100 * chat));
    }
  });

  it('forgets what was popular once', () => {
    const { insert, known } = harness(4);
    const old = range(16);
    insert('', old);
    for (let use = 0; use < 1_000; use++) known('', old);
    let others = 0;
    while (insert('', range(16, 1_000 + 100 * others)) < 16) others++;
    expect(others).toBeGreaterThan(8);
    expect(others).toBeLessThan(200);
    expect(known('', old)).toBe(0);
  });

  it('lets those go first that were not used for longest, of what is worth the same', () => {
    const { insert, known } = harness(5);
    for (let prompt = 0; prompt < 5; prompt++) insert('', range(4, 10 * prompt));
    // To come upon it again renews it, without counting as a use.
    insert('', range(4, 0));
    for (const next of [50, 60, 70]) insert('', range(4, next));
    expect([0, 10, 20, 30, 40].map((from) => known('', range(4, from)))).toEqual([4, 0, 0, 0, 4]);
  });

  it('gives way at once when what was held is let go, after the budget has shrunk', () => {
    const { insert, match, tree, budget } = harness(4);
    insert('', range(16));
    const held = match('', range(16));
    budget.blocks = 1;
    tree.trim();
    expect(tree.blocks).toBe(4);
    held.release();
    expect(tree.blocks).toBe(1);
    budget.blocks = 0;
    expect(insert('', [])).toBe(0);
    expect(tree.blocks).toBe(0);
  });

  it('prefers the later of two blocks that are used alike: it takes longer to compute', () => {
    const { insert, known, tree, budget } = harness(1_000);
    const long = range(3_000);
    insert('', long);
    insert('', [...long, ...range(4, 9_000)]);
    insert('', range(4, 5_000));
    budget.blocks = tree.blocks - 1;
    tree.trim();
    expect(known('', range(4, 5_000))).toBe(0);
    expect(known('', [...long, ...range(4, 9_000)])).toBe(3_004);
  });

  it('keeps nothing where the budget holds nothing, or only what is held', () => {
    const none = harness(0);
    expect(none.insert('', range(8))).toBe(0);
    const { insert, match, known, reads } = harness(2);
    insert('', range(8));
    const held = match('', range(8));
    expect(insert('', range(8, 100))).toBe(0);
    expect(reads).toEqual([0, 4]);
    held.release();
    expect(held.rows).toEqual([]);
    expect(held.tokens).toBe(8);
    // Used twice, they outlive two that come and go.
    expect([1, 2, 3].map(() => insert('', range(8, 200)))).toEqual([0, 0, 8]);
    expect(known('', range(8))).toBe(0);
  });

  it('forgets all when it is cleared, and counts what is held until it is released', () => {
    const { insert, match, known, tree, budget } = harness(10);
    insert('', range(12));
    insert('', [...range(8), ...range(8, 50)]);
    insert('a', range(12));
    const [one, two, other] = [match('', range(8)), match('', range(12)), match('a', range(4))];
    tree.clear();
    expect(tree.blocks).toBe(4);
    expect(known('', range(12))).toBe(0);
    budget.blocks = 5;
    expect(insert('', range(12))).toBe(4);
    other.release();
    expect(insert('', range(12))).toBe(8);
    expect(one.rows).toHaveLength(2);
    one.release();
    expect(tree.blocks).toBe(5);
    two.release();
    expect(tree.blocks).toBe(2);
    expect(known('', range(12))).toBe(8);
    tree.clear();
    expect(tree.bytes).toBe(0);
  });

  it('keeps what it has read when a read fails, and nothing of the rest', () => {
    const { tree, known, insert } = harness(10);
    const failing = (from: number): KvRows => {
      if (from === 4) throw new Error('lost');
      return { data: new Uint16Array(BYTES / 2) };
    };
    expect(() => tree.insert('', Int32Array.from(range(12)), failing)).toThrow('lost');
    expect(tree.blocks).toBe(1);
    expect(tree.match('', Int32Array.from(range(12)), 12).tokens).toBe(4);
    expect(insert('b', range(8))).toBe(8);
    expect(known('b', range(8))).toBe(8);
  });

  it('takes no rows that hold more memory than is counted', () => {
    const { tree } = harness(10);
    const whole = new Uint16Array(BYTES * 100);
    const read = (): KvRows => ({ data: whole.subarray(0, BYTES / 2) });
    expect(() => tree.insert('', Int32Array.from(range(4)), read)).toThrow('what the budget counts');
  });

  it.each([
    ['all the same token', () => new Int32Array(131_072).fill(7)],
    ['no two alike', () => Int32Array.from({ length: 131_072 }, (_, index) => index)],
  ])('holds up against a prompt as long as any: %s', (_what, prompt) => {
    const ids = prompt();
    const rows: KvRows = { data: new Uint16Array(BYTES / 2) };
    const budget = { bytes: ids.length * BYTES };
    const tree = new PrefixTree({ blockTokens: 16, blockBytes: BYTES, bytesMax: () => budget.bytes });
    expect(tree.insert('', ids, () => rows)).toBe(ids.length);
    const found = tree.match('', ids, ids.length - 1);
    expect(found.tokens).toBe(ids.length - 16);
    expect(tree.blocks).toBe(ids.length / 16);
    tree.clear();
    expect(tree.blocks).toBe(ids.length / 16 - 1);
    found.release();
    expect(tree.blocks).toBe(0);
    tree.insert('', ids, () => rows);
    budget.bytes = 0;
    tree.trim();
    expect(tree.blocks).toBe(0);
  });

  it('ends up empty of scopes that were used once', () => {
    const { insert, tree } = harness(3);
    // Every scope evicts the one before; what remains is what the last ones hold.
    for (let scope = 0; scope < 1_000; scope++) insert(String(scope), range(4, scope));
    expect(tree.blocks).toBe(3);
    expect(insert('', range(4))).toBe(4);
    expect(insert('', range(4, 70))).toBe(4);
  });
});
