// Whatever dies whenever: the client sees the reference stream, or its beginning and a typed error.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode, WeftError } from '../../../protocol/errors.ts';
import { fakeMesh, generation, referenceStream, type Script } from './fakes.ts';

const ELSEWHERE = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].elsewhere);
const LENGTH = 30;

const scriptArbitrary: fc.Arbitrary<Script> = fc.record(
  {
    dieAt: fc.integer({ min: 0, max: LENGTH + 5 }),
    code: fc.constantFrom(...ELSEWHERE),
    repeat: fc.integer({ min: 0, max: 6 }),
    skipAt: fc.integer({ min: 0, max: LENGTH }),
    chunk: fc.integer({ min: 1, max: 7 }),
    overcount: fc.integer({ min: 1, max: 3 }),
    overrun: fc.integer({ min: 1, max: 3 }),
    undead: fc.boolean(),
  },
  { requiredKeys: [] },
);
const nodesArbitrary = fc.uniqueArray(fc.constantFrom('self', 'a', 'b', 'c', 'd'), { minLength: 1 }).chain((names) =>
  fc
    .array(fc.array(scriptArbitrary, { minLength: 1, maxLength: 3 }), {
      minLength: names.length,
      maxLength: names.length,
    })
    .map((scripts) => Object.fromEntries(names.map((name, index) => [name, scripts[index] ?? [{}]]))),
);

describe('recovery, whatever happens to up to five nodes', () => {
  it('loses no token, doubles none and keeps their order, or ends in a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(nodesArbitrary, fc.integer({ min: 1, max: LENGTH + 10 }), async (nodes, maxNewTokens) => {
        const mesh = fakeMesh({ nodes, length: LENGTH });
        const expected = referenceStream(LENGTH).slice(0, maxNewTokens);
        const tokens: number[] = [];
        try {
          const result = await mesh.dispatcher.generate(
            generation({ maxNewTokens }),
            { signal: new AbortController().signal, requestId: 'req' },
            (first, ids) => {
              expect(first).toBe(tokens.length);
              tokens.push(...ids);
            },
          );
          expect(tokens).toEqual(expected);
          expect(result).toMatchObject({
            generated: expected.length,
            finish: maxNewTokens < LENGTH ? 'length' : 'stop',
          });
        } catch (error) {
          if (!(error instanceof WeftError)) throw error;
          expect(tokens).toEqual(expected.slice(0, tokens.length));
        }
        const seen = tokens.length;
        await new Promise((resolve) => setImmediate(resolve));
        expect(tokens.length).toBe(seen);
        expect([mesh.memory.sessions, mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0, 0]);
      }),
      { numRuns: 400 },
    );
  });

  it('ends well while one node is left that does its work', async () => {
    await fc.assert(
      fc.asyncProperty(nodesArbitrary, fc.integer({ min: 0, max: 4 }), async (others, at) => {
        const names = Object.keys(others);
        // The good one may be fast or slow: it is asked first, or last.
        const order = [...names.slice(0, at), 'good', ...names.slice(at)];
        const nodes = Object.fromEntries(order.map((name) => [name, others[name] ?? [{}]]));
        const mesh = fakeMesh({ nodes, length: LENGTH });
        const tokens: number[] = [];
        await mesh.dispatcher.generate(
          generation(),
          { signal: new AbortController().signal, requestId: 'req' },
          (_first, ids) => tokens.push(...ids),
        );
        expect(tokens).toEqual(referenceStream(LENGTH));
      }),
      { numRuns: 400 },
    );
  });
});
