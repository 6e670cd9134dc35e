// Graphs of float16 on the runtime itself: through a run of any tensors, and the trial of a new session.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TensorProto_DataType as DataType } from '../../../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../../../models/onnx/tensors.ts';
import { runGraph } from '../../../../node/engine/runner/session.ts';
import { trialFeeds } from '../../../../node/engine/runner/trial.ts';
import { GraphBuilder } from '../../../support/graph-builder.ts';

/** `half` float16 [N] → `whole` float32 [N], `same` float16 [N]. */
async function session(): Promise<InferenceSession> {
  const builder = new GraphBuilder();
  builder.as('whole', builder.op('Cast', ['half'], { to: BigInt(DataType.FLOAT) }));
  builder.as('same', 'half');
  const graph = builder.file(
    [valueInfo('half', DataType.FLOAT16, ['N'])],
    [valueInfo('whole', DataType.FLOAT, ['N']), valueInfo('same', DataType.FLOAT16, ['N'])],
  );
  const opened = await InferenceSession.create(graph);
  onTestFinished(() => opened.release());
  return opened;
}

describe('float16', () => {
  it('goes in and comes out as the bits that it is', async () => {
    // 1, -2, 0.5 and the smallest above 0.
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x0001);
    const half = { name: 'half', type: 'float16' as const, dims: [4], data: new Uint8Array(bits.buffer) };
    const outputs = await runGraph(await session(), { model: { id: 'a/b', digest: '' }, inputs: [half], outputs: [] });
    const [whole, same] = outputs.map(({ data }) => data.slice().buffer);
    expect(new Float32Array(whole as ArrayBuffer)).toEqual(Float32Array.of(1, -2, 0.5, 2 ** -24));
    expect(new Uint16Array(same as ArrayBuffer)).toEqual(bits);
  });

  it('is tried with halves', async () => {
    const feeds = trialFeeds({ inputs: [{ name: 'half', type: 'float16', dims: [3] }] });
    const { whole } = await (await session()).run(feeds ?? {});
    expect(whole?.data).toEqual(Float32Array.of(0.5, 0.5, 0.5));
  });

  it('is what the runtime finds nothing of, as its own library makes it', async () => {
    const feeds = { half: new Tensor('float16', Uint16Array.of(0x3c00) as never, [1]) };
    await expect((await session()).run(feeds)).rejects.toThrow('not enough space');
  });
});
