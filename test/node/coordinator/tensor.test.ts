import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TensorRequest } from '../../../node/core/coordinator.ts';
import type { RunRequest } from '../../../protocol/infer.ts';
import { TENSORS_MAX } from '../../../protocol/limits.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { TIMING } from '../dispatch/fakes.ts';
import { available, bundledOffers, bundledStore, fakeCoordinator, planOn, type Run, recordingTrace } from './fakes.ts';

let store: Awaited<ReturnType<typeof bundledStore>>;
beforeAll(async () => {
  store = await bundledStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const int64 = (name: string, dims = [1, 2]): NamedTensor =>
  tensorOf(name, 'int64', dims, new BigInt64Array(dims.reduce((size, dim) => size * dim, 1)));
const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => int64(name));
const request: TensorRequest = { model: 'minilm', inputs, outputs: [] };
const output = tensorOf('last_hidden_state', 'float32', [1, 2, 384], new Float32Array(768));

function coordinatorOf(from = store) {
  const requests: RunRequest[] = [];
  const run: Run = async (one, options) => {
    requests.push(one);
    options.onPlan?.(planOn('peer'));
    return { outputs: [output], node: 'peer', timing: TIMING, plan: planOn('peer'), nodes: ['peer'] };
  };
  const models = available(bundledOffers(store), ['peer']);
  return { requests, coordinator: fakeCoordinator({ store: from, models, run }).coordinator };
}

const signal = new AbortController().signal;
const options = { signal, requestId: 'req' };

describe('a run of any graph', () => {
  it('passes tensors to the model of that name, whatever it is for', async () => {
    const { coordinator, requests } = coordinatorOf();
    const { trace, seen } = recordingTrace();
    const answer = await coordinator.run({ ...request, outputs: ['last_hidden_state'] }, { ...options, trace });
    const model = { id: 'Xenova/all-MiniLM-L6-v2', digest: expect.stringMatching(/^sha256:/) };
    expect(answer).toEqual({ model, outputs: [output], timing: TIMING, nodes: ['peer'], plan: planOn('peer') });
    expect(requests).toEqual([{ model, inputs, outputs: ['last_hidden_state'] }]);
    expect(seen.model).toBe('Xenova/all-MiniLM-L6-v2');
  });

  it.each<[string, Partial<TensorRequest>, string]>([
    ['a name that the graph has not', { inputs: [...inputs, int64('position_ids')] }, 'It takes'],
    ['the same name twice', { inputs: [...inputs, int64('input_ids')] }, 'came twice'],
    ['an input too few', { inputs: inputs.slice(1) }, 'Inputs are missing: input_ids.'],
    [
      'another type',
      { inputs: [tensorOf('input_ids', 'int32', [1, 2], new Int32Array(2)), ...inputs.slice(1)] },
      'takes int64, but int32 came',
    ],
    ['another rank', { inputs: [int64('input_ids', [2]), ...inputs.slice(1)] }, 'takes [batch, sequence]'],
    ['bytes that do not fit', { inputs: [{ ...int64('input_ids'), dims: [1, 3] }, ...inputs.slice(1)] }, '24 bytes'],
    ['too many tensors', { inputs: Array.from({ length: TENSORS_MAX + 1 }, (_, i) => int64(`t${i}`)) }, 'too many'],
  ])('refuses %s before it is placed', async (_what, changes, message) => {
    const { coordinator, requests } = coordinatorOf();
    await expect(coordinator.run({ ...request, ...changes }, options)).rejects.toMatchObject({
      code: 'tensor_invalid',
      message: expect.stringContaining(message),
    });
    expect(requests).toEqual([]);
  });

  it('refuses outputs that the graph has not, or that are named twice', async () => {
    const { coordinator } = coordinatorOf();
    for (const outputs of [['logits'], ['last_hidden_state', 'last_hidden_state']]) {
      await expect(coordinator.run({ ...request, outputs }, options)).rejects.toMatchObject({
        code: 'tensor_invalid',
        facts: { param: 'outputs' },
      });
    }
  });

  it('leaves the check to the executor where only that has the manifest', async () => {
    await using empty = await bundledStore([]);
    const { coordinator, requests } = coordinatorOf(empty);
    await coordinator.run({ ...request, inputs: [int64('anything')] }, options);
    expect(requests.length).toBe(1);
  });

  it('of a model that there is not, is refused with those that there are', async () => {
    const { coordinator } = coordinatorOf();
    const asked = coordinator.run({ ...request, model: 'resnet' }, options);
    await expect(asked).rejects.toMatchObject({ code: 'model_not_found', facts: { param: 'model' } });
  });

  it('of a graph that says nothing about a shape takes any', async () => {
    const ref = { id: 'o/any', digest: 'sha256:any' };
    const known = store.find('minilm');
    if (known === undefined) throw new Error('MiniLM is not bundled');
    const manifest = { ...known.manifest, inputs: [{ name: 'x', type: 'int64', dims: ['*'] }] };
    const metadata = () => ({ manifest, folder: '' });
    const from = Object.assign(Object.create(store), { metadata });
    const run: Run = async () => ({
      outputs: [output],
      node: 'self',
      timing: TIMING,
      plan: planOn('self'),
      nodes: ['self'],
    });
    const models = available(
      bundledOffers(store)
        .map((offer) => ({ ...offer, model: ref, aliases: [] }))
        .slice(0, 1),
    );
    const { coordinator } = fakeCoordinator({ store: from, models, run });
    const answer = await coordinator.run({ model: 'o/any', inputs: [int64('x', [1, 1, 1, 2])], outputs: [] }, options);
    expect(answer.model).toEqual(ref);
  });
});
