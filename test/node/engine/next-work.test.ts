// What a runner gets next, from models with work of every kind: on numbers, without a runner.
import { describe, expect, it } from 'vitest';
import type { Priority } from '../../../node/core/engine.ts';
import { type EncodeJob, encodeJob, type GenerateJob, type RunJob, rowsOf } from '../../../node/engine/jobs.ts';
import { ModelState } from '../../../node/engine/model-state.ts';
import { type Next, nextWork, priorityOf, type Runner } from '../../../node/engine/next-work.ts';
import type { Pending } from '../../../node/engine/pending.ts';
import { DeviceForecast } from '../../../node/engine/window.ts';
import type { EncodeResult } from '../../../protocol/infer.ts';
import { encodeRequest, generateRequest } from '../../compliance/engine-requests.ts';
import { actingModel, actRequest } from './acting-model.ts';

interface Waiting {
  readonly arrival: number;
  readonly remainingMs: number;
  readonly background: boolean;
  readonly priority: Priority;
  settled: boolean;
}

const pendingOf = <Result>(arrival: number, overrides: Partial<Waiting> = {}): Pending<Result> =>
  ({
    arrival,
    arrivedAtMs: 0,
    remainingMs: 60_000,
    background: false,
    priority: 'interactive',
    settled: false,
    ...overrides,
  }) as unknown as Pending<Result>;

/** A loaded model; each token of its texts takes a tenth of a millisecond, a run 10 ms. */
function loadedModel(measured = true): ModelState {
  const model = new ModelState(actingModel('a'));
  model.phase = 'loaded';
  model.provider = 'cpu';
  if (measured) {
    for (const rows of [1, 2, 8])
      for (const width of [8, 64, 128]) model.curve.worked(rows, width, 10 + rows * width * 0.1);
  }
  return model;
}

function text(model: ModelState, arrival: number, length: number, overrides: Partial<Waiting> = {}): EncodeJob {
  const request = encodeRequest(model.installed.ref, [Array(length).fill(1)]);
  const job = encodeJob(pendingOf<EncodeResult>(arrival, overrides), request, 4);
  model.rows.add(rowsOf(job), arrival, `${overrides.background === true}-${overrides.priority}`);
  return job;
}

function runOf(model: ModelState, arrival: number, overrides: Partial<Waiting> = {}): RunJob {
  const job: RunJob = { pending: pendingOf(arrival, overrides), request: actRequest(model.installed) };
  model.runs.push(job);
  return job;
}

function generationOf(model: ModelState, arrival: number, overrides: Partial<Waiting> = {}): GenerateJob {
  const request = generateRequest(model.installed.ref, [1]);
  const job: GenerateJob = { pending: pendingOf(arrival, overrides), request, onTokens: () => undefined };
  model.generations.push(job);
  return job;
}

const FREE = { free: true, freeForBatch: true, isBatchTurn: false };
const TAKEN = { ...FREE, free: false };
const BATCH = { priority: 'batch' } as const;

const runner = (overrides: Partial<Runner> = {}): Runner => ({
  nowMs: 1_000,
  short: FREE,
  generation: FREE,
  forecast: new DeviceForecast(),
  lastJumped: false,
  ...overrides,
});

/** A device that is busy for so long. */
function busy(ms: number | undefined): DeviceForecast {
  const forecast = new DeviceForecast();
  forecast.sent(1_000, { predictedMs: ms });
  return forecast;
}

/** Arrivals of the requests that are to be sent. */
function sent({ work }: Next): number[] | undefined {
  if (work === undefined) return undefined;
  if (work.kind === 'generation') return [work.job.pending.arrival];
  if (work.kind === 'run') return work.formed.jobs.map(({ pending }) => pending.arrival);
  return work.formed.rows.map(({ job }) => job.pending.arrival).sort((a, b) => a - b);
}

describe('nextWork', () => {
  it('sends the oldest of whatever kind, in whatever model, to an idle runner at once', () => {
    const [one, two] = [loadedModel(), loadedModel()];
    const nothing = { work: undefined, batchWaits: false, jumped: false, wakeAtMs: undefined };
    expect(nextWork([one, two], runner())).toEqual(nothing);
    text(one, 5, 20);
    generationOf(one, 4);
    runOf(two, 3);
    expect(sent(nextWork([one, two], runner()))).toEqual([3]);
    expect(sent(nextWork([one], runner()))).toEqual([4]);
    expect(sent(nextWork([one], runner({ generation: TAKEN })))).toEqual([5]);
    expect(sent(nextWork([two], runner({ short: TAKEN })))).toBeUndefined();
  });

  it('waits for more while the runner is busy, until its run is nearly over', () => {
    const model = loadedModel();
    text(model, 1, 20);
    const waiting = nextWork([model], runner({ forecast: busy(100) }));
    expect(sent(waiting)).toBeUndefined();
    expect(waiting.wakeAtMs).toBeGreaterThan(1_050);
    expect(waiting.wakeAtMs).toBeLessThan(1_100);
    text(model, 2, 22);
    expect(sent(nextWork([model], runner({ forecast: busy(100), nowMs: waiting.wakeAtMs ?? 0 })))).toEqual([1, 2]);
    // Nobody knows for how long.
    expect(sent(nextWork([model], runner({ forecast: busy(undefined) })))).toEqual([1, 2]);
    const unmeasured = loadedModel(false);
    text(unmeasured, 1, 20);
    expect(sent(nextWork([unmeasured], runner({ forecast: busy(100) })))).toEqual([1]);
  });

  it('holds up no generation by a batch that waits', () => {
    const model = loadedModel();
    text(model, 1, 20);
    generationOf(model, 2);
    expect(sent(nextWork([model], runner({ forecast: busy(100) })))).toEqual([2]);
  });

  it('lets a near deadline go first, and the oldest after it, whatever the next deadline', () => {
    const model = loadedModel();
    text(model, 1, 200);
    text(model, 2, 8, { remainingMs: 40 });
    const first = nextWork([model], runner());
    expect([sent(first), first.jumped]).toEqual([[2], true]);
    const second = nextWork([model], runner({ lastJumped: first.jumped }));
    expect([sent(second), second.jumped]).toEqual([[1], false]);
  });

  it('does not let one go first whose deadline is lost', () => {
    const model = loadedModel();
    text(model, 1, 200);
    text(model, 2, 8, { remainingMs: 2 });
    expect(sent(nextWork([model], runner()))).toEqual([1]);
  });

  it('does what nobody waits for last', () => {
    const model = loadedModel();
    text(model, 1, 20, { background: true });
    runOf(model, 2);
    text(model, 3, 20);
    expect(sent(nextWork([model], runner()))).toEqual([2]);
    model.runs.remove(model.runs.jobs());
    expect(sent(nextWork([model], runner()))).toEqual([3]);
    model.rows.remove(model.rows.form({ seed: [...model.rows.jobs(() => true)].at(-1) as EncodeJob })?.rows ?? []);
    expect(sent(nextWork([model], runner()))).toEqual([1]);
  });

  it('drops what was cancelled before it runs', () => {
    const model = loadedModel();
    const [gone, kept] = [text(model, 1, 20), text(model, 2, 20)];
    const run = runOf(model, 0);
    for (const { pending } of [gone, run]) (pending as unknown as Waiting).settled = true;
    expect(sent(nextWork([model], runner()))).toEqual([2]);
    (kept.pending as unknown as Waiting).settled = true;
    expect(sent(nextWork([model], runner()))).toBeUndefined();
    expect([model.rows.jobs(() => true), model.runs.jobs()]).toEqual([[], []]);
  });

  it('leaves for the next load what came after the model was asked to leave', () => {
    const model = loadedModel();
    model.lastServed = 1;
    text(model, 1, 20);
    runOf(model, 2);
    generationOf(model, 3);
    expect(sent(nextWork([model], runner()))).toEqual([1]);
    model.rows.take();
    expect(sent(nextWork([model], runner()))).toBeUndefined();
  });

  it('gives a short window to a device on which one more costs nothing, when requests come fast', () => {
    const model = loadedModel(false);
    for (const rows of [1, 2, 8, 16]) for (const width of [8, 64, 128]) model.curve.worked(rows, width, 20);
    for (let arrival = 0; arrival < 40; arrival++) {
      text(model, arrival, 20);
      const { work } = nextWork([model], runner({ nowMs: 1_000 + arrival / 2, forecast: busy(undefined) }));
      if (work?.kind === 'batch') model.rows.remove(work.formed.rows);
    }
    const job = text(model, 40, 20);
    Object.assign(job.pending, { arrivedAtMs: 1_020 });
    const waiting = nextWork([model], runner({ nowMs: 1_020 }));
    expect(sent(waiting)).toBeUndefined();
    expect(waiting.wakeAtMs).toBeGreaterThan(1_020);
    expect(sent(nextWork([model], runner({ nowMs: waiting.wakeAtMs ?? 0 })))).toEqual([40]);
    // Other work waits: the device is not idle for the sake of a fuller batch.
    runOf(model, 41);
    expect(sent(nextWork([model], runner({ nowMs: 1_020 })))).toEqual([40]);
  });
});

describe('nextWork of two classes', () => {
  it('sends interactive work before older batch work, of whatever kind and model', () => {
    const [one, two] = [loadedModel(), loadedModel()];
    text(one, 1, 20, BATCH);
    runOf(two, 2, BATCH);
    generationOf(one, 3, BATCH);
    text(one, 4, 20);
    generationOf(one, 5);
    runOf(two, 6);
    const order: (number[] | undefined)[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const next = nextWork([one, two], runner());
      order.push(sent(next));
      expect(next.work && priorityOf(next.work)).toBe(turn < 3 ? 'interactive' : 'batch');
      expect(next.batchWaits).toBe(true);
      if (next.work?.kind === 'batch') one.rows.remove(next.work.formed.rows);
      if (next.work?.kind === 'run') two.runs.remove(next.work.formed.jobs);
      if (next.work?.kind === 'generation') one.generations.splice(one.generations.indexOf(next.work.job), 1);
    }
    expect(order).toEqual([[4], [5], [6], [1], [2], [3]]);
  });

  it('never puts batch texts into a run with interactive ones', () => {
    const model = loadedModel();
    for (const arrival of [1, 2, 3]) text(model, arrival, 20, BATCH);
    for (const arrival of [4, 5]) text(model, arrival, 20);
    expect(sent(nextWork([model], runner()))).toEqual([4, 5]);
  });

  it('sends the oldest batch work where it is batch work’s turn', () => {
    const model = loadedModel();
    text(model, 2, 20, BATCH);
    text(model, 1, 500, BATCH);
    text(model, 0, 20);
    const turn = { ...FREE, freeForBatch: false, isBatchTurn: true };
    expect(sent(nextWork([model], runner({ short: turn })))).toEqual([1]);
    // Nobody of that class is there.
    model.rows.jobs(({ pending }) => pending.priority === 'interactive');
    expect(sent(nextWork([model], runner({ short: turn })))).toEqual([0]);
  });

  it('leaves places to interactive work, and says that batch work waits for them', () => {
    const model = loadedModel();
    generationOf(model, 1, BATCH);
    text(model, 2, 20, BATCH);
    const reserved = { ...FREE, freeForBatch: false };
    expect(nextWork([model], runner({ short: reserved, generation: reserved })).work).toBeUndefined();
    generationOf(model, 3);
    const next = nextWork([model], runner({ short: reserved, generation: reserved }));
    expect([sent(next), next.batchWaits]).toEqual([[3], true]);
    expect(sent(nextWork([model], runner({ short: reserved })))).toEqual([3]);
  });

  it('lets a near deadline of batch work go before its own class only', () => {
    const model = loadedModel();
    text(model, 1, 200, BATCH);
    text(model, 2, 8, { ...BATCH, remainingMs: 40 });
    expect(sent(nextWork([model], runner()))).toEqual([2]);
    text(model, 3, 200);
    const next = nextWork([model], runner());
    expect([sent(next), next.jumped]).toEqual([[3], false]);
  });

  it('does a measurement after batch work, and counts it as neither', () => {
    const model = loadedModel();
    text(model, 1, 20, { background: true, priority: 'batch' });
    const alone = nextWork([model], runner({ short: { ...FREE, freeForBatch: false } }));
    expect([sent(alone), alone.batchWaits]).toEqual([[1], false]);
    text(model, 2, 20, BATCH);
    expect(sent(nextWork([model], runner()))).toEqual([2]);
  });
});
