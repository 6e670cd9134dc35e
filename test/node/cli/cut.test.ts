// `weft cut`, on the program's own command line, without a daemon: real processes check, measure and cut the graph.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TensorProto_DataType as DataType } from '../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../models/onnx/model-file.ts';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import { CHAIN_FILE, type WrittenPart } from '../../../node/cli/cut-files.ts';
import { runProgram } from '../../../node/cli/program.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { mobilenet } from '../../support/mobilenet.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { recordedContext } from './fake-daemon.ts';

const PIXELS = 64;

let folder: string;
let graph: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-cut-'));
  graph = join(folder, 'small net.onnx');
  await writeFile(graph, writeModel(mobilenet({ size: PIXELS, width: 0.25, classes: 10, quantized: false })));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function cut(...args: string[]) {
  const context = recordedContext({ env: { WEFT_HOME: join(folder, 'home') } });
  await runProgram(['cut', ...args], context, '0.0.0');
  return context;
}

/** Runs the files of a chain one after the other. */
async function chain(out: string, input: ort.Tensor): Promise<ort.Tensor> {
  const { parts } = JSON.parse(await readFile(join(out, CHAIN_FILE), 'utf8')) as { parts: WrittenPart[] };
  const held: Record<string, ort.Tensor> = { image: input };
  for (const { file, inputs } of parts) {
    const session = await ort.InferenceSession.create(join(out, file));
    expect([...session.inputNames].sort()).toEqual([...inputs].sort());
    Object.assign(held, await session.run(Object.fromEntries(inputs.map((name) => [name, held[name] as ort.Tensor]))));
    await session.release();
  }
  return held.classes as ort.Tensor;
}

describe('weft cut', () => {
  it('lists where a file can be cut', async () => {
    const context = await cut(graph);
    expect(context.out()).toMatch(/^local\/small-net · .+\nimage:float32\[1,3,64,64\]\n[\s\S]+CUT +DEPTH/);
    expect(context.err()).toContain('it is measured here');
  });

  it('writes parts that give what the whole gives, one after the other', async () => {
    const out = join(folder, 'parts');
    const context = await cut(graph, '--at', '2,5', '--out', out, '--json');
    const { parts } = JSON.parse(context.out()) as { parts: WrittenPart[] };
    expect(parts.map(({ file }) => file)).toEqual([1, 2, 3].map((part) => `small-net.part${part}.onnx`));
    const names = await readdir(out);
    expect(names).toEqual(expect.arrayContaining([CHAIN_FILE, ...parts.map(({ file }) => file)]));
    expect(names).toContain('small-net.part3.onnx.data');
    const random = new SeededRandom(1);
    const pixels = Float32Array.from({ length: 3 * PIXELS * PIXELS }, () => random.next());
    const input = new ort.Tensor('float32', pixels, [1, 3, PIXELS, PIXELS]);
    const whole = await ort.InferenceSession.create(graph);
    const { classes } = await whole.run({ image: input });
    const expected = classes?.data as Float32Array;
    const values = (await chain(out, input)).data as Float32Array;
    const scale = Math.max(...expected.map(Math.abs));
    for (const [at, value] of expected.entries()) {
      expect(Math.abs((values[at] ?? Number.NaN) - value)).toBeLessThan(1e-4 * scale);
    }
    // Nothing is left of what was begun.
    expect((await readdir(folder)).sort()).toEqual(['parts', 'small net.onnx']);
  });

  it('overwrites nothing', async () => {
    const out = join(folder, 'taken');
    await mkdir(out);
    await writeFile(join(out, 'mine.txt'), 'mine');
    await expect(cut(graph, '--at', '2', '--out', out)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('none is overwritten'),
    });
    await expect(cut(graph, '--at', '2', '--out', join(out, 'mine.txt'))).rejects.toMatchObject({
      code: 'bad_request',
    });
    expect(await readdir(out)).toEqual(['mine.txt']);
  });

  it('names what is no cut point, and writes nothing', async () => {
    const out = join(folder, 'none');
    await expect(cut(graph, '--at', '99', '--out', out)).rejects.toThrow(
      /99 is no cut point of local\/small-net: they are 1 to/,
    );
    await expect(cut(graph, '--at', 'nowhere', '--out', out)).rejects.toThrow(/"nowhere" crosses at no cut point/);
    await expect(readdir(out)).rejects.toThrow();
  });

  it.each([
    [['--at', '1'], /--at and --out go together/],
    [['--out', 'x'], /--at and --out go together/],
    [['--at', 'auto', '--out', 'x'], /Write cut points/],
  ])('refuses %j', async (options, message) => {
    await expect(cut(graph, ...options)).rejects.toThrow(message);
  });

  it('refuses what an import would refuse, in the caged process', async () => {
    const builder = new GraphBuilder();
    builder.as('y', builder.op('Relu', ['x']));
    const shape = (name: string) => valueInfo(name, DataType.FLOAT, [4]);
    const whole = builder.file([shape('x')], [shape('y')]);
    const file = join(folder, 'broken.onnx');
    await writeFile(file, whole.subarray(0, whole.byteLength - 7));
    await expect(cut(file)).rejects.toMatchObject({ code: 'model_corrupt' });
    await rm(file);
  });

  it('says of a model that is not installed how to get it', async () => {
    await expect(cut('owner/nothing')).rejects.toMatchObject({ code: 'model_not_found' });
  });
});
