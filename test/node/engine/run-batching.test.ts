// Which requests on any graph may share a run, and how many rows pay.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Priority } from '../../../node/core/engine.ts';
import {
  CALL_OVERHEAD_MS,
  ROWS_UNCLEAR_MAX,
  RUN_ANSWER_BYTES_MAX,
  RUN_BATCH_BYTES_MAX,
  RUN_BATCH_ROWS_MAX,
} from '../../../node/engine/limits.ts';
import { batchable, RunBatching, SizeCurve, whyNoRows } from '../../../node/engine/run-batching.ts';
import { RunQueue } from '../../../node/engine/run-queue.ts';
import type { RunRequest } from '../../../protocol/infer.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { runs } from '../../support/property.ts';

const port = (name: string, dims: (number | string)[], type = 'float32') => ({ name, type, dims });
const ROWS = { inputs: [port('x', ['batch', 4])], outputs: [port('y', ['batch', 2])] };

describe('whyNoRows', () => {
  it('takes graphs whose inputs and outputs all begin with the same named dimension', () => {
    expect(whyNoRows(ROWS)).toBeUndefined();
    expect(whyNoRows({ inputs: [port('pixels', ['N', 3, 'H', 'W'])], outputs: [port('y', ['N'])] })).toBeUndefined();
  });

  it.each<[string, Parameters<typeof whyNoRows>[0]]>([
    ['a fixed dimension', { inputs: [port('x', [1, 4])], outputs: [port('y', [1, 2])] }],
    ['a dimension without a name', { inputs: [port('x', ['?', 4])], outputs: [port('y', ['?', 2])] }],
    ['an unknown shape', { inputs: [port('x', ['batch', 4])], outputs: [port('y', ['*'])] }],
    ['another name', { inputs: [port('x', ['batch', 4])], outputs: [port('y', ['boxes', 4])] }],
    ['a scalar beside', { inputs: [port('x', ['batch', 4]), port('rate', [])], outputs: [port('y', ['batch', 2])] }],
    ['one dimension only', { inputs: [port('wave', ['samples'])], outputs: [port('speech', ['samples'])] }],
    ['texts', { inputs: [port('x', ['batch', 4], 'string')], outputs: [port('y', ['batch', 2])] }],
    ['packed types', { inputs: [port('x', ['batch', 4], 'int4')], outputs: [port('y', ['batch', 2])] }],
    ['the mark of parts in a name', { inputs: [port('x\0y', ['batch', 4])], outputs: [port('y', ['batch', 2])] }],
    [
      'a name without room for it',
      { inputs: [port('x'.repeat(510), ['batch', 4])], outputs: [port('y', ['batch', 2])] },
    ],
  ])('refuses %s, and says why', (_what, graph) => {
    expect(whyNoRows(graph)).toMatch(/\.$/);
  });
});

const tensor = (dims: number[], name = 'x', bytes = 4 * dims.reduce((a, b) => a * b, 1)): NamedTensor => ({
  name,
  type: 'float32',
  dims,
  data: new Uint8Array(Math.min(bytes, 64)),
});
const request = (...inputs: NamedTensor[]): RunRequest => ({ model: { id: 'a/b', digest: '' }, inputs, outputs: [] });

describe('batchable', () => {
  it('gives one shape to what fits together, in whatever order its inputs come', () => {
    const shape = (...inputs: NamedTensor[]) => batchable(request(...inputs))?.shape;
    expect(shape(tensor([1, 4]), tensor([1, 2], 'z'))).toBe(shape(tensor([3, 2], 'z'), tensor([3, 4])));
    expect(shape(tensor([1, 4]))).not.toBe(shape(tensor([1, 5])));
    expect(shape(tensor([1, 4]))).not.toBe(shape(tensor([1, 2, 2])));
    const picky = batchable({ ...request(tensor([1, 4])), outputs: ['y'] });
    expect(picky?.shape).not.toBe(shape(tensor([1, 4])));
  });

  it('leaves out what has no rows, too many, too many bytes, or not the same number everywhere', () => {
    expect(batchable(request(tensor([0, 4])))).toBeUndefined();
    expect(batchable(request(tensor([])))).toBeUndefined();
    expect(batchable(request(tensor([RUN_BATCH_ROWS_MAX, 4])))).toBeUndefined();
    expect(batchable(request(tensor([1, RUN_BATCH_BYTES_MAX / 4])))).toBeUndefined();
    expect(batchable(request(tensor([1, 4]), tensor([2, 4], 'z')))).toBeUndefined();
    expect(batchable(request(tensor([2, 4])))).toMatchObject({ rows: 2, bytes: 32 });
  });
});

/** A device: what a run of so many rows takes. */
function measured(msOf: (rows: number) => number, rounds = 40, answerBytes = 8): SizeCurve {
  const curve = new SizeCurve();
  for (let round = 0; round < rounds; round++) {
    const rows = round % 2 === 0 ? 1 : curve.rowsMax();
    curve.worked(rows, msOf(rows), rows * answerBytes);
  }
  return curve;
}

describe('SizeCurve', () => {
  it('says nothing and allows one row before anything was run, and then one doubling into the unknown', () => {
    const curve = new SizeCurve();
    expect([curve.rowsMax(), curve.predictMs(4)]).toEqual([1, undefined]);
    curve.worked(1, 10, 8);
    expect(curve.rowsMax()).toBe(2);
    curve.worked(2, 11, 16);
    expect(curve.rowsMax()).toBe(2);
    curve.worked(2, 11, 16);
    expect(curve.rowsMax()).toBe(4);
    expect(curve.predictMs(2)).toBeCloseTo(11);
  });

  it('goes up to the cap where more rows cost nothing, and stays small where they pay nothing', () => {
    expect(measured(() => 10).rowsMax()).toBe(RUN_BATCH_ROWS_MAX);
    expect(measured((rows) => 10 * rows).rowsMax()).toBe(1);
    // The cache is left between 4 and 8 rows.
    expect(measured((rows) => 5 + 5 * rows * (rows > 4 ? 2 : 1)).rowsMax()).toBe(4);
    // A call costs more than the run itself.
    expect(measured((rows) => 0.01 * CALL_OVERHEAD_MS * rows).rowsMax()).toBe(RUN_BATCH_ROWS_MAX);
  });

  it('tries again later what did not pay, and follows what has changed', () => {
    let perRow = true;
    const curve = new SizeCurve();
    let rowsMax = 0;
    for (let round = 0; round < 1_000; round++) {
      if (round === 200) perRow = false;
      rowsMax = curve.rowsMax();
      const rows = round % 2 === 0 ? 1 : rowsMax;
      curve.worked(rows, perRow ? 10 * rows : 10, 8);
    }
    expect(rowsMax).toBe(RUN_BATCH_ROWS_MAX);
  });

  it('keeps answers within their bytes', () => {
    expect(measured(() => 10, 40, RUN_ANSWER_BYTES_MAX / 6).rowsMax()).toBe(6);
    expect(measured(() => 10, 40, 2 * RUN_ANSWER_BYTES_MAX).rowsMax()).toBe(1);
  });
});

describe('RunBatching', () => {
  it('shares runs only after two requests have been compared, and again after a change of provider', () => {
    const batching = new RunBatching(ROWS);
    batching.loadedOn('cpu');
    expect([batching.next, batching.state.batching]).toEqual(['verify', 'none']);
    batching.asked();
    expect(batching.next).toBe('alone');
    batching.verified({ rows: 'independent' });
    batching.loadedOn('cpu');
    expect([batching.next, batching.state]).toEqual(['together', { batching: 'rows', reason: undefined }]);
    batching.loadedOn('cuda');
    expect(batching.next).toBe('verify');
    // An answer to what was asked of the other provider.
    batching.verified({ rows: 'independent' });
    expect(batching.next).toBe('verify');
  });

  it('never asks again once rows were seen to depend on each other', () => {
    const batching = new RunBatching(ROWS);
    batching.asked();
    batching.verified({ rows: 'dependent', reason: '"y" differs.' });
    expect([batching.next, batching.state]).toEqual(['alone', { batching: 'none', reason: '"y" differs.' }]);
  });

  it('gives up when comparing says nothing', () => {
    const batching = new RunBatching(ROWS);
    for (let turn = 0; turn < ROWS_UNCLEAR_MAX; turn++) {
      expect(batching.next).toBe('verify');
      batching.asked();
      batching.verified({ rows: 'unclear' });
    }
    expect(batching.next).toBe('alone');
    expect(batching.state.reason).toContain('said nothing');
  });

  it('knows from the manifest where there is nothing to ask', () => {
    const batching = new RunBatching({ inputs: [port('x', [1, 4])], outputs: [port('y', [1, 2])] });
    expect(batching.next).toBe('alone');
    expect(batching.state).toMatchObject({ batching: 'none', reason: expect.stringContaining('"x"') });
  });
});

interface Job {
  readonly pending: {
    settled: boolean;
    readonly arrival: number;
    readonly background: boolean;
    readonly priority: Priority;
  };
  readonly request: RunRequest;
}
const job = (arrival: number, dims: number[], background = false, priority: Priority = 'interactive'): Job => ({
  pending: { settled: false, arrival, background, priority },
  request: request(tensor(dims)),
});

/** Rows that are known to be independent, and whose runs all take the same time. */
function together(shape: string | undefined): RunBatching {
  const batching = new RunBatching(ROWS);
  batching.asked();
  batching.verified({ rows: 'independent' });
  const curve = batching.curve(shape ?? '');
  for (let size = 1; size <= RUN_BATCH_ROWS_MAX; size *= 2) {
    curve.worked(size, 10, 8);
    curve.worked(size, 10, 8);
  }
  return batching;
}

describe('RunQueue', () => {
  it('takes those that fit behind the oldest, and leaves the others in order', () => {
    const queue = new RunQueue<Job>();
    const jobs = [job(0, [1, 4]), job(1, [1, 5]), job(2, [2, 4]), job(3, [1, 4], true), job(4, [1, 4])];
    for (const each of jobs) queue.push(each);
    const batching = together(batchable(request(tensor([1, 4])))?.shape);
    const formed = queue.form(batching);
    expect(formed).toMatchObject({ how: 'together', rows: 4, rowsOfFirst: 1, full: false });
    expect(formed?.jobs.map(({ pending }) => pending.arrival)).toEqual([0, 2, 4]);
    expect(queue.form(batching, jobs[1])?.jobs).toEqual([jobs[1]]);
    queue.remove(formed?.jobs ?? []);
    expect(queue.jobs().map(({ pending }) => pending.arrival)).toEqual([1, 3]);
    (jobs[1] as Job).pending.settled = true;
    expect(queue.form(batching)?.jobs).toEqual([jobs[3]]);
    queue.remove([jobs[3] as Job]);
    expect(queue.form(batching)).toBeUndefined();
  });

  it('never puts batch work into a run with interactive work', () => {
    const queue = new RunQueue<Job>();
    const classes = ['batch', 'interactive', 'batch', 'interactive'] as const;
    const jobs = classes.map((priority, arrival) => job(arrival, [1, 4], false, priority));
    for (const each of jobs) queue.push(each);
    const batching = together(batchable(request(tensor([1, 4])))?.shape);
    expect(queue.form(batching, jobs[1])?.jobs).toEqual([jobs[1], jobs[3]]);
    expect(queue.form(batching, jobs[0])?.jobs).toEqual([jobs[0], jobs[2]]);
  });

  it('compares two, and no more, before any share a run', () => {
    const queue = new RunQueue<Job>();
    const batching = new RunBatching(ROWS);
    for (const arrival of [0, 1, 2]) queue.push(job(arrival, [1, 4]));
    expect(queue.form(batching)).toMatchObject({ how: 'verify', rows: 2, full: true });
    batching.asked();
    expect(queue.form(batching)).toMatchObject({ how: 'alone', rows: 1, full: true });
  });

  it('sends those alone that failed together, before what came later', () => {
    const queue = new RunQueue<Job>();
    const batching = together(batchable(request(tensor([1, 4])))?.shape);
    const [first, second, third] = [job(0, [1, 4]), job(1, [1, 4]), job(2, [1, 4])] as const;
    queue.push(third);
    queue.again([first, second]);
    for (const expected of [first, second, third]) {
      const formed = queue.form(batching);
      expect(formed).toMatchObject({ how: 'alone', jobs: [expected] });
      queue.remove(formed?.jobs ?? []);
    }
  });

  it('loses nothing and gives nothing twice, within the limits', () => {
    const shapes = fc.record({ rows: fc.integer({ min: 1, max: 40 }), size: fc.integer({ min: 3, max: 5 }) });
    fc.assert(
      fc.property(fc.array(shapes, { maxLength: 120 }), (all) => {
        const queue = new RunQueue<Job>();
        const batching = together(batchable(request(tensor([1, 4])))?.shape);
        for (const [arrival, { rows, size }] of all.entries()) queue.push(job(arrival, [rows, size]));
        const seen: number[] = [];
        for (let formed = queue.form(batching); formed !== undefined; formed = queue.form(batching)) {
          expect(formed.jobs[0]?.pending.arrival).toBe(Math.min(...queue.jobs().map(({ pending }) => pending.arrival)));
          expect(new Set(formed.jobs.map((each) => each.request.inputs[0]?.dims[1])).size).toBe(1);
          if (formed.jobs.length > 1) expect(formed.rows).toBeLessThanOrEqual(RUN_BATCH_ROWS_MAX);
          seen.push(...formed.jobs.map(({ pending }) => pending.arrival));
          queue.remove(formed.jobs);
        }
        expect(seen.sort((a, b) => a - b)).toEqual(all.map((_, index) => index));
      }),
      runs(100),
    );
  });
});
