// Cut points, their drawing, and what the mesh would make of them.
import { describe, expect, it } from 'vitest';
import {
  cutPointsOf,
  fineDuration,
  firstShown,
  inputBytesOf,
  planInputs,
  weightBytesOf,
} from '../../../../../desktop/ui/views/models/cuts/cut-points.ts';
import { layoutOf, nearest, ROWS } from '../../../../../desktop/ui/views/models/cuts/layout.ts';
import { optionsOf, totalOf } from '../../../../../desktop/ui/views/models/cuts/mesh-options.ts';
import { batchCurve, workCurve } from '../../../../../desktop/ui/views/models/profile-series.ts';
import { cutPointsOf as cutPointsOfCli } from '../../../../../node/cli/cut-points.ts';
import type { CutsAnswer, PlanAnswer, ProfileReport } from '../../../../../protocol/api/control.ts';

const tensor = (
  name: string,
  bytes: number,
  from: number,
  to: number[],
  output?: true,
): CutsAnswer['tensors'][number] => ({
  name,
  type: 'float32',
  dims: [1, 'n'],
  bytes,
  from,
  to,
  ...(output === undefined ? {} : { output }),
});

/** Four segments; the input is also used in the last one, and two segments share weights. */
const table: CutsAnswer = {
  model: { id: 'local/graph', digest: 'sha256:0' },
  shapes: 'x:float32[1,8];a:b:int64[]',
  segments: [
    { share: 0.1, weightBytes: 100, nodes: 2 },
    { share: 0.4, weightBytes: 200, nodes: 5 },
    { share: 0.3, weightBytes: 0, nodes: 1 },
    { share: 0.2, weightBytes: 300, nodes: 4 },
  ],
  shared: [{ bytes: 50, segments: [0, 3] }],
  tensors: [
    tensor('x', 1_000, -1, [0, 3]),
    tensor('t1', 40_000, 0, [1]),
    tensor('t2', 500, 1, [2]),
    tensor('t3', 8_000, 2, [3]),
    tensor('y', 100, 3, [], true),
  ],
  wholeMs: 20,
  partFixedMs: 1,
  partMsPerMb: 10,
  device: 'cpu',
  version: '0.1.0',
  measuredAtMs: 0,
};

describe('cut points', () => {
  it('tell what crosses, and what both sides take and hold, as the command line does', () => {
    const points = cutPointsOf(table);
    expect(points[1]).toMatchObject({
      number: 2,
      depth: 0.5,
      bytes: 1_500,
      tensors: [
        { name: 'x', input: true },
        { name: 't2', input: false },
      ],
      before: { weightBytes: 350, segments: 2, nodes: 7 },
      behind: { weightBytes: 350, segments: 2, nodes: 5 },
    });
    for (const [index, point] of cutPointsOfCli(table).entries()) {
      const own = points[index];
      expect([own?.bytes, own?.before.weightBytes, own?.behind.weightBytes]).toEqual([
        point.bytes,
        point.beforeWeightBytes,
        point.behindWeightBytes,
      ]);
      expect(own?.before.ms).toBeCloseTo(point.beforeMs);
      expect(own?.behind.ms).toBeCloseTo(point.behindMs);
    }
    expect([weightBytesOf(table), inputBytesOf(table)]).toEqual([650, 1_000]);
  });

  it('show first where least crosses in the middle', () => {
    expect(firstShown(cutPointsOf(table))).toBe(2);
    expect(firstShown([])).toBe(1);
  });

  it('are asked about with the shapes that were measured', () => {
    expect(planInputs(table.shapes)).toEqual([
      { name: 'x', dtype: 'float32', shape: [1, 8] },
      { name: 'a:b', dtype: 'int64', shape: [] },
    ]);
    expect(planInputs('nonsense')).toEqual([]);
    expect([fineDuration(0.031), fineDuration(31)]).toEqual(['0.03 ms', '31 ms']);
  });
});

describe('the drawing', () => {
  const points = cutPointsOf(table);

  it('fills its width with segments by what they compute, none too small to see', () => {
    const tiny = { ...table, segments: [...table.segments, { share: 0, weightBytes: 0, nodes: 1 }] };
    const { segments } = layoutOf(tiny, points, { width: 400, selected: 1 });
    const last = segments.at(-1);
    expect((last?.x ?? 0) + (last?.width ?? 0)).toBeCloseTo(400);
    expect(last?.width).toBeCloseTo(5);
    expect((segments[1]?.width ?? 0) / (segments[3]?.width ?? 1)).toBeGreaterThan(1.8);
  });

  it('has higher stems where more crosses, and the label of the selected always', () => {
    const wide = layoutOf(table, points, { width: 800, selected: 2 });
    const [first, second] = wide.points;
    expect(first?.y).toBeLessThan(second?.y ?? 0);
    for (const { y } of wide.points) expect(y).toBeLessThanOrEqual(ROWS.stems.bottom);
    expect(wide.points.map(({ label }) => label)).toEqual(['41 KB', '1.5 KB', '9 KB']);
    const even = { ...table, tensors: table.tensors.slice(1).map((one) => ({ ...one, bytes: 9_000 })) };
    const narrow = layoutOf(even, cutPointsOf(even), { width: 60, selected: 3 });
    expect(narrow.points[2]?.label).toBe('9 KB');
    expect(narrow.points.filter(({ label }) => label !== undefined).length).toBeLessThan(3);
  });

  it('knows which cut is pointed at', () => {
    const { points: drawn } = layoutOf(table, points, { width: 400, selected: 1 });
    expect(nearest(drawn, 0)).toBe(1);
    expect(nearest(drawn, 399)).toBe(3);
    expect(nearest([], 10)).toBeUndefined();
  });
});

const price = (queueMs: number, loadMs: number, upMs: number, computeMs: number, downMs: number) => ({
  queueMs,
  loadMs,
  upMs,
  computeMs,
  downMs,
  totalMs: queueMs + loadMs + upMs + computeMs + downMs,
});

const answer: PlanAnswer = {
  model: 'local/graph',
  work: 'run',
  inputTokens: 0,
  requests: 1,
  explanation: [],
  plan: {
    kind: 'local',
    node: 'desk',
    price: price(0, 500, 0, 20, 0),
    others: [{ node: 'attic', price: price(0, 0, 5, 10, 5), samples: 0 }],
    rejected: [],
  },
  cut: {
    chosen: 'cut',
    nodes: ['desk', 'attic'],
    parts: [
      { node: 'desk', from: 0, to: 2, price: price(1, 100, 0, 10, 0), up: [], down: [] },
      { node: 'attic', from: 2, to: 4, price: price(2, 50, 3, 5, 4), up: [], down: [] },
    ],
    totalMs: 175,
    lostBy: [],
    rejected: [],
    table: { segments: 4, wholeMs: 20, shapes: '', device: 'cpu', measuredAtMs: 0 },
  },
};

describe('a cut over the mesh', () => {
  it('stands beside the whole here and there, as it is and as if all were loaded', () => {
    const options = optionsOf('desk', [{ node: 'attic', answer, problem: undefined }]);
    expect(options.map(({ kind, node }) => [kind, node])).toEqual([
      ['here', 'desk'],
      ['cut', 'attic'],
      ['there', 'attic'],
    ]);
    const totals = (loaded: boolean) => options.map(({ price: one }) => one && totalOf(one, loaded));
    expect(totals(false)).toEqual([520, 175, 20]);
    expect(totals(true)).toEqual([20, 25, 20]);
  });

  it('says why something is not possible', () => {
    const refused: PlanAnswer = { ...answer, cut: answer.cut && { ...answer.cut, refused: 'It has no room.' } };
    expect(optionsOf('desk', [{ node: 'attic', answer: refused, problem: undefined }])[1]).toMatchObject({
      price: undefined,
      reason: 'It has no room.',
    });
    expect(optionsOf('desk', [{ node: 'attic', answer: undefined, problem: 'No answer.' }])).toEqual([
      { key: 'cut attic', kind: 'cut', node: 'attic', price: undefined, reason: 'No answer.' },
    ]);
  });
});

const profile: ProfileReport = {
  claim: {
    device: 'cpu',
    machine: '',
    version: '0.1.0',
    measuredAtMs: 0,
    work: [
      { tokens: 128, ms: 60 },
      { tokens: 32, ms: 20 },
    ],
    decode: [],
    batch: [{ size: 1, ms: 4 }],
    loadMs: 100,
  },
  observed: {
    samples: 3,
    answers: 0,
    fixedMs: 10,
    perTokenMs: 1,
    decodeMs: 0,
    loadMs: 0,
    workRatio: 1,
    decodeRatio: 1,
  },
  offered: { fixedMs: 8, perTokenMs: 0.5, decodeMs: 0, loadMs: 0, samples: 3 },
};

describe('a measured profile', () => {
  it('is plotted beside what requests showed and peers are told', () => {
    const curve = workCurve(profile);
    expect(curve?.xs).toEqual([32, 128]);
    expect(curve?.series.map(({ values }) => values)).toEqual([
      [20, 60],
      [42, 138],
      [24, 72],
    ]);
  });

  it('is no plot with a single point', () => {
    expect(batchCurve(profile)).toBeUndefined();
    expect(workCurve({ ...profile, claim: undefined })).toBeUndefined();
  });
});
