// What a generation hands on of an executor's answer: each token once with its own report, and nothing that can't be true.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, WorkOptions } from '../../../node/core/engine.ts';
import { GenerateWork } from '../../../node/dispatch/work.ts';
import { SessionMemory } from '../../../node/memory/sessions.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest, OnTokens, TokenLogprob } from '../../../protocol/infer.ts';
import { runs } from '../../support/property.ts';
import { generation, referenceStream, STOP_ID, TIMING } from './fakes.ts';

/** The report of one token of the reference stream, told by its id. */
const reportOf = (id: number, top: number): TokenLogprob => ({
  logprob: -id / 1_000,
  top: Array.from({ length: top }, (_, index) => ({ id: id + index, logprob: -1 - index })),
});

type Chunk = Parameters<OnTokens>;

/** Carries a generation out on an engine that sends these chunks, and says that it generated this many. */
async function carryOut(request: GenerateRequest, chunks: readonly Chunk[], generated: number) {
  const session = new SessionMemory().open('req', request);
  const seen: Chunk[] = [];
  const work = new GenerateWork(request, session, (...chunk) => seen.push(chunk), 128);
  const engine: Pick<Engine, 'generate'> = {
    generate: async (_request, _options, onTokens) => {
      for (const chunk of chunks) onTokens(...chunk);
      return { finish: 'length', generated, node: 'a', timing: TIMING };
    },
  };
  let abandoned: WeftError | undefined;
  const options: WorkOptions = { signal: new AbortController().signal, requestId: 'req' };
  const outcome = await work
    .begin(engine as Engine, options, {
      claim: () => abandoned === undefined,
      abandon: (reason) => {
        abandoned = reason;
      },
    })
    .then(
      () => undefined,
      (error: WeftError) => error,
    );
  return { seen, failure: abandoned ?? outcome };
}

describe('reports on tokens', () => {
  const stream = referenceStream(30);
  const chunks = fc.array(fc.record({ back: fc.nat(5), length: fc.integer({ min: 1, max: 7 }) }), { maxLength: 40 });

  it('stay with their tokens, whatever is repeated and whatever comes behind the end', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(3), async (list, top) => {
        let next = 0;
        const sent = list.map(({ back, length }): Chunk => {
          const from = Math.max(0, next - back);
          const ids = Array.from({ length }, (_, at) => stream[from + at] ?? 7);
          next = Math.max(next, from + length);
          return [from, ids, ids.map((id) => reportOf(id, top))];
        });
        const expected = stream.slice(0, next);
        const { seen } = await carryOut(generation({ logprobs: top }), sent, expected.length);
        expect(seen.flatMap(([, ids]) => ids)).toEqual(expected);
        expect(seen.flatMap(([, , reports]) => reports)).toEqual(expected.map((id) => reportOf(id, top)));
        let index = 0;
        for (const [first, ids] of seen) {
          expect(first).toBe(index);
          index += ids.length;
        }
      }),
      runs(300),
    );
  });

  it('are dropped where nobody asked for them', async () => {
    const { seen, failure } = await carryOut(generation({ maxNewTokens: 1 }), [[0, [5], [reportOf(5, 2)]]], 1);
    expect(failure).toBeUndefined();
    expect(seen).toEqual([[0, [5], undefined]]);
  });

  it.each<[string, Chunk]>([
    ['are missing', [0, [5]]],
    ['are too few', [0, [5, 6], [reportOf(5, 2)]]],
    ['are too many', [0, [5], [reportOf(5, 2), reportOf(6, 2)]]],
    ['name more alternatives than were asked for', [0, [5], [reportOf(5, 3)]]],
  ])('that %s are the failure of their node, and their tokens are not taken', async (_what, chunk) => {
    const { seen, failure } = await carryOut(generation({ logprobs: 2, maxNewTokens: 2 }), [chunk], 2);
    expect(failure).toMatchObject({ code: 'frame_invalid', elsewhere: true });
    expect(seen).toEqual([]);
  });

  it('may name fewer alternatives: a vocabulary may be small', async () => {
    const reports = [reportOf(STOP_ID, 1)];
    const { seen } = await carryOut(generation({ logprobs: 2 }), [[0, [STOP_ID], reports]], 1);
    expect(seen).toEqual([[0, [STOP_ID], reports]]);
  });
});
