import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WorkOptions } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import { type EncodeWorker, type ScatterEncodeInit, scatterEncode } from '../../../node/dispatch/scatter-encode.ts';
import type { EncodeRequest, EncodeResult } from '../../../protocol/infer.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { runs } from '../../support/property.ts';
import { SMOL } from '../scheduler/builders.ts';

const never = new AbortController().signal;

/** Encodes on a virtual clock: a vector is the sum of its text's ids, its length, its first segment, and the pooling. */
class SimEncoder {
  readonly node: string;
  readonly #clock: VirtualClock;
  readonly #tokensPerMs: number;
  readonly #change: (result: EncodeResult) => EncodeResult;
  readonly requests: EncodeRequest[] = [];
  readonly options: WorkOptions[] = [];
  #freeAtMs = 0;

  constructor(
    clock: VirtualClock,
    node: string,
    tokensPerMs: number,
    change: (result: EncodeResult) => EncodeResult = (result) => result,
  ) {
    this.#clock = clock;
    this.node = node;
    this.#tokensPerMs = tokensPerMs;
    this.#change = change;
  }

  encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    this.requests.push(request);
    this.options.push(options);
    const computeMs = request.ids.length / this.#tokensPerMs;
    const now = this.#clock.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now) + computeMs;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(this.#freeAtMs - now, () =>
        resolve(this.#change(this.#answer(request, computeMs))),
      );
      options.signal.addEventListener('abort', () => {
        timer.cancel();
        reject(options.signal.reason);
      });
    });
  }

  #answer({ ids, lengths, firstLengths, pooling }: EncodeRequest, computeMs: number): EncodeResult {
    const values: number[] = [];
    let at = 0;
    for (const [text, length] of lengths.entries()) {
      const sum = ids.subarray(at, at + length).reduce((total, id) => total + id, 0);
      values.push(sum, length, firstLengths?.[text] ?? -1, pooling.length);
      at += length;
    }
    const timing = { queueMs: 1, loadMs: 0, computeMs, prefillMs: 0 };
    return { embeddings: Float32Array.from(values), dimensions: 4, node: this.node, timing };
  }
}

function request(lengths: readonly number[], changes: Partial<EncodeRequest> = {}): EncodeRequest {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const ids = Int32Array.from({ length: tokens }, (_, index) => (index * 31) % 997);
  return { model: SMOL, ids, lengths: Int32Array.from(lengths), pooling: 'mean', normalize: true, ...changes };
}

const worker = (engine: SimEncoder, predictedMs: number): EncodeWorker => ({ engine, predictedMs });

async function encoded(
  whole: EncodeRequest,
  engines: readonly SimEncoder[],
  clock: VirtualClock,
  init: Partial<ScatterEncodeInit> = {},
) {
  const outcome = scatterEncode({ clock, log: silentLog }, whole, {
    engines: engines.map((engine) => worker(engine, 2_000)),
    options: { signal: never, requestId: 'req_1' },
    ...init,
  });
  return clock.until(outcome);
}

/** What one engine says of all of it. */
async function reference(whole: EncodeRequest): Promise<Float32Array> {
  const clock = new VirtualClock();
  const one = new SimEncoder(clock, 'one', 1_000);
  return (await clock.until(one.encode(whole, { signal: never, requestId: 'req_0' }))).embeddings;
}

describe('scatterEncode', () => {
  it('puts the vectors of every part where their texts were', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 200 }),
        fc.boolean(),
        fc.array(fc.double({ min: 0.2, max: 3, noNaN: true }), { minLength: 1, maxLength: 4 }),
        async (lengths, pairs, speeds) => {
          const firstLengths = pairs ? Int32Array.from(lengths, (length, text) => text % (length + 1)) : undefined;
          const whole = request(lengths, { pooling: pairs ? 'logits' : 'cls', ...(firstLengths && { firstLengths }) });
          const clock = new VirtualClock();
          const engines = speeds.map((speed, index) => new SimEncoder(clock, `n${index}`, speed));
          const done: number[] = [];
          const result = await encoded(whole, engines, clock, { onProgress: (texts) => done.push(texts) });
          expect(result.dimensions).toBe(4);
          expect(result.embeddings).toEqual(await reference(whole));
          expect(done.at(-1)).toBe(lengths.length);
          expect([...result.nodes].sort()).toEqual(
            engines.filter((engine) => result.parts.some(({ node }) => node === engine.node)).map(({ node }) => node),
          );
          // What each engine got is a request that it would take from anyone.
          for (const part of engines.flatMap(({ requests }) => requests)) {
            expect(part.lengths.reduce((sum, length) => sum + length, 0)).toBe(part.ids.length);
            expect(part.firstLengths?.length).toBe(pairs ? part.lengths.length : undefined);
          }
        },
      ),
      runs(60),
    );
  });

  it('gives texts of like length away together, the longest first', async () => {
    const clock = new VirtualClock();
    const engines = [new SimEncoder(clock, 'a', 1), new SimEncoder(clock, 'b', 1)];
    await encoded(request(Array.from({ length: 100 }, (_, text) => 1 + ((text * 37) % 50))), engines, clock);
    const parts = engines.flatMap(({ requests }) => requests);
    expect(parts.length).toBeGreaterThan(4);
    for (const { lengths } of parts) expect([...lengths]).toEqual([...lengths].sort((x, y) => y - x));
    expect(parts[0]?.lengths[0]).toBe(50);
  });

  it('passes on what the work is done under, and an id of its own for each part', async () => {
    const clock = new VirtualClock();
    const engines = [new SimEncoder(clock, 'a', 1), new SimEncoder(clock, 'b', 1)];
    const options = {
      signal: never,
      requestId: 'req_1',
      priority: 'batch',
      budgetMs: 10_000,
      traceParent: '00-1',
    } as const;
    const acknowledged: number[] = [];
    await encoded(request(Array.from({ length: 60 }, () => 40)), engines, clock, {
      options: { ...options, onAck: () => acknowledged.push(1) },
    });
    const seen = engines.flatMap((engine) => engine.options);
    expect(new Set(seen.map(({ requestId }) => requestId)).size).toBe(seen.length);
    for (const one of seen) {
      expect(one).toMatchObject({ priority: 'batch', traceParent: '00-1' });
      expect(one.requestId).toMatch(/^req_1\.\d+$/);
      expect(one.onAck).toBeUndefined();
    }
    expect(seen[0]?.budgetMs).toBe(10_000);
    expect(seen.at(-1)?.budgetMs).toBeLessThan(10_000);
  });

  it('names the node that computed longest, with its time in all', async () => {
    const clock = new VirtualClock();
    const twice = (result: EncodeResult): EncodeResult => ({
      ...result,
      timing: { ...result.timing, computeMs: result.timing.computeMs * 2 },
    });
    const engines = [new SimEncoder(clock, 'a', 1), new SimEncoder(clock, 'b', 3, twice)];
    const { node, timing, parts } = await encoded(request(Array.from({ length: 200 }, () => 20)), engines, clock);
    expect(parts.map((part) => part.node)).toEqual(['a', 'b']);
    expect(engines.some((engine) => engine.node === node)).toBe(true);
    expect(timing.computeMs).toBeGreaterThan(900);
    expect(timing.computeMs).toBeLessThanOrEqual(clock.now());
  });

  it('goes on without a node whose vectors are of another length, or too few', async () => {
    const lies: ((result: EncodeResult) => EncodeResult)[] = [
      (result) => ({ ...result, embeddings: new Float32Array(result.embeddings.length * 2), dimensions: 8 }),
      (result) => ({ ...result, embeddings: result.embeddings.subarray(1) }),
      (result) => ({ ...result, embeddings: new Float32Array(0), dimensions: 0 }),
      (result) => ({ ...result, dimensions: 1.5 }),
    ];
    for (const lie of lies) {
      const clock = new VirtualClock();
      const whole = request(Array.from({ length: 100 }, () => 30));
      // The liar is faster: its first answer is the first of all.
      const engines = [new SimEncoder(clock, 'liar', 4, lie), new SimEncoder(clock, 'honest', 1)];
      const result = await encoded(whole, engines, clock, { dimensions: 4 });
      expect(result.nodes).toEqual(['honest']);
      expect(result.embeddings).toEqual(await reference(whole));
      expect(result.failures.map(({ node, error }) => [node, error.code])).toContainEqual(['liar', 'frame_invalid']);
    }
  });

  it('never mixes vectors of two lengths; whoever is first is right where nobody knows better', async () => {
    const clock = new VirtualClock();
    const other = (result: EncodeResult): EncodeResult => ({
      ...result,
      embeddings: new Float32Array(result.embeddings.length * 2),
      dimensions: 8,
    });
    const engines = [new SimEncoder(clock, 'a', 4, other), new SimEncoder(clock, 'b', 1)];
    const result = await encoded(request(Array.from({ length: 100 }, () => 30)), engines, clock);
    expect(result.dimensions).toBe(8);
    expect(result.embeddings.length).toBe(800);
    expect(result.nodes).toEqual(['a']);
  });

  it('makes no room for vectors that no answer could hold', async () => {
    const clock = new VirtualClock();
    const huge = (result: EncodeResult): EncodeResult => {
      const dimensions = 1 << 20;
      const rows = result.embeddings.length / result.dimensions;
      return { ...result, embeddings: { length: rows * dimensions } as Float32Array, dimensions };
    };
    const whole = request(Array.from({ length: 100 }, () => 30));
    const engines = [new SimEncoder(clock, 'liar', 4, huge), new SimEncoder(clock, 'honest', 1)];
    const result = await encoded(whole, engines, clock);
    expect(result.nodes).toEqual(['honest']);
    expect(result.embeddings).toEqual(await reference(whole));
  });
});
