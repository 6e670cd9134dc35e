import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CutRequest,
  type CutRule,
  chooseCut,
  depthOf,
  type WholeChoice,
} from '../../../node/scheduler/choose-cut.ts';
import { type CutNode, CutPrices, worthCompressing } from '../../../node/scheduler/cut-price.ts';
import { CUT_GAIN_MS, CUT_GAIN_SHARE, RAW_SHARE_MIN } from '../../../node/scheduler/limits.ts';
import { CUT_SEGMENTS_MAX } from '../../../protocol/cut-table.ts';
import { runs } from '../../support/property.ts';
import { crossing, judge, node, randomRequest, randomTable, SELF, self, table, tensor } from './choose-cut-builders.ts';

const request = (changes: Partial<CutRequest> = {}): CutRequest => ({
  table: table(),
  self: self(),
  peers: [node('fast', { speed: 0.1 })],
  wholes: [],
  ...changes,
});

const depthFor = ({ table, rule }: CutRequest): number => (rule?.rawLocal ? depthOf(table, RAW_SHARE_MIN) : 0);

/** The frame is 20 MB at 0.1 MB/ms, what the first segment makes of it a hundredth: worth cutting there. */
const frames = request({
  table: table({
    tensors: [tensor('pixels', -1, [0], 20e6), tensor('small', 0, [1], 0.2e6), ...table().tensors.slice(2)],
  }),
  peers: [node('fast', { speed: 0.1, upMbPerMs: 0.1, rttMs: 1 })],
});

const whole = (name: string, totalMs: number, changes: Partial<WholeChoice> = {}): WholeChoice => ({
  node: name,
  totalMs,
  ...changes,
});

describe('bytes of a range', () => {
  it('are those of the tensors that cross its edges, whatever the graph', () => {
    fc.assert(
      fc.property(randomTable, (cut) => {
        const prices = new CutPrices(cut);
        for (let from = 0; from < prices.count; from++) {
          for (let to = from + 1; to <= prices.count; to++) {
            const { up, down } = crossing(cut, from, to);
            expect([prices.taken(from, to), prices.given(from, to)]).toEqual([up, down]);
          }
        }
      }),
      runs(200),
    );
  });

  it('are those of the form in which inputs and outputs travel, but what is computed is tensors', () => {
    const tensors = [tensor('pixels', -1, [0]), { ...tensor('both', 0, [1]), output: true as const }];
    const cut = table({ tensors, wholeMs: 0, partMsPerMb: 1 }, 2);
    const prices = new CutPrices(cut, new Map(Object.entries({ pixels: 1_000, both: 10 })));
    expect(prices.taken(0, 1)).toBe(1_000);
    // The next part needs the tensor itself.
    expect(prices.given(0, 1)).toBe(1e6);
    expect(prices.given(0, 2)).toBe(10);
    expect(prices.taken(1, 2)).toBe(1e6);
    expect(prices.computeMs(node('a'), 0, 1)).toBe(2);
  });

  it('count weights that several segments share once for each node', () => {
    const prices = new CutPrices(table({ shared: [{ bytes: 5e6, segments: [0, 3] }] }));
    expect(prices.weightBytes([{ from: 0, to: 1 }])).toBe(6e6);
    expect(prices.weightBytes([{ from: 1, to: 3 }])).toBe(2e6);
    expect(
      prices.weightBytes([
        { from: 0, to: 1 },
        { from: 3, to: 4 },
      ]),
    ).toBe(7e6);
  });
});

describe('the choice', () => {
  it('is as good as the best of all assignments', () => {
    fc.assert(
      fc.property(randomRequest, (asked) => {
        const best = judge(asked, depthFor(asked));
        const choice = chooseCut(asked);
        if (best === undefined) {
          expect(choice.refused).toBeDefined();
          return;
        }
        expect(choice.chosen).toBe('cut');
        expect(choice.totalMs).toBeCloseTo(best.totalMs, 6);
        if (asked.steady) expect(choice.periodMs).toBeCloseTo(best.periodMs, 6);
      }),
      runs(400),
    );
  });

  it('cuts where the judge cuts when the places are given', () => {
    const places = fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(randomRequest, places, (asked, list) => {
        const cutAt = list.filter((at) => at < asked.table.segments.length).sort((a, b) => a - b);
        const given = { ...asked, partsMax: 4, rule: { ...asked.rule, cutAt } };
        const best = judge(given, 0);
        const choice = chooseCut(given);
        if (best === undefined || cutAt.length === 0) {
          expect(choice.refused).toBeDefined();
          return;
        }
        expect(choice.parts.slice(1).map(({ from }) => from)).toEqual(cutAt);
        expect(choice.totalMs).toBeCloseTo(best.totalMs, 6);
      }),
      runs(300),
    );
  });

  it('never takes a cut that is not clearly sooner than the best whole plan', () => {
    const plans = fc.array(fc.double({ min: 0.1, max: 500, noNaN: true }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(randomRequest, plans, (asked, times) => {
        const wholes = times.map((totalMs, at) => whole(at === 0 ? SELF : `p${at - 1}`, totalMs));
        const given = { ...asked, rule: {}, wholes };
        const choice = chooseCut(given);
        const totals = asked.steady ? [1 / times.reduce((sum, ms) => sum + 1 / ms, 0)] : times;
        const best = Math.min(...totals);
        const cut = judge(given, 0);
        const cutMs = (asked.steady ? cut?.periodMs : cut?.totalMs) ?? Number.POSITIVE_INFINITY;
        const gain = best - cutMs;
        if (choice.chosen === 'cut') {
          expect(choice.periodMs).toBeLessThan(best * (1 - CUT_GAIN_SHARE) + 1e-6);
          if (!asked.steady) expect(choice.totalMs).toBeLessThan(best - CUT_GAIN_MS + 1e-6);
        } else {
          expect(choice.periodMs).toBeCloseTo(best, 6);
          // Of a stream, a thousandth of the answer's delay counts as well.
          if (!asked.steady) expect(gain <= Math.max(CUT_GAIN_MS, CUT_GAIN_SHARE * best) + 1e-6).toBe(true);
        }
      }),
      runs(300),
    );
  });

  it('says what it cost and what it beat', () => {
    const choice = chooseCut({
      ...frames,
      wholes: [whole(SELF, 40), whole('fast', 210), whole('old', 0, { reason: 'it has no room' })],
    });
    expect(choice.chosen).toBe('cut');
    expect(choice.parts.map((part) => [part.node, part.from, part.to])).toEqual([
      [SELF, 0, 1],
      ['fast', 1, 4],
    ]);
    const [first, second] = choice.parts;
    expect(first?.price.totalMs).toBeCloseTo(10);
    expect(second).toMatchObject({ bytesUp: 0.2e6, bytesDown: 1e6 });
    expect(second?.price.upMs).toBeCloseTo(0.5 + 2);
    expect(second?.price.computeMs).toBeCloseTo(3);
    expect(second?.price.downMs).toBeCloseTo(0.5 + 1);
    expect(choice.totalMs).toBeCloseTo(17);
    expect(choice.lostBy.map(({ what, nodes, totalMs }) => [what, ...nodes, totalMs])).toEqual([
      ['whole', SELF, 40],
      ['whole', 'fast', 210],
    ]);
    expect(choice.rejected).toEqual([{ node: 'old', reason: 'it has no room' }]);
  });

  it('stays whole for a gain that is too small, and says by how much the cut lost', () => {
    const choice = chooseCut({ ...frames, wholes: [whole(SELF, 18.9)] });
    expect(choice).toMatchObject({ chosen: 'whole', nodes: [SELF], parts: [], totalMs: 18.9 });
    expect(choice.lostBy).toMatchObject([{ what: 'cut', nodes: [SELF, 'fast'] }]);
    expect(choice.lostBy[0]?.totalMs).toBeCloseTo(17);
    // A long run needs 5 %, not only 2 ms.
    const long = { ...frames, table: { ...frames.table, wholeMs: 4_000 } };
    const { totalMs } = chooseCut(long);
    expect(chooseCut({ ...long, wholes: [whole(SELF, totalMs * 1.05)] }).chosen).toBe('whole');
    expect(chooseCut({ ...long, wholes: [whole(SELF, totalMs * 1.06)] }).chosen).toBe('cut');
  });

  it('takes three nodes where two have too little memory, however slow the third', () => {
    const small = (name: string, speed: number): CutNode => node(name, { speed, memoryFreeBytes: 1.5e6 });
    const asked = request({
      table: table({ partFixedMs: 1 }),
      self: self({ memoryFreeBytes: 2e6 }),
      peers: [small('a', 0.1), small('slow', 50)],
      wholes: [whole(SELF, 1, { reason: 'it has no room' })],
    });
    const choice = chooseCut(asked);
    expect(choice.parts).toHaveLength(3);
    expect(new Set(choice.nodes)).toEqual(new Set([SELF, 'a', 'slow']));
  });

  it('counts the memory of all parts on one node together', () => {
    const segments = [1e6, 4e6, 1e6].map((weightBytes) => ({ share: 1 / 3, weightBytes, nodes: 1 }));
    const tensors = [tensor('pixels', -1, [0, 2], 100e6), tensor('a', 0, [1], 1), tensor('b', 1, [2], 1)];
    const asked = request({
      table: table({ segments, tensors: [...tensors, { ...tensor('out', 2, [], 1), output: true }] }),
      self: self({ memoryFreeBytes: 2e6 }),
    });
    expect(chooseCut(asked).parts.map((part) => part.node)).toEqual([SELF, 'fast', SELF]);
    // Each part alone would fit.
    const tight = chooseCut({ ...asked, self: self({ memoryFreeBytes: 1.9e6 }) });
    expect(tight.parts).toHaveLength(2);
    const held = self({ memoryFreeBytes: 1e6, holds: (from) => from === 0 });
    expect(chooseCut({ ...asked, self: held }).parts.map((part) => part.node)).toEqual([SELF, 'fast', SELF]);
  });

  it('goes where the part is loaded already when loading takes longer than the difference', () => {
    const loads = { loadMs: () => 500 };
    const peers = [node('fast', { speed: 0.1, ...loads }), node('warm', { speed: 0.5, ...loads, holds: () => true })];
    const choice = chooseCut(request({ peers, rule: { cutAt: [1] } }));
    expect(choice.parts.map((part) => part.node)).toEqual([SELF, 'warm']);
    expect(choice.parts[1]?.price.loadMs).toBe(0);
  });

  it('finds the best of 64 segments on many nodes, the fastest of them looked at', () => {
    const big = table({}, CUT_SEGMENTS_MAX);
    const peers = Array.from({ length: 40 }, (_, at) =>
      node(`p${at}`, { speed: 1 - at / 50, memoryFreeBytes: 20.5e6 }),
    );
    const choice = chooseCut(request({ table: big, self: self({ speed: 10 }), peers }));
    expect(choice.parts).toHaveLength(4);
    expect(new Set(choice.nodes)).toEqual(new Set(['p39', 'p38', 'p37', 'p36']));
  });

  it('stays a number whatever a peer or a table says', () => {
    const odd = fc.constantFrom(Number.NaN, -1, 0, Number.POSITIVE_INFINITY, 1e300);
    fc.assert(
      fc.property(odd, odd, odd, odd, (a, b, c, d) => {
        const liar = node('liar', { speed: a, queueMs: b, rttMs: c, upMbPerMs: d, downMbPerMs: a, loadMs: () => c });
        const tensors = [tensor('pixels', -1, [0, 99, -4], a), tensor('x', 7, [9], b), tensor('y', 0, [1], d)];
        const segments = [a, b, c].map((share) => ({ share, weightBytes: d, nodes: 1 }));
        const choice = chooseCut(
          request({ table: table({ tensors, segments }), peers: [liar], wholes: [whole(SELF, 10)] }),
        );
        expect(Number.isFinite(choice.totalMs)).toBe(true);
        for (const part of choice.parts) expect(Number.isFinite(part.price.totalMs)).toBe(true);
      }),
    );
  });
});

describe('raw: local', () => {
  const rule = { rawLocal: true } as const;

  it('keeps the first tenth and all that uses an input here, and no whole plan elsewhere is taken', () => {
    const choice = chooseCut({ ...frames, rule, wholes: [whole('fast', 1), whole(SELF, 40)] });
    expect(choice.parts.map((part) => part.node)).toEqual([SELF, 'fast']);
    expect(choice.rejected).toEqual([{ node: 'fast', reason: 'raw: local keeps "pixels" here' }]);
  });

  it('is kept in every plan, by every part', () => {
    fc.assert(
      fc.property(randomRequest, (asked) => {
        const given = { ...asked, rule, wholes: [whole('p0', 0.001)] };
        const { parts, nodes } = chooseCut(given);
        const raw = asked.table.tensors.filter(({ from }) => from === -1).flatMap(({ to }) => to);
        for (const { node: name, from, to } of parts) {
          if (name !== SELF) expect(raw.some((at) => from <= at && at < to)).toBe(false);
        }
        if (nodes.length > 0) expect(parts[0]?.node).toBe(SELF);
      }),
      runs(300),
    );
  });

  it('is what keeps them: without it, the same plan sends the input', () => {
    const segments = [0.4, 0.3, 0.29, 0.01].map((share) => ({ share, weightBytes: 1e6, nodes: 1 }));
    const asked = request({ table: table({ segments }), self: self({ speed: 10 }), wholes: [whole('fast', 1)] });
    expect(chooseCut(asked)).toMatchObject({ chosen: 'whole', nodes: ['fast'] });
    expect(chooseCut({ ...asked, wholes: [] }).parts[0]).toMatchObject({ node: 'fast', from: 0 });
    const kept = chooseCut({ ...asked, rule });
    expect(kept.parts[0]).toMatchObject({ node: SELF, from: 0 });
  });

  it('refuses by name when an input is used to the end and this node has no room', () => {
    const tensors = [tensor('pixels', -1, [0, 1, 2, 3]), tensor('mask', -1, [0]), ...table().tensors.slice(1)];
    const choice = chooseCut(
      request({ table: table({ tensors }), rule, wholes: [whole(SELF, 1, { reason: 'no room' })] }),
    );
    expect(choice.nodes).toEqual([]);
    expect(choice.refused).toBe(
      'raw: local keeps "pixels", "mask" here, and every possible cut would send it; not whole on here: no room.',
    );
  });

  it('lets inputs cross that it does not name', () => {
    const tensors = [tensor('pixels', -1, [0]), tensor('mask', -1, [0, 1, 2, 3], 10), ...table().tensors.slice(1)];
    const asked = request({ table: table({ tensors }) });
    expect(chooseCut({ ...asked, rule }).refused).toContain('"pixels", "mask"');
    const choice = chooseCut({ ...asked, rule: { rawLocal: ['pixels'] } });
    expect(choice.parts.map((part) => part.node)).toEqual([SELF, 'fast']);
    // A name that is spelt wrong protects nothing.
    expect(chooseCut({ ...asked, rule: { rawLocal: ['pixel'] } }).refused).toContain('"pixel", which is no input');
  });

  it('takes the first cut point behind a tenth of the computing, however small the segments before it', () => {
    const shares = [0.01, 0.05, 0.05, 0.89];
    const segments = shares.map((share) => ({ share, weightBytes: 1e6, nodes: 1 }));
    expect(depthOf(table({ segments }), RAW_SHARE_MIN)).toBe(3);
    expect(depthOf(table({ segments }), 2)).toBe(4);
    const { parts } = chooseCut(request({ table: table({ segments }), rule }));
    expect(parts[0]).toMatchObject({ node: SELF, to: 3 });
  });

  it('goes as deep as asked', () => {
    for (const minDepth of [1, 2, 3]) {
      const choice = chooseCut(request({ rule: { rawLocal: true, minDepth } }));
      expect(choice.parts[0]).toMatchObject({ node: SELF, to: minDepth });
    }
    expect(chooseCut(request({ rule: { minDepth: 4 } })).refused).toBe('No cut keeps to the rule.');
    const deep = chooseCut(request({ rule: { minDepth: 2 }, wholes: [whole('fast', 1), whole(SELF, 900)] }));
    expect(deep.chosen).toBe('cut');
    expect(deep.rejected).toEqual([{ node: 'fast', reason: 'the first 2 segments are to run here' }]);
  });
});

describe('nodes that are named', () => {
  const named = (on: readonly string[], rule: CutRule = {}) =>
    chooseCut(request({ rule: { ...rule, on }, peers: [node('fast', { speed: 0.1 }), node('slow', { speed: 5 })] }));

  it('alone have parts', () => {
    const parts = (on: readonly string[]) => named(on, { cutAt: [1, 2] }).parts.map((part) => part.node);
    expect(new Set(parts(['fast', 'slow']))).toEqual(new Set(['fast', 'slow']));
    expect(new Set(parts([SELF, 'slow']))).toEqual(new Set([SELF, 'slow']));
  });

  it('have one part each, in their order, where there are as many', () => {
    for (const on of [
      [SELF, 'slow'],
      ['slow', SELF],
      ['slow', 'fast'],
    ]) {
      expect(named(on, { cutAt: [1] }).parts.map((part) => part.node)).toEqual(on);
    }
  });

  it('alone have the whole', () => {
    const wholes = [whole(SELF, 10), whole('fast', 1), whole('slow', 100)];
    const { nodes, rejected } = chooseCut(request({ wholes, rule: { on: ['slow'] }, peers: [node('slow')] }));
    expect(nodes).toEqual(['slow']);
    expect(rejected.map((one) => one.node)).toEqual([SELF, 'fast']);
  });

  it('are refused where they are too few', () => {
    expect(named(['fast'], { cutAt: [1], minDepth: 1 }).refused).toMatch(/No cut keeps to the rule/);
  });
});

describe('a refusal', () => {
  it.each<[string, Partial<CutRequest>, string]>([
    [
      'a graph of one segment',
      { table: table({ reason: 'every tensor is a sequence' }, 1) },
      'every tensor is a sequence',
    ],
    ['no peers', { peers: [] }, 'No other node can take a part.'],
    [
      'too little memory',
      { self: self({ memoryFreeBytes: 1 }), peers: [node('a', { memoryFreeBytes: 3e6 })] },
      '4.0 MB of weights, free are 0.0 MB on here, 3.0 MB on a',
    ],
    ['a cut point that is none', { rule: { cutAt: [4] } }, '4 is no cut point'],
    ['cut points out of order', { rule: { cutAt: [2, 2] } }, '2 is no cut point'],
    ['no cut point', { rule: { cutAt: [] } }, 'No cut point is named.'],
    ['too many parts', { rule: { cutAt: [1, 2] }, partsMax: 2 }, '3 parts are asked for, 2 are the most.'],
    ['a depth that is none', { rule: { minDepth: 1.5 } }, 'The depth 1.5'],
    ['a node twice', { peers: [node('a'), node('a')] }, 'named twice'],
    ['no segments', { table: table({ segments: [] }) }, 'segments, not 0'],
    ['too many segments', { table: table({}, CUT_SEGMENTS_MAX + 1) }, 'segments, not 65'],
  ])('says why: %s', (_, changes, reason) => {
    const choice = chooseCut(request(changes));
    expect(choice.refused).toContain(reason);
    expect(choice.nodes).toEqual([]);
  });

  it('is none where a whole plan is possible', () => {
    const choice = chooseCut(request({ table: table({}, 1), wholes: [whole(SELF, 10)] }));
    expect(choice).toMatchObject({ chosen: 'whole', nodes: [SELF], totalMs: 10 });
    expect(choice.refused).toBeUndefined();
  });

  it('stays one where the place of the cut is asked for, whatever whole plan is possible', () => {
    const choice = chooseCut(request({ rule: { cutAt: [1] }, peers: [], wholes: [whole(SELF, 10)] }));
    expect(choice.refused).toContain('No other node');
    expect(chooseCut(request({ rule: { cutAt: [1] }, wholes: [whole(SELF, 1)] })).chosen).toBe('cut');
  });
});

describe('a stream', () => {
  const equal = request({ peers: [node('peer', { upMbPerMs: 1, downMbPerMs: 1 })], steady: true });

  it('is spread whole over equal nodes where both can run it all: no cut keeps up with more', () => {
    const choice = chooseCut({ ...equal, wholes: [whole(SELF, 40), whole('peer', 42, { periodMs: 40 })] });
    expect(choice).toMatchObject({ chosen: 'whole', nodes: [SELF, 'peer'], totalMs: 42 });
    expect(choice.periodMs).toBeCloseTo(20);
    expect(choice.lostBy.map(({ what }) => what)).toEqual(['cut', 'whole', 'whole']);
    expect(choice.lostBy[0]?.periodMs).toBeCloseTo(20);
  });

  it('is cut in the middle where neither can, and in front of it where the way back is the slowest stage', () => {
    const choice = chooseCut(equal);
    expect(choice).toMatchObject({ chosen: 'cut' });
    expect(choice.periodMs).toBeCloseTo(20);
    const onPeer = choice.parts.filter((part) => part.node === 'peer');
    expect(onPeer.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(2);
    const slow = chooseCut({ ...equal, peers: [node('peer', { upMbPerMs: 1 / 35 })] });
    expect(slow.periodMs).toBeCloseTo(35);
  });

  it('is cut where whole frames are too large for the way, and balancing too slow', () => {
    const choice = chooseCut({
      ...frames,
      steady: true,
      wholes: [whole(SELF, 40), whole('fast', 210, { periodMs: 200 })],
    });
    expect(choice.chosen).toBe('cut');
    expect(choice.periodMs).toBeCloseTo(10);
    expect(choice.lostBy[0]).toMatchObject({ what: 'balance', nodes: [SELF, 'fast'] });
  });
});

describe('compression', () => {
  it('pays on slow ways and for large tensors only', () => {
    // At 100 Mbit/s a megabyte takes 80 ms.
    expect(worthCompressing(1e6, 0.0125)).toBe(true);
    expect(worthCompressing(1e6, 0.125)).toBe(true);
    expect(worthCompressing(1e6, 1.25)).toBe(false);
    expect(worthCompressing(10_000, 0.0125)).toBe(false);
    expect(worthCompressing(1e6, Number.POSITIVE_INFINITY)).toBe(false);
  });
});
