import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ONNX_WINDOW_BYTES } from '../../../../models/limits.ts';
import { TensorProto_DataType as DataType } from '../../../../models/onnx/messages/onnx_pb.js';
import { readModel, readModelFrom, writeModel } from '../../../../models/onnx/model-file.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import { type PartFilesRequest, partFiles } from '../../../../models/onnx/partition/structure.ts';
import { weightRanges } from '../../../../models/onnx/partition/weights.ts';
import { memorySource } from '../../../../models/onnx/protobuf.ts';
import { valueInfo } from '../../../../models/onnx/tensors.ts';
import type { GraphPart } from '../../../../protocol/part.ts';
import { GraphBuilder } from '../../../support/graph-builder.ts';
import { runs } from '../../../support/property.ts';
import { temporaryFolder } from '../../temporary.ts';

/** Layers of these widths: y = (((x · w0) + b0) · w1) + … */
function chain(widths: readonly number[]): Uint8Array {
  const graph = new GraphBuilder();
  let at = 'x';
  for (let layer = 1; layer < widths.length; layer++) {
    const [from, to] = [widths[layer - 1] ?? 1, widths[layer] ?? 1];
    const weights = graph.floats([from, to], new Float32Array(from * to).fill(layer));
    const product = graph.op('MatMul', [at, weights]);
    const name = layer === widths.length - 1 ? 'y' : `h${layer}`;
    at = graph.as(name, graph.op('Add', [product, graph.floats([to], new Float32Array(to).fill(-layer))]));
  }
  const port = (name: string, width: number) => valueInfo(name, DataType.FLOAT, ['rows', width]);
  return graph.file([port('x', widths[0] ?? 1)], [port('y', widths.at(-1) ?? 1)]);
}

const float = (name: string) => ({ name, type: 'float32' as const });
const setOf = (bits: Uint8Array): number[] =>
  [...bits].flatMap((byte, at) =>
    [...Array(8).keys()].filter((bit) => ((byte >> bit) & 1) === 1).map((bit) => 8 * at + bit),
  );

/** A file that has nothing but garbage where it has a hole: whoever looks there computes with it, or fails. */
class Holed {
  readonly path: string;
  readonly #bytes: Uint8Array;
  readonly #chunkBytes: number;
  readonly #present = new Set<number>();

  constructor(path: string, bytes: Uint8Array, chunkBytes: number) {
    this.path = path;
    this.#bytes = bytes;
    this.#chunkBytes = chunkBytes;
  }

  get count(): number {
    return Math.ceil(this.#bytes.byteLength / this.#chunkBytes);
  }

  async bring(indexes: Iterable<number>): Promise<void> {
    for (const index of indexes) this.#present.add(index);
    const bytes = new Uint8Array(this.#bytes.byteLength).fill(0xaa);
    for (const index of this.#present) {
      const [start, end] = [index * this.#chunkBytes, (index + 1) * this.#chunkBytes];
      bytes.set(this.#bytes.subarray(start, end), start);
    }
    await writeFile(this.path, bytes);
  }

  get present(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.count / 8));
    for (const index of this.#present) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
    return bits;
  }
}

/** Asks until nothing is missing. @returns what the part needs, and the chunks that were asked for */
async function settle(holed: Holed, request: Omit<PartFilesRequest, 'present'>) {
  const asked: number[] = [];
  await holed.bring([]);
  for (;;) {
    const needs = partFiles({ ...request, present: holed.present });
    if (!('missing' in needs)) return { ...needs, asked };
    expect(needs.missing.length).toBeGreaterThan(0);
    for (const index of needs.missing) {
      expect(asked).not.toContain(index);
      expect(index).toBeLessThan(holed.count);
    }
    asked.push(...needs.missing);
    await holed.bring(needs.missing);
  }
}

describe('what a part needs of files', () => {
  it('is found without a look into a hole, and is enough to open it', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'model.onnx');
    const run = async (widths: number[], chunkKib: number, beside: boolean, cut: number): Promise<void> => {
      const chunkBytes = chunkKib << 10;
      const whole = chain(widths);
      const graph = beside ? writeModel(readModelFrom(memorySource(whole), 'weights')) : whole;
      const names = ['x', ...widths.slice(1, -1).map((_, index) => `h${index + 1}`), 'y'];
      const from = cut % (names.length - 1);
      const part: GraphPart = { inputs: [float(names[from] ?? '')], outputs: [names[from + 1] ?? ''] };
      const model = readModelFrom(memorySource(graph), 'model.onnx');
      const ranges = weightRanges(extractPart(model, part));
      const files = [
        { path: 'onnx/model.onnx', sizeBytes: graph.byteLength, chunkBytes },
        { path: 'onnx/weights', sizeBytes: whole.byteLength, chunkBytes },
      ];
      const holed = new Holed(path, graph, chunkBytes);
      const found = await settle(holed, { from: path, graph: 'onnx/model.onnx', files, part });
      // The chunks are those of the ranges, no more and no less.
      const covered = (name: string): number[] => {
        const chunks = new Set<number>();
        for (const { offset, length } of ranges.filter((range) => `onnx/${range.location}` === name)) {
          for (let at = Math.floor(offset / chunkBytes); at * chunkBytes < offset + length; at++) chunks.add(at);
        }
        return [...chunks].sort((a, b) => a - b);
      };
      expect(found.weightBytes).toBe(ranges.reduce((sum, { length }) => sum + length, 0));
      for (const { path: name, chunks } of found.files) expect([name, setOf(chunks)]).toEqual([name, covered(name)]);
      // What is asked for holds structure, or begins where a reader looks ahead from it.
      const payloads = weightRanges(model).filter(({ location }) => location === 'model.onnx');
      for (const index of found.asked) {
        const [start, end] = [index * chunkBytes, Math.min(graph.byteLength, (index + 1) * chunkBytes)];
        const idle = payloads.some(
          ({ offset, length }) => offset + ONNX_WINDOW_BYTES <= start && end <= offset + length,
        );
        expect(idle).toBe(false);
      }
      // The structure is there: the part is the same one.
      expect(writeModel(extractPart(readModel(path), part))).toEqual(writeModel(extractPart(model, part)));
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 2, maxLength: 7 }),
        fc.integer({ min: 1, max: 64 }),
        fc.boolean(),
        fc.nat(20),
        run,
      ),
      runs(20),
    );
  });

  const small = chain([4, 4, 4]);
  const part: GraphPart = { inputs: [float('x')], outputs: ['h1'] };

  async function asked(graph: Uint8Array, change: Partial<PartFilesRequest> = {}) {
    const path = join(await temporaryFolder(), 'model.onnx');
    await writeFile(path, graph);
    const file = { path: 'model.onnx', sizeBytes: graph.byteLength, chunkBytes: 1 << 20 };
    return () =>
      partFiles({ from: path, graph: 'model.onnx', files: [file], present: Uint8Array.of(1), part, ...change });
  }

  it('is nothing but its structure where all weights are small', async () => {
    const needs = (await asked(small))();
    expect(needs).toEqual({ files: [{ path: 'model.onnx', chunks: Uint8Array.of(0) }], weightBytes: 0 });
  });

  it('names files of which no chunk is needed', async () => {
    const whole = chain([100, 100, 100]);
    const graph = writeModel(readModelFrom(memorySource(whole), 'weights'));
    const files = [
      { path: 'a/model.onnx', sizeBytes: graph.byteLength, chunkBytes: 1 << 20 },
      { path: 'a/weights', sizeBytes: whole.byteLength, chunkBytes: 1 << 12 },
    ];
    const none: GraphPart = { inputs: [float('MatMul_0:0')], outputs: ['h1'] };
    const needs = (await asked(graph, { graph: 'a/model.onnx', files, part: none }))();
    expect(needs).toMatchObject({ weightBytes: 0, files: [{ path: 'a/model.onnx' }, { path: 'a/weights' }] });
  });

  it.each<[string, Partial<PartFilesRequest>, string]>([
    ['a file that is no graph of the model', { graph: 'other.onnx' }, 'model_corrupt'],
    ['a part that the graph does not have', { part: { inputs: [], outputs: ['h9'] } }, 'tensor_invalid'],
    ['an output that the inputs do not give', { part: { inputs: [], outputs: ['y'] } }, 'bad_request'],
    ['a file of another size', { files: [{ path: 'model.onnx', sizeBytes: 9, chunkBytes: 9 }] }, 'model_corrupt'],
  ])('refuses %s', async (_what, change, code) => {
    expect(await asked(small, change)).toThrow(expect.objectContaining({ code }));
  });

  it.each(['weights', '../weights', '/etc/passwd'])('refuses weights that the model does not have: %s', async (at) => {
    const graph = writeModel(readModelFrom(memorySource(chain([100, 100])), at));
    expect(await asked(graph, { part: { inputs: [float('x')], outputs: ['y'] } })).toThrow(
      expect.objectContaining({ code: 'model_corrupt' }),
    );
  });

  it('refuses weights beyond the end of their file', async () => {
    const graph = writeModel(readModelFrom(memorySource(chain([100, 100])), 'weights'));
    const files = [
      { path: 'model.onnx', sizeBytes: graph.byteLength, chunkBytes: 1 << 20 },
      { path: 'weights', sizeBytes: 20_000, chunkBytes: 1 << 20 },
    ];
    expect(await asked(graph, { files, part: { inputs: [float('x')], outputs: ['y'] } })).toThrow(
      expect.objectContaining({ code: 'model_corrupt' }),
    );
  });
});
