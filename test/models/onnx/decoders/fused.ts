// Decoders whose attention is one operator of the runtime's own set, as onnxruntime-genai's model builder and the
// optimiser of Transformers.js models write them.
import { TensorProto_DataType as DataType, type ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { type DecoderConfig, matrix, rotaryTable } from './config.ts';
import { summedMask } from './masks.ts';
import { DecoderWriter } from './writer.ts';

const TOTAL = 'total_sequence_length';

/** GroupQueryAttention over packed queries, keys and values, which turns them itself. */
export function gqaPacked(config: DecoderConfig): ModelProto {
  const writer = new DecoderWriter(config, 21n);
  writer.inputs(TOTAL, false);
  const lengths = maskLengths(writer);
  const [cos, sin] = rotaryCaches(writer);
  const { heads, kvHeads, headSize, hidden } = config;
  const normed = normalisedLayers(writer, (x, layer) => {
    const name = `model.layers.${layer}.attn.qkv_proj.weight`;
    const columns = (heads + 2 * kvHeads) * headSize;
    const packed = writer.weights(name, [hidden, columns], () => packedMatrix(config, layer));
    const qkv = writer.op('MatMul', [x, packed]);
    return attend(writer, 'GroupQueryAttention', layer, [qkv, '', ''], [...lengths, cos, sin], {
      num_heads: BigInt(heads),
      kv_num_heads: BigInt(kvHeads),
      scale: 1 / Math.sqrt(headSize),
      do_rotary: 1n,
      rotary_interleaved: 0n,
    });
  });
  writer.head(normed);
  return writer.finish(TOTAL);
}

/** GroupQueryAttention over separate queries, keys and values, turned before by RotaryEmbedding. */
export function gqaSeparate(config: DecoderConfig): ModelProto {
  const writer = new DecoderWriter(config, 21n);
  writer.inputs(TOTAL, true);
  const lengths = maskLengths(writer);
  const normed = normalisedLayers(writer, (x, layer) => {
    const [query, key, value] = rotated(writer, x, layer);
    return attend(writer, 'GroupQueryAttention', layer, [query, key, value], lengths, {
      num_heads: BigInt(config.heads),
      kv_num_heads: BigInt(config.kvHeads),
      scale: 1 / Math.sqrt(config.headSize),
    });
  });
  writer.head(normed);
  return writer.finish(TOTAL);
}

/** MultiHeadAttention with a bias for every head, turned before by RotaryEmbedding. Needs as many KV heads as heads. */
export function mhaRotary(config: DecoderConfig): ModelProto {
  const writer = new DecoderWriter(config, 21n);
  writer.inputs(TOTAL, true);
  const bias = writer.op('Tile', [summedMask(writer), writer.ints(1, config.heads, 1, 1)]);
  const normed = normalisedLayers(writer, (x, layer) =>
    attend(
      writer,
      'MultiHeadAttention',
      layer,
      rotated(writer, x, layer),
      ['', '', bias],
      {
        num_heads: BigInt(config.heads),
        scale: 1 / Math.sqrt(config.headSize),
      },
      true,
    ),
  );
  writer.head(normed);
  return writer.finish(TOTAL);
}

/**
 * MultiHeadAttention in a decoder of GPT's kind: learned positions, layer norms with biases, projections with biases,
 * and a GELU. Needs as many KV heads as heads.
 */
export function mha(config: DecoderConfig): ModelProto {
  const writer = new DecoderWriter(config, 17n);
  const { layers, heads, headSize, hidden, intermediate, vocabulary, contextLength, epsilon } = config;
  writer.inputs(TOTAL, true);
  const bias = summedMask(writer);
  const norm = (x: string, name: string): string =>
    writer.op(
      'LayerNormalization',
      [x, writer.vector(`${name}.weight`, hidden, 1), writer.vector(`${name}.bias`, hidden, 0)],
      { axis: -1n, epsilon },
    );
  const project = (x: string, name: string, inputs: number, outputs: number): string =>
    writer.op('Add', [writer.linear(x, name, inputs, outputs), writer.vector(`${name}.bias`, outputs, 0)]);
  let x = writer.op('Add', [
    writer.embedding('wte', 'input_ids', vocabulary),
    writer.embedding('wpe', 'position_ids', contextLength),
  ]);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `transformer.h.${layer}`;
    const normed = norm(x, `${prefix}.ln_1`);
    const inputs = ['q_proj', 'k_proj', 'v_proj'].map((part) =>
      project(normed, `${prefix}.attn.${part}`, hidden, heads * headSize),
    );
    // Without a scale, which is then that of the head size.
    const attended = attend(
      writer,
      'MultiHeadAttention',
      layer,
      inputs,
      ['', '', bias],
      { num_heads: BigInt(heads) },
      true,
    );
    x = writer.op('Add', [x, project(attended, `${prefix}.attn.out_proj`, heads * headSize, hidden)]);
    const inner = project(norm(x, `${prefix}.ln_2`), `${prefix}.mlp.fc`, hidden, intermediate);
    x = writer.op('Add', [x, project(gelu(writer, inner), `${prefix}.mlp.proj`, intermediate, hidden)]);
  }
  writer.head(norm(x, 'transformer.ln_f'));
  return writer.finish(TOTAL);
}

/** Layers with RMS norms, each fused with the addition before it. Gives what the last norm gives. */
function normalisedLayers(writer: DecoderWriter, attention: (x: string, layer: number) => string): string {
  const { layers, heads, headSize, hidden, vocabulary, epsilon } = writer.config;
  const weight = (name: string): string => writer.vector(`${name}.weight`, hidden, 1);
  let residual = writer.embedding('model.embed_tokens.weight', 'input_ids', vocabulary);
  let normed = writer.op('SimplifiedLayerNormalization', [residual, weight('model.layers.0.input_layernorm')], {
    axis: -1n,
    epsilon,
    stash_type: 1n,
  });
  const addAndNorm = (added: string, name: string): void => {
    const output = writer.editor.freshName('normed');
    const sum = writer.editor.freshName('residual');
    writer.editor.addNode({
      op: 'SkipSimplifiedLayerNormalization',
      domain: 'com.microsoft',
      inputs: [residual, added, weight(name)],
      outputs: [output, '', '', sum],
      attributes: { epsilon },
    });
    [residual, normed] = [sum, output];
  };
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const attended = attention(normed, layer);
    addAndNorm(
      writer.linear(attended, `${prefix}.attn.o_proj`, heads * headSize, hidden),
      `${prefix}.post_attention_layernorm`,
    );
    const next = layer + 1 < layers ? `model.layers.${layer + 1}.input_layernorm` : 'model.norm';
    addAndNorm(writer.gatedMlp(normed, `${prefix}.mlp`), next);
  }
  return normed;
}

/** Queries, keys and values of a layer, the first two turned by their positions. */
function rotated(writer: DecoderWriter, x: string, layer: number): [string, string, string] {
  const { heads, kvHeads, headSize, hidden } = writer.config;
  const caches = rotaryCaches(writer);
  const project = (part: string, count: number): string =>
    writer.linear(x, `model.layers.${layer}.attn.${part}`, hidden, count * headSize);
  const rotate = (tensor: string, count: number): string =>
    writer.fused('RotaryEmbedding', [tensor, 'position_ids', ...caches], {
      interleaved: 0n,
      num_heads: BigInt(count),
      rotary_embedding_dim: 0n,
    });
  return [
    rotate(project('q_proj', heads), heads),
    rotate(project('k_proj', kvHeads), kvHeads),
    project('v_proj', kvHeads),
  ];
}

/** An attention operator with its cache, which stands before the further inputs or behind them. */
function attend(
  writer: DecoderWriter,
  op: string,
  layer: number,
  qkv: readonly string[],
  further: readonly string[],
  attributes: Readonly<Record<string, bigint | number>>,
  cacheLast = false,
): string {
  const output = writer.editor.freshName('attended');
  const past = [`past_key_values.${layer}.key`, `past_key_values.${layer}.value`];
  writer.editor.addNode({
    op,
    domain: 'com.microsoft',
    inputs: cacheLast ? [...qkv, ...further, ...past] : [...qkv, ...past, ...further],
    outputs: [output, `present.${layer}.key`, `present.${layer}.value`],
    attributes,
  });
  return output;
}

/** Last position of each row and the total length, int32, from the mask. */
function maskLengths(writer: DecoderWriter): [string, string] {
  const toInt32 = (tensor: string): string => writer.op('Cast', [tensor], { to: BigInt(DataType.INT32) });
  const sum = writer.op('ReduceSum', ['attention_mask', writer.ints(1)], { keepdims: 0n });
  return [toInt32(writer.op('Sub', [sum, writer.ints(1)])), toInt32(writer.dim('attention_mask', 1))];
}

function rotaryCaches(writer: DecoderWriter): [string, string] {
  const { config } = writer;
  const dims = [config.contextLength, config.headSize / 2];
  return [
    writer.weights('cos_cache', dims, () => rotaryTable(config, Math.cos)),
    writer.weights('sin_cache', dims, () => rotaryTable(config, Math.sin)),
  ];
}

/** The three projections side by side. */
function packedMatrix(config: DecoderConfig, layer: number): Float32Array {
  const { heads, kvHeads, headSize, hidden } = config;
  const parts = [
    { name: 'q_proj', columns: heads * headSize },
    { name: 'k_proj', columns: kvHeads * headSize },
    { name: 'v_proj', columns: kvHeads * headSize },
  ].map(({ name, columns }) => ({
    columns,
    values: matrix(config, `model.layers.${layer}.attn.${name}.weight`, hidden, columns),
  }));
  return Float32Array.from(
    Array.from({ length: hidden }, (_, row) =>
      parts.flatMap(({ columns, values }) => [...values.subarray(row * columns, (row + 1) * columns)]),
    ).flat(),
  );
}

/** x · ½ (1 + erf(x / √2)). */
function gelu(writer: DecoderWriter, x: string): string {
  const erf = writer.op('Erf', [writer.op('Div', [x, writer.float(Math.SQRT2)])]);
  const product = writer.op('Mul', [x, writer.op('Add', [erf, writer.float(1)])]);
  return writer.op('Mul', [product, writer.float(0.5)]);
}
