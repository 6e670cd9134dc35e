// A reranker of a megabyte in the hub's layout, over MiniLM's tokenizer: its logit is the product of what the two segments
// sum up to, so that texts with words in common score high, and a test can work out what a pair must give.
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildManifest } from '../../models/build-manifest.ts';
import type { InstalledModel } from '../../models/installed.ts';
import { modelRef } from '../../models/manifest.ts';
import { TensorProto_DataType as DataType } from '../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../models/onnx/tensors.ts';
import { MINILM } from '../models/paths.ts';
import { GraphBuilder } from './graph-builder.ts';
import { SeededRandom } from './seeded.ts';

const WIDTH = 8;
const VOCABULARY = 30_522;
const SCALE = 0.05;

let table: Float32Array | undefined;

/** float32 [vocabulary, width] */
function embeddings(): Float32Array {
  if (table === undefined) {
    const random = new SeededRandom(3);
    table = Float32Array.from({ length: VOCABULARY * WIDTH }, () => random.next() * 2 - 1);
  }
  return table;
}

/** The logit of a pair. @param firstLength tokens of the first segment */
export function tinyLogit(ids: Int32Array, firstLength: number): number {
  const sums = [new Float64Array(WIDTH), new Float64Array(WIDTH)] as const;
  for (const [index, id] of ids.entries()) {
    const sum = sums[index < firstLength ? 0 : 1];
    for (let d = 0; d < WIDTH; d++) sum[d] = (sum[d] as number) + (embeddings()[id * WIDTH + d] as number);
  }
  return sums[0].reduce((total, value, d) => total + value * (sums[1][d] as number), 0) * SCALE;
}

/** Writes it to ROOT/owner/tiny-reranker, manifest included; it takes 64 tokens. */
export async function tinyReranker(root: string): Promise<InstalledModel> {
  const folder = join(root, 'owner', 'tiny-reranker');
  await mkdir(join(folder, 'onnx'), { recursive: true });
  for (const name of ['LICENSE', 'tokenizer.json', 'tokenizer_config.json']) {
    await cp(join(MINILM, name), join(folder, name));
  }
  const config = {
    model_type: 'bert',
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'LABEL_0' },
    max_position_embeddings: 64,
    pad_token_id: 0,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'onnx', 'model.onnx'), graphFile());
  const manifest = await buildManifest(folder);
  await writeFile(join(folder, 'weft-manifest.json'), JSON.stringify(manifest));
  return { ref: modelRef(manifest), manifest, folder, aliases: [] };
}

function graphFile(): Uint8Array {
  const graph = new GraphBuilder();
  const float = (value: string): string => graph.op('Cast', [value], { to: 1n });
  const mask = float('attention_mask');
  const second = graph.op('Mul', [float('token_type_ids'), mask]);
  const first = graph.op('Sub', [mask, second]);
  const tokens = graph.op('Gather', [graph.floats([VOCABULARY, WIDTH], embeddings()), 'input_ids']);
  const sum = (share: string): string => graph.op('MatMul', [graph.op('Unsqueeze', [share, graph.ints(1)]), tokens]);
  const product = graph.op('Mul', [graph.op('Mul', [sum(first), sum(second)]), graph.floats([], [SCALE])]);
  graph.as('logits', graph.op('ReduceSum', [product, graph.ints(2)], { keepdims: 0n }));
  const input = (name: string) => valueInfo(name, DataType.INT64, ['batch_size', 'sequence_length']);
  return graph.file(
    [input('input_ids'), input('attention_mask'), input('token_type_ids')],
    [valueInfo('logits', DataType.FLOAT, ['batch_size', 1])],
  );
}
