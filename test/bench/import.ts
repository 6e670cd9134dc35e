// How long a model takes to open before its weights are read, and the memory that it takes: by the reader of this
// project, that steps over the weights, and by protobuf as it comes, that reads the whole file.
import { execFile } from 'node:child_process';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { attribute } from '../../models/onnx/attributes.ts';
import { GraphProtoSchema, NodeProtoSchema } from '../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../models/onnx/tensors.ts';
import { type Benchmark, interleave, median } from './harness.ts';

const CHILD = new URL('./import-child.ts', import.meta.url).pathname;
const run = promisify(execFile);

/** As a decoder of 30 layers has them: 20 nodes and 7 matrices a layer. */
const NODES = 600;
const TENSORS = 210;
const FLOAT = 1;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

/** Tag and length of a field of bytes. */
const head = (field: number, length: number): Uint8Array =>
  Uint8Array.from([...varint(field * 8 + 2), ...varint(length)]);

/**
 * Writes a model with its weights inside.
 * @param sparse the weights are holes in the file, which take no disk
 * @returns its size in bytes
 */
async function writeLarge(path: string, weightBytes: number, sparse: boolean): Promise<number> {
  const each = 4 * Math.floor(weightBytes / TENSORS / 4);
  const graph = create(GraphProtoSchema, {
    name: 'large',
    node: Array.from({ length: NODES }, (_, index) =>
      create(NodeProtoSchema, {
        name: `/model/layers.${Math.floor(index / 20)}/node_${index}`,
        opType: 'MatMul',
        input: [`hidden_${index}`, `layers.${Math.floor(index / 20)}.weight_${index % TENSORS}`],
        output: [`hidden_${index + 1}`],
        attribute: [attribute('axes', [1n, -1n])],
      }),
    ),
    input: [valueInfo('hidden_0', FLOAT, ['batch', 'sequence', 576])],
    output: [valueInfo(`hidden_${NODES}`, FLOAT, ['batch', 'sequence', 576])],
  });
  const plain = toBinary(GraphProtoSchema, graph);
  const tensors = Array.from({ length: TENSORS }, (_, index) => {
    const name = Buffer.from(`weight_${index}`);
    const fields = [Uint8Array.from([8, ...varint(each / 4), 16, FLOAT]), head(8, name.length), name, head(9, each)];
    const body = Buffer.concat(fields);
    return Buffer.concat([head(5, body.length + each), body]);
  });
  const graphBytes = plain.length + tensors.reduce((sum, { length }) => sum + length + each, 0);
  const file: FileHandle = await open(path, 'w');
  let at = 0;
  const put = async (bytes: Uint8Array): Promise<void> => {
    await file.write(bytes, 0, bytes.length, at);
    at += bytes.length;
  };
  const weights = new Uint8Array(sparse ? 0 : each).map((_, index) => index % 251);
  try {
    await put(Buffer.concat([Uint8Array.from([8, 10]), head(7, graphBytes), plain]));
    for (const tensor of tensors) {
      await put(tensor);
      if (sparse) at += each;
      else await put(weights);
    }
    await file.truncate(at);
  } finally {
    await file.close();
  }
  return at;
}

interface Sample {
  readonly ms: number;
  readonly addedMb: number;
  readonly nodes: number;
}

async function sample(how: 'lazy' | 'whole', path: string): Promise<readonly number[]> {
  const { stdout } = await run(process.execPath, [CHILD, how, path]);
  const { ms, addedMb, nodes } = JSON.parse(stdout) as Sample;
  if (nodes !== NODES) throw new Error(`${how} found ${nodes} nodes.`);
  return [ms, addedMb];
}

export const importing: Benchmark = {
  name: 'import',
  summary: 'opening and checking models of 100 MB and 2 GB, over decoding the whole file with protobuf',
  async run({ rounds, say }) {
    const folder = await mkdtemp(join(tmpdir(), 'weft-import-'));
    try {
      const [small, large] = [join(folder, '100mb.onnx'), join(folder, '2gb.onnx')];
      say(
        `  ${(await writeLarge(small, 100e6, false)) / 1e6} MB and ${(await writeLarge(large, 2.1e9, true)) / 1e6} MB`,
      );
      const series = await interleave(rounds, {
        weft: () => sample('lazy', small),
        protobuf: () => sample('whole', small),
        // Two gigabytes are more than protobuf decodes at once.
        weft_2gb: () => sample('lazy', large),
      });
      const column = (name: string, index: number): number[] =>
        (series[name] ?? []).map((values) => values[index] as number);
      const samples = {
        open_ms_100mb: column('weft', 0),
        open_rss_mb: column('weft', 1),
        open_ms_2gb: column('weft_2gb', 0),
        open_rss_mb_2gb: column('weft_2gb', 1),
        protobuf_ms_100mb: column('protobuf', 0),
        protobuf_rss_mb: column('protobuf', 1),
      };
      const figures = Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)]));
      return { figures, samples };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
