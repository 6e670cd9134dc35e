import { describe, expect, it } from 'vitest';
import { attribute } from '../../../../models/onnx/attributes.ts';
import { TensorProto_DataType as DataType, type ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { floatTensor, rawTensor, valueInfo } from '../../../../models/onnx/tensors.ts';
import { type DecoderConfig, GROUPED, MULTI_HEAD, vector } from '../decoders/config.ts';
import { gqaPacked, gqaSeparate, mha, mhaRotary } from '../decoders/fused.ts';
import { plainOptimum } from '../decoders/plain.ts';
import { Edit, lowest } from './edits.ts';
import { checkOf, openPlain, openRewritten, reasonOf, worstDifference } from './support.ts';

type Write = (config: DecoderConfig) => ModelProto;

function edited(write: Write, config: DecoderConfig, change: (edit: Edit) => void): ModelProto {
  const model = write(config);
  const edit = new Edit(model, config);
  change(edit);
  edit.editor.finish();
  return model;
}

const set = (op: string, attributes: Readonly<Record<string, bigint | number>>) => (edit: Edit) => {
  for (const node of edit.nodes(op)) {
    const given = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    node.attribute = [...node.attribute.filter(({ name }) => !(name in attributes)), ...given];
  }
};

/** The tables turn the first half of each head only. */
function withPartialRotary(edit: Edit): void {
  const { headSize, contextLength } = edit.config;
  for (const [name, wave] of [
    ['cos_cache', Math.cos],
    ['sin_cache', Math.sin],
  ] as const) {
    const width = headSize / 4;
    const values = Array.from({ length: contextLength * width }, (_, index) =>
      wave(Math.floor(index / width) * 10_000 ** (-(index % width) / width)),
    );
    const table = edit.editor.addInitializer(floatTensor(`half_${name}`, [contextLength, width], values));
    edit.editor.replaceUses(name, table);
  }
}

async function expectAlike(model: ModelProto, config: DecoderConfig, layout: object = {}): Promise<void> {
  const rewritten = await openRewritten(model, config);
  expect(rewritten.layout).toMatchObject(layout);
  expect(await worstDifference(rewritten, await openPlain(model, config), config)).toBeLessThan(1e-4);
}

const GQA = 'GroupQueryAttention';

describe('GroupQueryAttention', () => {
  it.each<[string, Write, (edit: Edit) => void, object?]>([
    ['a window', gqaPacked, set(GQA, { local_window_size: 6n }), { windows: [6] }],
    ['a window, rotated before it', gqaSeparate, set(GQA, { local_window_size: 5n }), { windows: [5] }],
    [
      'a window in every other layer',
      gqaPacked,
      (edit) => {
        const [, second] = edit.nodes(GQA);
        second?.attribute.push(attribute('local_window_size', 7n));
      },
      { windows: [0, 7] },
    ],
    ['a cap', gqaPacked, set(GQA, { softcap: 1.5 })],
    ['another scale', gqaSeparate, set(GQA, { scale: 0.1 })],
    ['the default scale', gqaSeparate, set(GQA, { scale: 0 })],
    ['neighbours that turn together', gqaPacked, set(GQA, { rotary_interleaved: 1n })],
  ])('with %s is rewritten', async (_what, write, change, layout = { windows: [0] }) => {
    await expectAlike(edited(write, GROUPED, change), GROUPED, layout);
  });

  it('with heads that turn in part is rewritten', async () => {
    // The runtime turns multiples of 16 only.
    const config = { ...GROUPED, headSize: 32 };
    await expectAlike(edited(gqaPacked, config, withPartialRotary), config);
    const interleaved = edited(gqaPacked, config, (edit) => {
      withPartialRotary(edit);
      set(GQA, { rotary_interleaved: 1n })(edit);
    });
    await expectAlike(interleaved, config);
  });

  it.each<[string, RegExp, (edit: Edit) => void]>([
    ['smooth softmax', /sets smooth_softmax/, set(GQA, { smooth_softmax: 1n })],
    ['other heads of keys', /other heads/, set(GQA, { kv_num_heads: 4n })],
    ['heads without end', /heads/, set(GQA, { num_heads: 2n ** 40n })],
    ['an order of turns that is none', /unknown order/, set(GQA, { rotary_interleaved: 2n })],
    ['a scale of no meaning', /scale/, set(GQA, { scale: Number.NaN })],
    [
      'lengths that are not those of its tokens',
      /other lengths or positions/,
      (edit) => {
        for (const node of edit.nodes(GQA))
          edit.before(node, 5, (last) => edit.op('Sub', [last, edit.op('Cast', [edit.int(1)], { to: 6n })]));
      },
    ],
    [
      'a cache of another layer',
      /another cache/,
      (edit) => {
        const [first, second] = edit.nodes(GQA);
        for (const input of [3, 4]) {
          const [a = '', b = ''] = [first?.input[input], second?.input[input]];
          if (first) edit.editor.setInput(first, input, b);
          if (second) edit.editor.setInput(second, input, a);
        }
      },
    ],
    [
      'a bias',
      /takes a bias/,
      (edit) => {
        for (const node of edit.nodes(GQA)) edit.editor.setInput(node, 10, edit.float(0));
      },
    ],
  ])('with %s is left alone', (_what, reason, change) => {
    expect(reasonOf(edited(gqaPacked, GROUPED, change), GROUPED)).toMatch(reason);
  });

  it.each([
    ['a window', { local_window_size: 6n }],
    ['a cap', { softcap: 1.5 }],
    ['neighbours that turn together', { rotary_interleaved: 1n }],
  ] as const)('would give other logits if %s went unseen, which the check at load finds', async (_what, attributes) => {
    const model = edited(gqaPacked, GROUPED, set(GQA, attributes));
    expect(await checkOf(gqaPacked(GROUPED), model, GROUPED)).toMatch(/its logits differ/);
    expect(await checkOf(model, model, GROUPED)).toBeUndefined();
  });
});

const MHA = 'MultiHeadAttention';

describe('MultiHeadAttention', () => {
  const biases = (edit: Edit): void => {
    for (const [layer, node] of edit.nodes(MHA).entries()) {
      const { heads, headSize } = edit.config;
      const length = 3 * heads * headSize;
      edit.editor.setInput(node, 3, edit.floats([length], [...vector(edit.config, `bias.${layer}`, length, 0.1)]));
    }
  };

  it.each<[string, Write, (edit: Edit) => void, object?]>([
    ['biases of its inputs', mha, biases],
    ['another scale', mhaRotary, set(MHA, { scale: 0.1 })],
    [
      'an attribute in place of its bias',
      mha,
      (edit) => {
        for (const node of edit.nodes(MHA)) {
          edit.editor.setInput(node, 5, '');
          node.attribute.push(attribute('unidirectional', 1n));
        }
      },
    ],
    [
      'a window in its bias',
      mhaRotary,
      (edit) => {
        const far = edit.op('GreaterOrEqual', [edit.distances, edit.float(5)]);
        const window = edit.op('Where', [far, edit.float(lowest), edit.float(0)]);
        for (const node of edit.nodes(MHA)) edit.before(node, 5, (bias) => edit.op('Add', [bias, window]));
      },
      { windows: [5] },
    ],
  ])('with %s is rewritten', async (_what, write, change, layout = { windows: [0] }) => {
    await expectAlike(edited(write, MULTI_HEAD, change), MULTI_HEAD, layout);
  });

  it('with the mask as its own mask of keys is rewritten', () => {
    const model = edited(mha, MULTI_HEAD, (edit) => {
      const mask = edit.op('Cast', ['attention_mask'], { to: BigInt(DataType.INT32) });
      for (const node of edit.nodes(MHA)) edit.editor.setInput(node, 4, mask);
    });
    expect(reasonOf(model, MULTI_HEAD)).toBeUndefined();
  });

  it.each<[string, RegExp, (edit: Edit) => void]>([
    [
      'no mask',
      /others than those before/,
      (edit) => {
        for (const node of edit.nodes(MHA)) edit.editor.setInput(node, 5, '');
      },
    ],
    [
      'a bias by distance',
      /scores are changed/,
      (edit) => {
        const near = edit.op('Mul', [edit.distances, edit.float(-0.1)]);
        for (const node of edit.nodes(MHA)) edit.before(node, 5, (bias) => edit.op('Add', [bias, near]));
      },
    ],
    [
      'a mask of keys that hides some',
      /hides tokens/,
      (edit) => {
        const half = edit.op('Mod', [edit.op('CumSum', ['attention_mask', edit.int(1)]), edit.int(2)]);
        const mask = edit.op('Cast', [half], { to: BigInt(DataType.INT32) });
        for (const node of edit.nodes(MHA)) edit.editor.setInput(node, 4, mask);
      },
    ],
    [
      'lengths of keys',
      /not known/,
      (edit) => {
        const { total } = edit.lengths;
        const lengths = edit.op('Cast', [edit.op('Unsqueeze', [total, edit.ints(0)])], { to: BigInt(DataType.INT32) });
        for (const node of edit.nodes(MHA)) edit.editor.setInput(node, 4, lengths);
      },
    ],
    [
      'a shared buffer',
      /shared cache/,
      (edit) => {
        const past = edit.op('Cast', [edit.lengths.past], { to: BigInt(DataType.INT32) });
        for (const node of edit.nodes(MHA)) edit.editor.setInput(node, 8, past);
      },
    ],
    [
      'one input for all three',
      /in one/,
      (edit) => {
        for (const node of edit.nodes(MHA)) for (const input of [1, 2]) edit.editor.setInput(node, input, '');
      },
    ],
  ])('with %s is left alone', (_what, reason, change) => {
    expect(reasonOf(edited(mha, MULTI_HEAD, change), MULTI_HEAD)).toMatch(reason);
  });
});

/** A constant of float32 as one of float16. */
function halfTable({ editor }: Edit, name: string): string {
  const half = `${name}_half`;
  if (editor.initializer(half) !== undefined) return half;
  const table = editor.initializer(name);
  const values = Float16Array.from(new Float32Array(table?.rawData.slice().buffer ?? []));
  const bits = new Uint16Array(values.buffer);
  return editor.addInitializer(rawTensor(half, DataType.FLOAT16, table?.dims.map(Number) ?? [], bits));
}

describe('a cache of float16', () => {
  const halved = (write: Write, config: DecoderConfig, attentionInHalf: boolean): ModelProto =>
    edited(write, config, (edit) => {
      const { editor } = edit;
      for (const port of [...editor.graph.input, ...editor.graph.output]) {
        if (/^(past_key_values|present)\./.test(port.name) && port.type?.value.case === 'tensorType') {
          port.type.value.value.elemType = DataType.FLOAT16;
        }
      }
      const cast = (tensor: string, to: DataType): string => edit.op('Cast', [tensor], { to: BigInt(to) });
      for (const node of edit.nodes('Concat')) {
        if (!/^present\./.test(node.output[0] ?? '')) continue;
        edit.before(node, 1, (x) => cast(x, DataType.FLOAT16));
        edit.behind(node.output[0] ?? '', (x) => cast(x, DataType.FLOAT));
      }
      for (const node of edit.nodes(GQA)) {
        if (!attentionInHalf) continue;
        edit.before(node, 0, (x) => cast(x, DataType.FLOAT16));
        for (const input of [7, 8]) edit.before(node, input, (name) => halfTable(edit, name));
        edit.behind(node.output[0] ?? '', (x) => cast(x, DataType.FLOAT));
      }
    });

  it('is rewritten where attention computes in float16 too', async () => {
    const model = halved(gqaPacked, GROUPED, true);
    const rewritten = await openRewritten(model, GROUPED);
    expect(rewritten.layout.type).toBe('float16');
    expect(await worstDifference(rewritten, await openPlain(model, GROUPED), GROUPED)).toBeLessThan(5e-3);
  });

  it('is rewritten where attention computes in float32', async () => {
    const model = halved(plainOptimum, GROUPED, false);
    const rewritten = await openRewritten(model, GROUPED);
    expect(rewritten.layout.type).toBe('float16');
    expect(await worstDifference(rewritten, await openPlain(model, GROUPED), GROUPED)).toBeLessThan(5e-3);
  });

  it('is left alone where it is of another type', () => {
    const model = edited(gqaPacked, GROUPED, ({ editor }) => {
      editor.removeInput('past_key_values.0.key');
      editor.addInput(valueInfo('past_key_values.0.key', DataType.BFLOAT16, ['b', 2, 'p', 16]));
    });
    expect(reasonOf(model, GROUPED)).toMatch(/neither float32 nor float16/);
  });
});
