// Text generation on SmolLM2 in real runner processes: many sequences at once, kept prefixes, cancellations, lost runners.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { loadTextGeneration, type TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { float32Elements, type NamedTensor, tensorOf } from '../../../protocol/tensor.ts';
import { collect, failure } from '../../compliance/engine.ts';
import { FRANCE, generateRequest, resumedAfter, workOptions } from '../../compliance/engine-requests.ts';
import { until } from '../../support/wait.ts';
import { smollm, startEngine } from './support.ts';

let model: InstalledModel;
let task: TextGenerationTask;
beforeAll(async () => {
  model = await smollm();
  task = await loadTextGeneration(model.folder, model.manifest);
});

type Started = Awaited<ReturnType<typeof startEngine>>;

/** Between the likeliest token and the next: what kernels round differently moves logits by up to 0.4. */
const SURE = 1.5;

const greedy = (text: string, maxNewTokens: number, more: Partial<GenerateRequest> = {}): GenerateRequest =>
  generateRequest(model.ref, [...task.encode(text)], { maxNewTokens, ...more });

const sampled = (text: string, maxNewTokens: number, seed: number): GenerateRequest =>
  greedy(text, maxNewTokens, { sampling: { temperature: 0.8, topP: 0.95, topK: 0, seed: BigInt(seed) } });

const counting = (from: number): string =>
  `Numbers: ${Array.from({ length: 12 }, (_, index) => from + index).join(', ')},`;

const statusOf = (engine: SupervisedEngine) => engine.loaded()[0]?.generation;

/** Tokens up to the first that might as well have been another one. */
async function sureTokens(engine: SupervisedEngine, request: GenerateRequest): Promise<number[]> {
  const { tokens, logprobs } = await collect(engine, { ...request, logprobs: 2 });
  const doubt = logprobs.findIndex(({ top }) => (top[0]?.logprob ?? 0) - (top[1]?.logprob ?? 0) < SURE);
  return doubt < 0 ? tokens : tokens.slice(0, doubt);
}

describe('a text generator', () => {
  let started: Started;
  beforeAll(async () => {
    started = await startEngine([model], { threads: 2 });
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  it('says how it runs', async () => {
    await collect(started.engine, generateRequest(model.ref, FRANCE));
    expect(statusOf(started.engine)).toMatchObject({ decoder: 'rewritten', decoderReason: undefined });
  });

  it('gives eight at once what each gets alone where everything is exact', async () => {
    const requests = [1, 3, 14, 20, 41, 57, 120, 300].map((from) => greedy(counting(from), 32));
    const together = await Promise.all(requests.map((request) => collect(started.engine, request)));
    await using exact = await startEngine([model], { threads: 2, exact: true });
    let compared = 0;
    for (const [index, request] of requests.entries()) {
      const sure = await sureTokens(exact.engine, request);
      expect(together[index]?.tokens.slice(0, sure.length)).toEqual(sure);
      compared += sure.length;
    }
    // Not all of them are full of doubt.
    expect(compared).toBeGreaterThan(100);
  });

  it('takes what it knows of a conversation from its cache, and says so', async () => {
    const { engine } = started;
    const first = [...task.encode(`${'The cat sat on the mat. '.repeat(10)} It `)];
    const { tokens, result } = await collect(engine, generateRequest(model.ref, first, { maxNewTokens: 20 }));
    expect(result.cachedTokens ?? 0).toBe(0);
    const before = statusOf(engine)?.cachedTokens ?? 0;
    const second = [...first, ...tokens, ...task.encode(' And then')];
    const turn = await collect(engine, generateRequest(model.ref, second, { maxNewTokens: 5 }));
    // All whole blocks of what was computed: the last token that was drawn never was.
    expect(turn.result.cachedTokens).toBe(16 * Math.floor((first.length + tokens.length - 1) / 16));
    await until('the numbers to show it', () => (statusOf(engine)?.cachedTokens ?? 0) > before);
  });

  it('runs its graph as it was exported beside a stream, which goes on', async () => {
    const { engine } = started;
    const ids = [...task.encode(counting(5))];
    const stream = collect(engine, generateRequest(model.ref, ids, { maxNewTokens: 24 }));
    const inputs: NamedTensor[] = model.manifest.inputs.map(({ name, dims }) => {
      if (name !== 'input_ids' && name !== 'attention_mask' && name !== 'position_ids') {
        return tensorOf(name, 'float32', [1, dims[1] as number, 0, dims[3] as number], new Float32Array(0));
      }
      const values = name === 'input_ids' ? ids : ids.map((_, index) => (name === 'position_ids' ? index : 1));
      return tensorOf(name, 'int64', [1, ids.length], BigInt64Array.from(values, BigInt));
    });
    const { outputs } = await engine.run({ model: model.ref, inputs, outputs: ['logits'] }, workOptions());
    const logits = float32Elements(outputs[0] as NamedTensor);
    const vocabulary = model.manifest.generation?.vocabularySize ?? 0;
    const last = logits.subarray((ids.length - 1) * vocabulary);
    const { tokens } = await stream;
    expect(last.indexOf(Math.max(...last))).toBe(tokens[0]);
    expect(tokens).toHaveLength(24);
  });

  it('gives the place of whoever leaves to the next one within a step', async () => {
    await using small = await startEngine([model], { generationsMax: 2 });
    const { engine } = small;
    const abort = new AbortController();
    let items = 0;
    let whenLeft = Number.NaN;
    let whenNext = Number.NaN;
    const stays = engine.generate(sampled('Once upon a time', 60, 1), workOptions(), () => {
      items++;
      if (items !== 12) return;
      whenLeft = items;
      abort.abort(new WeftError({ code: 'cancelled', message: 'Enough.' }));
    });
    const leaves = failure(
      engine.generate(sampled('In the beginning', 5_000, 2), workOptions({ signal: abort.signal }), () => undefined),
    );
    const next = engine.generate(sampled('Hello', 3, 3), workOptions(), () => {
      if (Number.isNaN(whenNext)) whenNext = items;
    });
    expect((await leaves).code).toBe('cancelled');
    await Promise.all([stays, next]);
    // One step is under way as it leaves, one is the newcomer's prompt; both steps and their tokens overlap with frames.
    expect(whenNext - whenLeft).toBeLessThanOrEqual(4);
    expect(items).toBeGreaterThan(whenNext);
  });
});

describe('exact generation', () => {
  it('gives the same tokens alone and in company, and where it goes on elsewhere', async () => {
    await using started = await startEngine([model], { threads: 2, exact: true });
    const { engine } = started;
    const request = sampled('The best thing about the sea is', 24, 7);
    const alone = await collect(engine, request);
    const others = [1, 2, 3].map((seed) =>
      collect(engine, sampled(`Story number ${seed}: ${'a '.repeat(30 * seed)}`, 30, seed)),
    );
    const inCompany = await collect(engine, request);
    expect(inCompany.tokens).toEqual(alone.tokens);
    const resumed = await collect(engine, resumedAfter(request, alone.tokens.slice(0, 9)));
    expect(resumed.tokens).toEqual(alone.tokens.slice(9));
    await Promise.all(others);
    expect(statusOf(engine)?.prefixBytes).toBe(0);
  });
});

describe('six streams of a runner that is lost', () => {
  let started: Started;
  let requests: readonly GenerateRequest[];
  let whole: Awaited<ReturnType<typeof collect>>[];
  beforeAll(async () => {
    started = await startEngine([model], { threads: 2, exact: true });
    requests = [0, 1, 2, 3, 4, 5].map((seed) => sampled(`Chapter ${seed}`, 9, seed));
    whole = await Promise.all(requests.map((request) => collect(started.engine, request)));
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  it.each([
    ['SIGKILL', 'runner_lost'],
    ['SIGSTOP', 'runner_timeout'],
  ] as const)('by %s all go on after one retry, with no token lost, doubled or changed', async (signal, code) => {
    const { engine } = started;
    const pid = engine.loaded()[0]?.runnerPid ?? 0;
    let killed = false;
    const streams = requests.map(async (request) => {
      const tokens: number[] = [];
      const lost = await failure(
        engine.generate(request, workOptions(), (_, ids) => {
          tokens.push(...ids);
          if (killed || tokens.length < 4) return;
          killed = true;
          process.kill(pid, signal);
        }),
      );
      expect(lost).toMatchObject({ code, elsewhere: true });
      const rest = await collect(engine, resumedAfter(request, tokens));
      return [...tokens, ...rest.tokens];
    });
    expect(await Promise.all(streams)).toEqual(whole.map(({ tokens }) => tokens));
  });
});
