// What dispatch learns on its own: lengths of answers, holders of prefixes, who came back as another, and who takes longer
// than he says.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Incarnations } from '../../../node/dispatch/incarnations.ts';
import { OUTPUT_TOKENS_EXPECTED, PREFIX_BLOCK_TOKENS, PREFIX_KEPT_MS } from '../../../node/dispatch/limits.ts';
import { OutputLengths } from '../../../node/dispatch/output-lengths.ts';
import { PrefixMemory } from '../../../node/dispatch/prefix-memory.ts';
import { Residuals } from '../../../node/dispatch/residuals.ts';
import { runs } from '../../support/property.ts';
import { offer, PROFILE, peer } from '../scheduler/builders.ts';
import { generation, ManualClock } from './fakes.ts';
import { RUN, type Script, timedMesh } from './timed-mesh.ts';

const options = { signal: new AbortController().signal, requestId: 'req_test' };
const DIGEST = 'sha256:1';

describe('lengths of answers', () => {
  it('are a guess within the bound at first, and their median then', () => {
    const lengths = new OutputLengths();
    expect(lengths.expected(DIGEST, 1_000)).toBe(OUTPUT_TOKENS_EXPECTED);
    expect(lengths.expected(DIGEST, 7)).toBe(7);
    for (const tokens of [10, 12, 11, 500, 9]) lengths.note(DIGEST, tokens);
    expect(lengths.expected(DIGEST, 1_000)).toBe(11);
    expect(lengths.expected(DIGEST, 5)).toBe(5);
    expect(lengths.expected('sha256:2', 1_000)).toBe(OUTPUT_TOKENS_EXPECTED);
  });

  it('are not learned from answers that were cut short', () => {
    const lengths = new OutputLengths();
    for (let answer = 0; answer < 9; answer++) lengths.note(DIGEST, 200);
    for (let answer = 0; answer < 60; answer++) lengths.note(DIGEST, 1, false);
    expect(lengths.expected(DIGEST, 1_000)).toBe(200);
  });

  it('follow a model that begins to talk more', () => {
    const lengths = new OutputLengths();
    for (let answer = 0; answer < 1_000; answer++) lengths.note(DIGEST, 10);
    for (let answer = 0; answer < 40; answer++) lengths.note(DIGEST, 300);
    expect(lengths.expected(DIGEST, 1_000)).toBe(300);
  });

  it('go into the next placement', async () => {
    const script: Script = () => ({ ms: 10, saysComputeMs: 30 });
    const mesh = timedMesh({ nodes: { a: { claimedMs: 10, script } }, length: 20 });
    const priceOf = () => mesh.dispatcher.plan('generate', generation()).price.computeMs;
    const before = priceOf();
    await mesh.outcome(mesh.dispatcher.generate(generation(), options, () => undefined));
    expect(Math.abs(before - priceOf() - (OUTPUT_TOKENS_EXPECTED - 20))).toBeLessThan(2);
  });
});

describe('prefixes', () => {
  const ids = (length: number, seed = 0): Int32Array => Int32Array.from({ length }, (_, at) => seed * 7919 + at);

  it('are known by whole blocks from the beginning, and the last token is always computed', () => {
    const memory = new PrefixMemory({ clock: new ManualClock() });
    memory.note(DIGEST, ids(40), 'a');
    expect(memory.cached(DIGEST, ids(100))).toEqual(new Map([['a', 32]]));
    expect(memory.cached(DIGEST, ids(32))).toEqual(new Map([['a', 31]]));
    expect(memory.cached(DIGEST, ids(15))).toBeUndefined();
    expect(memory.cached(DIGEST, ids(100, 1))).toBeUndefined();
    expect(memory.cached('sha256:2', ids(100))).toBeUndefined();
  });

  it('are those that a naive memory of every prompt would find', () => {
    const prompt = fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 6 });
    const notes = fc.array(fc.tuple(prompt, fc.constantFrom('a', 'b', 'c')), { maxLength: 20 });
    // Few kinds of blocks, so that many prompts begin alike.
    const tokens = (blocks: readonly number[]): Int32Array =>
      Int32Array.from({ length: blocks.length * PREFIX_BLOCK_TOKENS }, (_, at) => blocks[at >> 4] ?? 0);
    fc.assert(
      fc.property(notes, prompt, (noted, asked) => {
        const memory = new PrefixMemory({ clock: new ManualClock() });
        const expected = new Map<string, number>();
        for (const [blocks, node] of noted) {
          memory.note(DIGEST, tokens(blocks), node);
          let common = 0;
          while (common < Math.min(blocks.length, asked.length) && blocks[common] === asked[common]) common++;
          const held = Math.min(common * PREFIX_BLOCK_TOKENS, asked.length * PREFIX_BLOCK_TOKENS - 1);
          if (common > 0) expected.set(node, Math.max(held, expected.get(node) ?? 0));
        }
        expect(memory.cached(DIGEST, tokens(asked)) ?? new Map()).toEqual(expected);
      }),
      runs(300),
    );
  });

  it('are forgotten with time, with their node, and beyond a bound', () => {
    const clock = new ManualClock();
    const memory = new PrefixMemory({ clock }, { blocksMax: 10 });
    memory.note(DIGEST, ids(64), 'a');
    memory.note(DIGEST, ids(64), 'b');
    memory.forget('a');
    expect(memory.cached(DIGEST, ids(64))).toEqual(new Map([['b', 63]]));
    clock.advance(1);
    memory.note(DIGEST, ids(64), 'a');
    expect(memory.cached(DIGEST, ids(64))?.size).toBe(2);
    clock.advance(PREFIX_KEPT_MS + 1);
    expect(memory.cached(DIGEST, ids(64))).toBeUndefined();
    for (let seed = 0; seed < 100; seed++) memory.note(DIGEST, ids(160, seed), 'a');
    expect(memory.blocks).toBe(10);
    memory.note(DIGEST, ids(16_000, 200), 'a');
    expect(memory.blocks).toBe(10);
  });

  it('draw a prompt to the node that has computed its beginning', async () => {
    const slope = { offer: { profile: { ...PROFILE, perTokenMs: 1, decodeMs: 1 } } };
    const script: Script = () => ({ ms: 2_058, saysComputeMs: 2_078 });
    const node = { claimedMs: 10, script, ...slope };
    const mesh = timedMesh({ nodes: { a: node, b: node } });
    const asking = (length: number, seed: number) => generation({ ids: ids(length, seed), promptLength: length });
    const first = await mesh.outcome(mesh.dispatcher.generate(asking(2048, 0), options, () => undefined));
    const before = mesh.dispatcher.plan('generate', asking(2050, 1));
    const after = mesh.dispatcher.plan('generate', asking(2050, 0));
    expect(after.node).toBe(first.node);
    expect(before.price.computeMs - after.price.computeMs).toBeGreaterThan(1_000);
    expect(after.others[0]?.price.computeMs).toBeGreaterThan(after.price.computeMs + 1_000);
  });
});

describe('ghosts', () => {
  const born = (incarnation: number) => {
    const record = peer('a', { offers: [offer()] });
    return { ...record, advert: { ...record.advert, incarnation } };
  };

  it('are left out as soon as a newer incarnation was seen, whoever still tells of them', () => {
    const reborn: string[] = [];
    const incarnations = new Incarnations((node) => reborn.push(node));
    const [old, young] = [born(1), born(2)];
    expect(incarnations.living([old])).toEqual([old]);
    expect(incarnations.living([old, young])).toEqual([young]);
    expect(incarnations.living([young, old])).toEqual([young]);
    expect(incarnations.living([old])).toEqual([]);
    const same = [young];
    expect(incarnations.living(same)).toBe(same);
    expect(reborn).toEqual(['a']);
  });

  it('are never asked', async () => {
    const mesh = timedMesh({ nodes: { a: { claimedMs: 10 }, b: { claimedMs: 500 } } });
    const [ghost, other] = mesh.peers();
    if (ghost === undefined || other === undefined) throw new Error('two peers');
    const risen = { ...ghost, state: 'gone' as const, advert: { ...ghost.advert, incarnation: 9 } };
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('a');
    mesh.setPeers([ghost, risen, other]);
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('b');
    mesh.setPeers([ghost, other]);
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('b');
    // A dispatcher that has not heard of the newer one takes the ghost for the node.
    const naive = timedMesh({ nodes: { a: { claimedMs: 10 }, b: { claimedMs: 500 } } });
    naive.setPeers([ghost, other]);
    expect((await naive.outcome(naive.dispatcher.run(RUN, options))).node).toBe('a');
  });

  it('take with them what was held against their node', async () => {
    const mesh = timedMesh({ nodes: { a: { claimedMs: 10, script: failing }, b: { claimedMs: 500 } } });
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).nodes).toEqual(['a', 'b']);
    expect(mesh.dispatcher.plan('run', RUN).node).toBe('b');
    const [a, b] = mesh.peers();
    if (a === undefined || b === undefined) throw new Error('two peers');
    mesh.setPeers([{ ...a, advert: { ...a.advert, incarnation: 2 } }, b]);
    expect(mesh.dispatcher.plan('run', RUN).node).toBe('a');
  });
});

const failing: Script = () => ({ ms: 1, fails: 'peer_lost' });

describe('a peer that takes longer than it says', () => {
  /** Requests out of twelve that went to it. */
  const lost = async (script: Script): Promise<number> => {
    const mesh = timedMesh({ hedgeShare: 0, nodes: { liar: { claimedMs: 20, script }, b: { claimedMs: 100 } } });
    for (let request = 0; request < 12; request++) await mesh.outcome(mesh.dispatcher.run(RUN, options));
    return mesh.engine('liar').calls;
  };

  it('is left within three requests, though it tells the truth only now', async () => {
    expect(await lost(() => ({ ms: 400 }))).toBeLessThanOrEqual(3);
  });

  it('is left within three requests, whatever it says of its own time', async () => {
    expect(await lost(() => ({ ms: 400, saysComputeMs: 20 }))).toBeLessThanOrEqual(3);
    expect(await lost(() => ({ ms: 400, saysQueueMs: 380 }))).toBeLessThanOrEqual(3);
    expect(await lost(() => ({ ms: 400, saysComputeMs: 20, mute: true }))).toBeLessThanOrEqual(3);
  });

  it('is left within three requests after it had been well for long', async () => {
    const mesh = timedMesh({ hedgeShare: 0, nodes: { a: { claimedMs: 20 }, b: { claimedMs: 100 } } });
    for (let request = 0; request < 50; request++) await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(mesh.engine('a').calls).toBe(50);
    mesh.engine('a').script = () => ({ ms: 400 });
    for (let request = 0; request < 10; request++) await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(mesh.engine('a').calls).toBeLessThanOrEqual(53);
    // It is tried again later, and kept when it is well.
    mesh.engine('a').script = () => ({ ms: 20 });
    mesh.clock.advance(600_000);
    for (let request = 0; request < 10; request++) await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(mesh.engine('a').calls).toBeGreaterThan(60);
  });

  it('would not be left, were it believed', () => {
    const residuals = new Residuals({ clock: new ManualClock() });
    for (let answer = 0; answer < 12; answer++) residuals.note('liar', DIGEST, 20, 20);
    expect(residuals.current().compute('liar', DIGEST)).toBeCloseTo(1);
  });
});
