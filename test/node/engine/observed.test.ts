// What an answer of the runner tells of a model's speed.
import { beforeEach, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { WorkOptions } from '../../../node/core/engine.ts';
import { type GenerateJob, type Send, sendGenerate } from '../../../node/engine/jobs.ts';
import { ModelState } from '../../../node/engine/model-state.ts';
import { Pending } from '../../../node/engine/pending.ts';
import type { GenerateResult } from '../../../protocol/infer.ts';
import { ManualClock } from '../core/manual-clock.ts';

const INSTALLED = {
  ref: { id: 'owner/chat', digest: `sha256:${'1'.repeat(64)}` },
  manifest: { task: 'text-generation', contextLength: 2_048, inputs: [], outputs: [], files: [] },
  folder: '',
  aliases: [],
} as unknown as InstalledModel;

let model: ModelState;
const clock = new ManualClock();

beforeEach(() => {
  model = new ModelState(INSTALLED);
  // Warm: the first answer behind a load says nothing.
  model.answers = 1;
});

/** Takes a prompt in; its answer comes when the returned function is called. */
function begin(promptTokens: number, over: Partial<WorkOptions> = {}) {
  const options = { signal: new AbortController().signal, requestId: 'r', ...over };
  const pending: Pending<GenerateResult> = new Pending<GenerateResult>(
    { clock, onSettled: () => void model.pending.delete(pending) },
    { options, arrival: 0, budgetMsMax: 60_000 },
  );
  model.pending.add(pending);
  const { promise, resolve } = Promise.withResolvers<GenerateResult>();
  const request = { ids: new Int32Array(promptTokens).fill(1), promptLength: promptTokens };
  const send = (() => promise) as unknown as Send;
  sendGenerate(
    { now: () => clock.now(), node: 'here' },
    model,
    { pending, request, onTokens: () => undefined } as unknown as GenerateJob,
    send,
  );
  return async (answer: {
    readonly generated: number;
    readonly prefillMs: number;
    readonly decodeMs: number;
    readonly cachedTokens?: number;
  }) => {
    const { generated, prefillMs, decodeMs, cachedTokens } = answer;
    const timing = { queueMs: 0, loadMs: 0, prefillMs, computeMs: prefillMs + decodeMs };
    resolve({ finish: 'length', generated, node: '', timing, ...(cachedTokens === undefined ? {} : { cachedTokens }) });
    return pending.result;
  };
}

describe('an answer', () => {
  it('tells the time of its prompt and of each token behind the first', async () => {
    await begin(100)({ generated: 11, prefillMs: 200, decodeMs: 150 });
    expect(model.profile.report().observed).toMatchObject({ samples: 1, answers: 1, perTokenMs: 2, decodeMs: 15 });
  });

  it('tells only of what was computed: kept prefixes cost nothing', async () => {
    const result = await begin(400)({ generated: 2, prefillMs: 32, decodeMs: 10, cachedTokens: 384 });
    expect(model.profile.report().observed).toMatchObject({ samples: 1, perTokenMs: 2 });
    expect(result.cachedTokens).toBe(384);
  });

  it('tells nothing when nobody waited for it', async () => {
    await begin(100, { background: true })({ generated: 11, prefillMs: 200, decodeMs: 150 });
    expect(model.profile.report().observed).toMatchObject({ samples: 0, answers: 0 });
  });

  it('is compared with what a step costs in the company that it had', async () => {
    model.profile.claim({
      device: 'cpu',
      machine: '',
      version: '',
      measuredAtMs: 0,
      work: [],
      decode: [{ context: 40, ms: 10 }],
      batch: [
        { size: 1, ms: 10 },
        { size: 3, ms: 30 },
      ],
      loadMs: 0,
    });
    for (let time = 0; time < 4; time++) {
      const answers = [begin(40), begin(40), begin(40)];
      // On average two at a time: 1 to 3 when they began, and when they ended.
      for (const answer of answers) await answer({ generated: 11, prefillMs: 1, decodeMs: 200 });
    }
    expect(model.profile.report().observed).toMatchObject({ answers: 12, decodeMs: 20, decodeRatio: 1 });
  });
});
