// POST /api/v1/infer: any graph by HTTP.
import { describe, expect, it } from 'vitest';
import type { TensorAnswer, TensorRequest } from '../../../node/core/coordinator.ts';
import { InferAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type NamedTensor, packStrings, tensorOf } from '../../../protocol/tensor.ts';
import { OTHER, PLAN, startGateway } from './support.ts';

const answerOf = (outputs: readonly NamedTensor[]): TensorAnswer => ({
  model: { id: 'owner/graph', digest: 'sha256:00' },
  outputs,
  timing: { queueMs: 1, loadMs: 0, computeMs: 2.34567, prefillMs: 0 },
  nodes: [OTHER],
  plan: PLAN,
});

async function start(outputs: readonly NamedTensor[] | ((request: TensorRequest) => readonly NamedTensor[])) {
  const requests: TensorRequest[] = [];
  const gateway = await startGateway({
    coordinator: {
      run: async (request) => {
        requests.push(request);
        return answerOf(typeof outputs === 'function' ? outputs(request) : outputs);
      },
    },
  });
  const infer = (body: object): Promise<Response> =>
    gateway.call('/api/v1/infer', { model: 'graph', inputs: [], ...body });
  return { ...gateway, infer, requests };
}

describe('a graph', () => {
  it('gets tensors and gives tensors, with where and how long', async () => {
    const { infer, requests } = await start(({ inputs }) =>
      inputs.map((input) => ({ ...input, name: `${input.name}2` })),
    );
    const answer = await infer({
      inputs: [
        { name: 'a', dtype: 'float32', shape: [1, 2], data: [[1, 2.5]] },
        { name: 'b', dtype: 'int64', shape: [2], data: ['9007199254740993', -1] },
        { name: 'c', dtype: 'uint8', shape: [3], data: 'AQID' },
      ],
      outputs: ['a2'],
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-weft-node')).toBe(OTHER);
    expect(InferAnswer.parse(await answer.json())).toEqual({
      model: 'owner/graph',
      outputs: [
        { name: 'a2', dtype: 'float32', shape: [1, 2], encoding: 'json', data: [1, 2.5] },
        { name: 'b2', dtype: 'int64', shape: [2], encoding: 'json', data: ['9007199254740993', -1] },
        { name: 'c2', dtype: 'uint8', shape: [3], encoding: 'json', data: [1, 2, 3] },
      ],
      timing: { queueMs: 1, loadMs: 0, computeMs: 2.35, prefillMs: 0 },
      nodes: [OTHER],
      plan: { kind: 'remote', predictedMs: 12.35 },
    });
    expect(requests[0]).toMatchObject({ model: 'graph', outputs: ['a2'] });
    expect(requests[0]?.inputs[0]).toEqual(tensorOf('a', 'float32', [1, 2], Float32Array.of(1, 2.5)));
  });

  it('answers in base64 where that is asked for, and where JSON has no form; strings stay JSON', async () => {
    const { infer } = await start([
      tensorOf('f', 'float32', [2], Float32Array.of(1, -1)),
      { name: 's', type: 'string', dims: [2], data: packStrings(['a', 'ö']) },
      { name: 'q', type: 'float8e5m2', dims: [1], data: Uint8Array.of(9) },
      { name: 'none', type: 'float32', dims: [0], data: new Uint8Array() },
    ]);
    const outputs = async (encoding: string): Promise<InferAnswer['outputs']> =>
      InferAnswer.parse(await (await infer({ encoding })).json()).outputs;
    expect((await outputs('base64')).map(({ encoding, data }) => [encoding, data])).toEqual([
      ['base64', 'AACAPwAAgL8='],
      ['json', ['a', 'ö']],
      ['base64', 'CQ=='],
      ['base64', ''],
    ]);
    expect((await outputs('json')).map(({ encoding, data }) => [encoding, data])).toEqual([
      ['json', [1, -1]],
      ['json', ['a', 'ö']],
      ['base64', 'CQ=='],
      ['json', []],
    ]);
  });

  it('gives large outputs whole, in either form', async () => {
    const numbers = Float32Array.from({ length: 300_000 }, (_, index) => index / 8);
    const { infer } = await start([tensorOf('x', 'float32', [numbers.length], numbers)]);
    const json = InferAnswer.parse(await (await infer({})).json());
    expect(json.outputs[0]?.data).toEqual([...numbers]);
    const base64 = InferAnswer.parse(await (await infer({ encoding: 'base64' })).json());
    expect(base64.outputs[0]?.data).toBe(Buffer.from(numbers.buffer).toString('base64'));
  });

  it('whose outputs are too large for JSON says so instead of writing them', async () => {
    const { infer } = await start([tensorOf('x', 'uint8', [2_000_000], new Uint8Array(2_000_000))]);
    const refused = await infer({});
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { remedy: expect.stringContaining('base64') } });
    expect((await infer({ encoding: 'base64' })).status).toBe(200);
  });

  it('fails with its own code', async () => {
    const { infer } = await start(() => {
      throw new WeftError({ code: 'model_not_found', message: 'No such model.' });
    });
    expect((await infer({})).status).toBe(404);
  });
});

describe('a body', () => {
  it.each<[string, object, string]>([
    ['lies about its shape', { inputs: [{ name: 'a', dtype: 'float32', shape: [3], data: [1] }] }, 'inputs[0]'],
    [
      'has a negative dimension',
      { inputs: [{ name: 'a', dtype: 'float32', shape: [-1], data: [] }] },
      'inputs[0].shape[0]',
    ],
    [
      'has a shape of many dimensions',
      { inputs: [{ name: 'a', dtype: 'int8', shape: Array(17).fill(1), data: [1] }] },
      'inputs[0].shape',
    ],
    ['names an unknown type', { inputs: [{ name: 'a', dtype: 'float12', shape: [], data: 1 }] }, 'inputs[0].dtype'],
    ['has a null for data', { inputs: [{ name: 'a', dtype: 'int8', shape: [], data: null }] }, 'inputs[0].data'],
    ['names an input twice', { inputs: Array(2).fill({ name: 'a', dtype: 'int8', shape: [], data: 1 }) }, 'inputs'],
    ['has inputs without end', { inputs: Array(513).fill(0) }, 'inputs'],
    ['asks for another encoding', { encoding: 'hex' }, 'encoding'],
    ['has an unknown parameter', { ouputs: [] }, 'ouputs'],
    ['is no request', { model: 7 }, 'model'],
  ])('that %s is refused by name, and runs nothing', async (_what, body, param) => {
    const { infer, requests } = await start([]);
    const answer = await infer(body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param } });
    expect(requests).toEqual([]);
  });
});
