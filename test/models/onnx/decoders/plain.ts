// Decoders whose attention is made of ONNX's own operators, as torch.onnx (behind Optimum) writes those of
// Transformers.
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { type DecoderConfig, inverseFrequencies, rotaryTable } from './config.ts';
import { comparedMask, lengths, summedMask } from './masks.ts';
import { DecoderWriter, INT64_MAX } from './writer.ts';

const TOTAL = 'past_sequence_length + sequence_length';

/** How one of these graphs differs from the others. */
interface PlainStyle {
  /** Where positions come from: the input, the mask summed up, or the length of the past. */
  readonly positions: 'input' | 'mask' | 'past';
  /** Where scores are scaled: behind the product, or half in the queries and half in the keys. */
  readonly scale: 'divide' | 'multiply' | 'halves';
  readonly mask: (writer: DecoderWriter) => string;
}

/** Positions are an input, cosines are computed, scores are divided. */
export const plainOptimum = (config: DecoderConfig): ModelProto =>
  plain(config, { positions: 'input', scale: 'divide', mask: comparedMask });

/** Positions are the mask's running sum, cosines lie in a table, queries and keys are scaled. */
export const plainDerivedPositions = (config: DecoderConfig): ModelProto =>
  plain(config, { positions: 'mask', scale: 'halves', mask: summedMask });

/** Positions follow the length of the past, cosines lie in a table, scores are multiplied. */
export const plainPastPositions = (config: DecoderConfig): ModelProto =>
  plain(config, { positions: 'past', scale: 'multiply', mask: comparedMask });

function plain(config: DecoderConfig, style: PlainStyle): ModelProto {
  const writer = new DecoderWriter(config, 17n);
  const { layers, hidden, vocabulary } = config;
  writer.inputs(TOTAL, style.positions === 'input');
  const waves =
    style.positions === 'input' ? computedWaves(writer) : tabledWaves(writer, derivedPositions(writer, style));
  const mask = style.mask(writer);
  let x = writer.embedding('model.embed_tokens.weight', 'input_ids', vocabulary);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const attended = attention(writer, rmsNorm(writer, x, `${prefix}.input_layernorm`), layer, waves, mask, style);
    x = writer.op('Add', [x, attended]);
    const normed = rmsNorm(writer, x, `${prefix}.post_attention_layernorm`);
    x = writer.op('Add', [x, writer.gatedMlp(normed, `${prefix}.mlp`)]);
  }
  writer.head(rmsNorm(writer, x, 'model.norm'));
  return writer.finish(TOTAL);

  function rmsNorm(to: DecoderWriter, tensor: string, name: string): string {
    const mean = to.op('ReduceMean', [to.op('Pow', [tensor, to.float(2)])], { axes: [-1n] });
    const root = to.op('Sqrt', [to.op('Add', [mean, to.float(config.epsilon)])]);
    const scaled = to.op('Mul', [tensor, to.op('Div', [to.float(1), root])]);
    return to.op('Mul', [to.vector(`${name}.weight`, hidden, 1), scaled]);
  }
}

/** Cosines and sines, [batch, 1, new, head size]. */
interface Waves {
  readonly cos: string;
  readonly sin: string;
}

function computedWaves(writer: DecoderWriter): Waves {
  const { config } = writer;
  const frequencies = writer.weights('inv_freq', [1, config.headSize / 2, 1], () => inverseFrequencies(config));
  const expanded = writer.op('Expand', [frequencies, writer.shape(writer.dim('position_ids', 0), 1, 1)]);
  const positions = writer.castToFloat(writer.unsqueeze('position_ids', 1));
  const angles = writer.op('Transpose', [writer.op('MatMul', [expanded, positions])], { perm: [0n, 2n, 1n] });
  const both = writer.op('Concat', [angles, angles], { axis: -1n });
  const wave = (op: string): string => writer.unsqueeze(writer.op('Mul', [writer.op(op, [both]), writer.float(1)]), 1);
  return { cos: wave('Cos'), sin: wave('Sin') };
}

function tabledWaves(writer: DecoderWriter, positions: string): Waves {
  const { config } = writer;
  const wave = (name: string, of: (angle: number) => number): string => {
    const table = writer.weights(name, [config.contextLength, config.headSize], () => doubled(config, of));
    return writer.unsqueeze(writer.op('Gather', [table, positions], { axis: 0n }), 1);
  };
  return { cos: wave('cos_cached', Math.cos), sin: wave('sin_cached', Math.sin) };
}

/** Each row of the table twice, side by side. */
function doubled(config: DecoderConfig, wave: (angle: number) => number): Float32Array {
  const table = rotaryTable(config, wave);
  const half = config.headSize / 2;
  return Float32Array.from({ length: 2 * table.length }, (_, index) => {
    const row = Math.floor(index / config.headSize);
    return table[row * half + (index % half)] as number;
  });
}

/** Positions of the new tokens, int64 [batch or 1, new]. */
function derivedPositions(writer: DecoderWriter, { positions }: PlainStyle): string {
  const { past, added, total } = lengths(writer);
  if (positions === 'past') {
    return writer.unsqueeze(writer.op('Range', [past, total, writer.int(1)]), 0);
  }
  const sums = writer.op('Sub', [writer.op('CumSum', ['attention_mask', writer.int(1)]), writer.int(1)]);
  const hidden = writer.op('Equal', ['attention_mask', writer.int(0)]);
  const all = writer.op('Where', [hidden, writer.int(1), sums]);
  const start = writer.op('Neg', [writer.op('Unsqueeze', [added, writer.ints(0)])]);
  return writer.op('Slice', [all, start, writer.ints(INT64_MAX), writer.ints(1)]);
}

function attention(
  writer: DecoderWriter,
  x: string,
  layer: number,
  waves: Waves,
  mask: string,
  style: PlainStyle,
): string {
  const { heads, kvHeads, headSize, hidden } = writer.config;
  const prefix = `model.layers.${layer}.attn`;
  const [batch, added] = [writer.dim(x, 0), writer.dim(x, 1)];
  const split = (part: string, count: number): string => {
    const flat = writer.linear(x, `${prefix}.${part}`, hidden, count * headSize);
    const parted = writer.op('Reshape', [flat, writer.shape(batch, added, count, headSize)]);
    return writer.op('Transpose', [parted], { perm: [0n, 2n, 1n, 3n] });
  };
  const cached = (half: string, tensor: string): string => {
    const present = `present.${layer}.${half}`;
    const inputs = [`past_key_values.${layer}.${half}`, tensor];
    writer.editor.addNode({ op: 'Concat', inputs, outputs: [present], attributes: { axis: -2n } });
    return repeated(writer, present);
  };
  const query = rotate(writer, split('q_proj', heads), waves);
  const key = cached('key', rotate(writer, split('k_proj', kvHeads), waves));
  const value = cached('value', split('v_proj', kvHeads));
  const scores = writer.op('Add', [scaledProduct(writer, query, key, style), mask]);
  const attended = writer.op('MatMul', [writer.op('Softmax', [scores], { axis: -1n }), value]);
  const joined = writer.op('Reshape', [
    writer.op('Transpose', [attended], { perm: [0n, 2n, 1n, 3n] }),
    writer.shape(batch, added, heads * headSize),
  ]);
  return writer.linear(joined, `${prefix}.o_proj`, heads * headSize, hidden);
}

/** Query · keyᵀ / √(head size), [batch, heads, new, total]. */
function scaledProduct(writer: DecoderWriter, query: string, key: string, { scale }: PlainStyle): string {
  const root = Math.sqrt(writer.config.headSize);
  const turned = writer.op('Transpose', [key], { perm: [0n, 1n, 3n, 2n] });
  if (scale === 'halves') {
    const half = writer.op('Sqrt', [writer.float(1 / root)]);
    return writer.op('MatMul', [writer.op('Mul', [query, half]), writer.op('Mul', [turned, half])]);
  }
  const product = writer.op('MatMul', [query, turned]);
  return scale === 'divide'
    ? writer.op('Div', [product, writer.float(root)])
    : writer.op('Mul', [product, writer.float(1 / root)]);
}

/** x · cos + (−second half, first half) · sin. */
function rotate(writer: DecoderWriter, x: string, { cos, sin }: Waves): string {
  const half = writer.config.headSize / 2;
  const part = (from: number, to: number | bigint): string =>
    writer.op('Slice', [x, writer.ints(from), writer.ints(to), writer.ints(3), writer.ints(1)]);
  const turned = writer.op('Concat', [writer.op('Neg', [part(half, INT64_MAX)]), part(0, half)], { axis: -1n });
  return writer.op('Add', [writer.op('Mul', [x, cos]), writer.op('Mul', [turned, sin])]);
}

/** Each KV head as often as queries share it. */
function repeated(writer: DecoderWriter, x: string): string {
  const { heads, kvHeads, headSize } = writer.config;
  if (heads === kvHeads) return x;
  const [batch, total] = [writer.dim(x, 0), writer.dim(x, 2)];
  const expanded = writer.op('Expand', [
    writer.unsqueeze(x, 2),
    writer.shape(batch, kvHeads, heads / kvHeads, total, headSize),
  ]);
  return writer.op('Reshape', [expanded, writer.shape(batch, heads, total, headSize)]);
}
