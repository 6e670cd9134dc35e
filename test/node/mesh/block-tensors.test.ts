// Tensors as blocks between two nodes: who packs what, and what is believed of a peer.
import { afterEach, describe, expect, it } from 'vitest';
import { packTensors, unpackTensors } from '../../../node/mesh/block-tensors.ts';
import { BLOCKS_BYTES_MAX } from '../../../node/mesh/limits.ts';
import { RemoteEngine } from '../../../node/mesh/remote-engine.ts';
import { serveEngine } from '../../../node/mesh/serve-engine.ts';
import type { PackedTensor, RunRequest } from '../../../protocol/infer.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { type NamedTensor, tensorOf } from '../../../protocol/tensor.ts';
import { FakeEngine } from './fake-engine.ts';
import { allowAll, startPair, stopAll } from './support.ts';

const model = { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` };
const options = () => ({ signal: new AbortController().signal, requestId: 'req_test' });

const VALUES = Float32Array.from({ length: 96 }, (_, index) => Math.sin(index));
const floats = (name: string, values = VALUES): NamedTensor =>
  tensorOf(name, 'float32', [3, values.length / 3], values);
const valuesOf = ({ data }: NamedTensor): number[] => [...new Float32Array(data.slice().buffer)];

function expectNear(tensor: NamedTensor | undefined, wanted: readonly number[]): void {
  expect(tensor?.type).toBe('float32');
  for (const [index, value] of (tensor === undefined ? [] : valuesOf(tensor)).entries()) {
    expect(Math.abs(value - (wanted[index] as number))).toBeLessThan(0.01);
  }
}

afterEach(stopAll);

describe('packing', () => {
  it('packs floats that are named, and leaves the rest as it is', () => {
    const whole = tensorOf('ids', 'int64', [1], BigInt64Array.of(7n));
    const endless = floats('endless', Float32Array.of(1, 2, Number.POSITIVE_INFINITY));
    const large = floats('large', new Float32Array(BLOCKS_BYTES_MAX / 4 + 3));
    const given = [floats('a'), floats('b'), whole, endless, large];
    const { tensors, packed } = packTensors(given, ['a', 'ids', 'endless', 'large']);
    expect(packed).toEqual([{ name: 'a', dims: [3, 32], error: expect.closeTo(0.004, 2) }]);
    expect(tensors[0]).toMatchObject({ name: 'a', type: 'uint8', dims: [3 * 34] });
    expect(tensors.slice(1)).toEqual(given.slice(1));
    const back = unpackTensors(tensors, packed);
    expect(back[0]?.dims).toEqual([3, 32]);
    expectNear(back[0], [...VALUES]);
  });

  it.each([
    ['of another size', { name: 'a', dims: [4, 32], error: 0 }],
    ['that isn’t there', { name: 'z', dims: [3, 32], error: 0 }],
    ['of floats', { name: 'b', dims: [3, 32], error: 0 }],
    ['with a shape that is none', { name: 'a', dims: [-3, -32], error: 0 }],
    ['that would be too large', { name: 'a', dims: [1 << 30, 32], error: 0 }],
  ])('refuses blocks %s', (_what, said: PackedTensor) => {
    const { tensors } = packTensors([floats('a'), floats('b')], ['a']);
    expect(() => unpackTensors(tensors, [said])).toThrow(expect.objectContaining({ code: 'tensor_invalid' }));
  });

  it('refuses blocks that are said twice', () => {
    const { tensors, packed } = packTensors([floats('a')], ['a']);
    const twice = [...tensors, ...tensors];
    expect(unpackTensors(twice, packed).map(({ type }) => type)).toEqual(['float32', 'uint8']);
  });
});

describe('a run whose tensors may cross as blocks', () => {
  async function remote() {
    const seen: RunRequest[] = [];
    const { a, b } = await startPair({
      prepare: (mesh) => {
        const engine = new FakeEngine('a');
        const run = engine.run.bind(engine);
        engine.run = (request, work) => {
          seen.push(request);
          return run(request, work);
        };
        serveEngine({ mesh, engine, policy: allowAll });
      },
    });
    return { seen, engine: new RemoteEngine({ mesh: b.mesh }, { node: a.key.node }) };
  }

  it('gives engines floats, and says what was lost', async () => {
    const { engine, seen } = await remote();
    const request = { model, inputs: [floats('x'), floats('y')], outputs: [], blocks: ['x'] };
    const { outputs, packed } = await engine.run(request, options());
    expectNear(seen[0]?.inputs[0], [...VALUES]);
    expect(seen[0]?.inputs[1]).toMatchObject({ name: 'y', type: 'float32' });
    expect(valuesOf(seen[0]?.inputs[1] as NamedTensor)).toEqual([...VALUES]);
    expect(seen[0]).not.toHaveProperty('packed');
    expect(packed?.map(({ name }) => name)).toEqual([
      'x',
      ...outputs.filter(({ name }) => name === 'x').map(() => 'x'),
    ]);
    for (const { error } of packed ?? []) expect(error).toBeLessThan(0.01);
  });

  it('that allows none gets none', async () => {
    const { engine } = await remote();
    const { outputs, packed } = await engine.run({ model, inputs: [floats('x')], outputs: [] }, options());
    expect(packed).toBeUndefined();
    expect(outputs[0]?.type).toBe('float32');
  });

  it('takes no blocks for an answer that it did not allow', async () => {
    const { a, b } = await startPair({
      prepare: (mesh) =>
        mesh.handle(PEER_METHODS.run, async () => {
          const { tensors, packed } = packTensors([floats('x')], ['x']);
          const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
          return { outputs: tensors, packed, node: 'a', timing };
        }),
    });
    const engine = new RemoteEngine({ mesh: b.mesh }, { node: a.key.node });
    await expect(engine.run({ model, inputs: [], outputs: [] }, options())).rejects.toMatchObject({
      code: 'frame_invalid',
    });
  });
});
