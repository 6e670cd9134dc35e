// Parts that peers have run, run again here: who gives something else gets no more of them.
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { CutAudits, type PeerPart } from '../../../node/dispatch/cut-audits.ts';
import { AUDIT_BYTES_MAX, DISTRUST_MS } from '../../../node/dispatch/limits.ts';
import type { RunRequest, RunResult } from '../../../protocol/infer.ts';
import { IDLE, offer } from '../scheduler/builders.ts';
import { compute, numberOf, RUN_X, TABLE, tables, tensorOf } from './cut-world.ts';
import { CountingTelemetry, ManualClock, settle } from './fakes.ts';
import { timedMesh } from './timed-mesh.ts';

const PART: RunRequest = {
  model: TABLE.model,
  part: { inputs: [{ name: 'a', type: 'float32', dims: [1] }], outputs: ['b'] },
  inputs: [tensorOf('a', 4)],
  outputs: [],
};
const RIGHT = compute(PART);
const WRONG = [tensorOf('b', numberOf(RIGHT[0] as never) * 2)];
const ran = (changes: Partial<PeerPart> = {}): PeerPart => ({
  node: 'b',
  request: PART,
  outputs: RIGHT,
  weightBytes: () => 10e6,
  key: 'digest 1 2',
  ...changes,
});

function auditing({ every = 3, memoryFreeBytes = 1e9, isHere = true } = {}) {
  const clock = new ManualClock();
  const telemetry = new CountingTelemetry();
  const runs: RunRequest[] = [];
  let answer = async (request: RunRequest): Promise<RunResult> => ({
    outputs: compute(request),
    node: 'self',
    timing: { queueMs: 0, loadMs: 0, computeMs: 1, prefillMs: 0 },
  });
  const audits = new CutAudits(
    {
      clock,
      log: silentLog,
      telemetry,
      local: {
        run: (request) => {
          runs.push(request);
          return answer(request);
        },
        offers: () => (isHere ? [offer()] : []),
        load: () => ({ ...IDLE, memoryFreeBytes }),
      },
    },
    { every },
  );
  return { audits, clock, runs, setAnswer: (next: typeof answer) => (answer = next) };
}

describe('an audit', () => {
  it('is made of the first run of a part on a peer, and of one in so many from then on', async () => {
    const { audits, runs } = auditing({ every: 3 });
    for (let run = 0; run < 7; run++) {
      audits.ran(ran());
      await settle();
    }
    expect(runs).toHaveLength(3);
    audits.ran(ran({ key: 'digest 2 3' }));
    await settle();
    audits.ran(ran({ node: 'c' }));
    await settle();
    expect(runs).toHaveLength(5);
    expect(audits.distrusted().size).toBe(0);
  });

  it('finds a peer that gives something else, which is then not trusted for a day', async () => {
    const { audits, clock } = auditing();
    audits.ran(ran({ outputs: WRONG }));
    await settle();
    expect([...audits.distrusted()]).toEqual([['b', expect.stringContaining('something else')]]);
    clock.advance(DISTRUST_MS + 1);
    expect(audits.distrusted().size).toBe(0);
  });

  it('takes last digits, and what rounding and blocks lose, for no lie', async () => {
    const { audits } = auditing({ every: 1 });
    const [value] = RIGHT.map(numberOf) as [number];
    for (const factor of [1 + 1e-6, 1.02]) {
      audits.ran(ran({ outputs: [tensorOf('b', value * factor)] }));
      await settle();
    }
    expect(audits.distrusted().size).toBe(0);
  });

  it.each([
    ['of a model that is not here', { isHere: false }, {}],
    ['where it would push others out of the memory', { memoryFreeBytes: 19e6 }, {}],
    ['of tensors that are too large to be held', {}, { inputs: AUDIT_BYTES_MAX + 1 }],
  ])('is not made %s', async (_what, init, { inputs }: { readonly inputs?: number }) => {
    const { audits, runs } = auditing(init);
    const large = { ...tensorOf('a', 4), data: new Uint8Array(inputs ?? 4) };
    audits.ran(ran({ outputs: WRONG, request: { ...PART, inputs: [large] } }));
    await settle();
    expect(runs).toEqual([]);
  });

  it('that this node has no time for says nothing of the peer, and another is made later', async () => {
    const { audits, runs, setAnswer } = auditing({ every: 1 });
    setAnswer(() => Promise.reject(new Error('stopping')));
    audits.ran(ran({ outputs: WRONG }));
    await settle();
    expect(audits.distrusted().size).toBe(0);
    setAnswer(async (request) => ({
      outputs: compute(request),
      node: 'self',
      timing: { queueMs: 0, loadMs: 0, computeMs: 1, prefillMs: 0 },
    }));
    audits.ran(ran({ outputs: WRONG }));
    await settle();
    expect([runs.length, audits.distrusted().size]).toEqual([2, 1]);
  });

  it('is made one at a time', async () => {
    const { audits, runs, setAnswer } = auditing({ every: 1 });
    setAnswer(() => new Promise(() => undefined));
    for (let run = 0; run < 4; run++) audits.ran(ran());
    await settle();
    expect(runs).toHaveLength(1);
  });
});

describe('a peer that lies about parts', () => {
  const world = (auditEvery: number) => {
    const made = timedMesh({
      nodes: { self: { claimedMs: 400 }, b: { claimedMs: 40 }, c: { claimedMs: 80 } },
      cuts: tables(true),
      hedgeShare: 0,
      auditEvery,
    });
    made.engine('b').outputsOf = (request) => compute(request).map(({ name }) => tensorOf(name, 1e6));
    const cut = async () => {
      const asked = { signal: new AbortController().signal, requestId: 'req_1', cut: { at: [1] } };
      const result = await made.outcome(made.dispatcher.run(RUN_X, asked));
      await settle();
      made.clock.advance(1_000);
      await settle();
      return result;
    };
    return { cut };
  };

  it('is found, and asked no more', async () => {
    const { cut } = world(100);
    expect((await cut()).nodes).toContain('b');
    // There is one audit at a time, and the first may have been another peer's.
    for (let request = 0; request < 2; request++) await cut();
    const later = await cut();
    expect(later.nodes).not.toContain('b');
    expect(later.outputs.map(numberOf)).toEqual(compute(RUN_X).map(numberOf));
  });

  it('goes on to where nobody looks', async () => {
    const { cut } = world(0);
    for (let request = 0; request < 3; request++) await cut();
    const later = await cut();
    expect(later.nodes).toContain('b');
    expect(later.outputs.map(numberOf)).not.toEqual(compute(RUN_X).map(numberOf));
  });
});
