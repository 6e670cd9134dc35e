// Computes on the WebGPU provider in a process of its own, as a runner does, and prints what came of it as JSON. Started by
// webgpu.test.ts with the environment in which the driver is found; its argument says what to do.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { Tensor } from 'onnxruntime-node';
import { modelRef, parseManifest } from '../../../../models/manifest.ts';
import { ModelProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { TextEncoder } from '../../../../node/engine/runner/encode.ts';
import { openGraph, openSession, type SessionPlace } from '../../../../node/engine/runner/session.ts';
import { encodeRequest, textsOf } from '../../../compliance/engine-requests.ts';

const MINILM = fileURLToPath(new URL('../../../../models/bundled/Xenova/all-MiniLM-L6-v2', import.meta.url));
const WEBGPU: SessionPlace = { provider: 'webgpu', device: 0 };
const CPU: SessionPlace = { provider: 'cpu', device: 0 };
const threads = { threads: 1, shareCores: true };

async function minilm() {
  const manifest = parseManifest(await readFile(join(MINILM, 'weft-manifest.json'), 'utf8'));
  return { folder: MINILM, manifest, ref: modelRef(manifest) };
}

async function openMinilm(place: SessionPlace) {
  const { folder, manifest, ref } = await minilm();
  const opened = await openSession({ folder, manifest, ...threads, verifyLarge: false, place });
  return { opened, ref, encoder: new TextEncoder(opened.session, manifest), manifest };
}

/** A graph that the provider takes, and fails to run: it has no transposed convolution in three dimensions. */
function transposedConvolution(): Uint8Array {
  const port = (name: string, dims: readonly number[]) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: 1,
          shape: { dim: dims.map((dim) => ({ value: { case: 'dimValue' as const, value: BigInt(dim) } })) },
        },
      },
    },
  });
  const graph = {
    name: 'g',
    node: [{ opType: 'ConvTranspose', input: ['x', 'w'], output: ['y'] }],
    input: [port('x', CUBE), port('w', CUBE)],
    output: [port('y', [1, 1, 3, 3, 3])],
  };
  return writeModel(create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ domain: '', version: 17n }], graph }));
}

const CUBE = [1, 1, 2, 2, 2];
const cube = (): Tensor => new Tensor('float32', new Float32Array(8).fill(0.5), CUBE);
const ports = (dims: readonly (number | string)[]) => ({
  inputs: ['x', 'w'].map((name) => ({ name, type: 'float32', dims: [...dims] })),
});

const TASKS: Readonly<Record<string, () => Promise<unknown>>> = {
  /** Shaders take seconds to compile in software: everything that needs the model in one process. */
  async minilm() {
    const request = async ({ encoder, ref }: Awaited<ReturnType<typeof openMinilm>>, lengths: number[]) => [
      ...(await encoder.encode(encodeRequest(ref, textsOf(lengths)))),
    ];
    const processor = await openMinilm(CPU);
    const first = await openMinilm(WEBGPU);
    const second = await openMinilm(WEBGPU);
    const agreeing = [await request(processor, [4]), await request(first, [4])];
    const together = await Promise.all([first, second, first].map((opened) => request(opened, [3])));
    const one = new Tensor('int64', new BigInt64Array(1), [1]);
    const badRequestFailed = await first.opened.session
      .run({ input_ids: one, attention_mask: one, token_type_ids: one })
      .then(
        () => false,
        () => true,
      );
    const providers = [processor, first, second].map(({ opened }) => opened.provider());
    return { agreeing, together, badRequestFailed, providers };
  },

  /** Seen by the trial, before anyone asks. */
  async refusedAtLoad() {
    const opened = await openGraph(transposedConvolution(), { ...threads, place: WEBGPU }, ports(CUBE));
    const { y } = await opened.session.run({ x: cube(), w: cube() });
    return {
      provider: opened.provider(),
      reason: opened.fallbackReason(),
      y: [...((y as Tensor).data as Float32Array)],
    };
  },

  /** Not seen by the trial, which doesn't know what to try: the first request meets it. */
  async refusedAtRun() {
    const opened = await openGraph(transposedConvolution(), { ...threads, place: WEBGPU }, ports(['*']));
    const before = opened.provider();
    const { y } = await opened.session.run({ x: cube(), w: cube() });
    const again = await opened.session.run({ x: cube(), w: cube() });
    return {
      before,
      provider: opened.provider(),
      reason: opened.fallbackReason(),
      y: [...((y as Tensor).data as Float32Array)],
      again: [...((again.y as Tensor).data as Float32Array)],
    };
  },

  async absentProvider() {
    const { folder, manifest } = await minilm();
    const place = { provider: 'cuda', device: 7 } as const;
    const opened = await openGraph(join(folder, manifest.graph), { ...threads, place }, manifest);
    return { provider: opened.provider(), reason: opened.fallbackReason(), inputs: opened.session.inputNames };
  },
};

const result = await TASKS[process.argv[2] ?? '']?.();
process.stdout.write(`\n${JSON.stringify(result)}\n`, () => process.exit(0));
