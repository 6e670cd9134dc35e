import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SessionMemory } from '../../../node/memory/sessions.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { SMOL } from '../scheduler/builders.ts';

function generation(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    model: SMOL,
    ids: Int32Array.of(1, 2, 3),
    promptLength: 3,
    maxNewTokens: 100,
    stopIds: [2],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 1n },
    ...changes,
  };
}

describe('SessionMemory', () => {
  it('resumes where the tokens end', () => {
    const session = new SessionMemory().open('req', generation());
    expect(session.append(0, [10, 11])).toEqual([10, 11]);
    expect(session.append(2, [12])).toEqual([12]);
    expect(session.generated).toBe(3);
    expect(session.resume()).toEqual({ ...generation(), ids: Int32Array.of(1, 2, 3, 10, 11, 12) });
  });

  it('resumes with everything that the request asks of its tokens', () => {
    const asked = generation({
      sampling: { temperature: 1, topP: 1, topK: 0, minP: 0.1, repetitionPenalty: 1.2, seed: 1n },
      constraint: { kind: 'json_object' },
      logprobs: 3,
    });
    const session = new SessionMemory().open('req', asked);
    session.append(0, [10]);
    expect(session.resume()).toEqual({ ...asked, ids: Int32Array.of(1, 2, 3, 10) });
  });

  it('counts tokens that the request was resumed with', () => {
    const session = new SessionMemory().open('req', generation({ ids: Int32Array.of(1, 2, 3, 10) }));
    expect(session.generated).toBe(1);
    expect(session.append(0, [10, 11])).toEqual([11]);
  });

  it('drops repeated tokens and refuses a gap', () => {
    const session = new SessionMemory().open('req', generation());
    session.append(0, [10, 11]);
    expect(session.append(0, [10])).toEqual([]);
    expect(session.append(1, [11, 12])).toEqual([12]);
    for (const index of [4, -1, 1.5, Number.NaN]) {
      expect(() => session.append(index, [14])).toThrow(expect.objectContaining({ code: 'internal' }));
    }
    expect(session.generated).toBe(3);
  });

  it('refuses tokens beyond the most that were asked for', () => {
    const session = new SessionMemory().open('req', generation({ maxNewTokens: 2 }));
    expect(() => session.append(0, [1, 2, 3])).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(session.append(0, [1, 2])).toEqual([1, 2]);
  });

  it('remembers no more sessions and tokens than it may, and forgets what is closed', () => {
    const few = new SessionMemory({ sessionsMax: 1 });
    const first = few.open('a', generation());
    expect(() => few.open('b', generation())).toThrow(expect.objectContaining({ code: 'overloaded' }));
    first.close();
    first.close();
    expect(few.sessions).toBe(0);
    few.open('b', generation()).close();

    const small = new SessionMemory({ tokensMax: 150 });
    const held = small.open('a', generation());
    expect(() => small.open('b', generation())).toThrow(expect.objectContaining({ code: 'overloaded' }));
    held.close();
    small.open('b', generation()).close();
    expect(small.sessions).toBe(0);
  });

  it('gives out each token once and in order, however chunks repeat and overlap', () => {
    const chunks = fc.array(fc.record({ back: fc.nat(5), length: fc.nat(7) }), { maxLength: 30 });
    fc.assert(
      fc.property(chunks, (list) => {
        const session = new SessionMemory().open('req', generation({ maxNewTokens: 1000 }));
        const out: number[] = [];
        for (const { back, length } of list) {
          const from = Math.max(0, session.generated - back);
          out.push(
            ...session.append(
              from,
              Array.from({ length }, (_, offset) => 1000 + from + offset),
            ),
          );
        }
        expect(out).toEqual(Array.from({ length: session.generated }, (_, index) => 1000 + index));
      }),
    );
  });
});
