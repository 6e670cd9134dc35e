import { describe, expect, it } from 'vitest';
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { GROUPED, MULTI_HEAD } from '../decoders/config.ts';
import { plainDerivedPositions, plainOptimum, plainPastPositions } from '../decoders/plain.ts';
import {
  Edit,
  lowest,
  withAlibi,
  withChosenScores,
  withFusedProduct,
  withGroups,
  withHeadsInBatch,
  withNanGuard,
  withScatteredMask,
  withSlicedTables,
  withSoftcap,
  withWindow,
} from './edits.ts';
import { checkOf, openPlain, openRewritten, reasonOf, worstDifference } from './support.ts';

const CONFIG = GROUPED;

function edited(
  write: (config: typeof CONFIG) => ModelProto,
  change: (edit: Edit) => void,
  config = CONFIG,
): ModelProto {
  const model = write(config);
  const edit = new Edit(model, config);
  change(edit);
  edit.editor.finish();
  return model;
}

type Way = readonly [
  what: string,
  write: (config: typeof CONFIG) => ModelProto,
  change: (edit: Edit) => void,
  layout: { readonly windows: readonly number[] },
];

const ALL = { windows: [0] };

const WAYS: readonly Way[] = [
  ['batch and heads in one dimension', plainOptimum, withHeadsInBatch, ALL],
  ['queries in groups of their own dimension', plainDerivedPositions, withGroups, ALL],
  ['a mask that is written into', plainOptimum, withScatteredMask, ALL],
  ['tables that are cut off at the end of the sequence', plainDerivedPositions, withSlicedTables, ALL],
  ['weights guarded against NaN', plainPastPositions, withNanGuard, ALL],
  ['scores that are replaced where they are not seen', plainOptimum, withChosenScores, ALL],
  ['a fused product', plainPastPositions, withFusedProduct, ALL],
  ['a cap of scores', plainOptimum, (edit) => withSoftcap(edit, 1.5), ALL],
  ['a window', plainOptimum, (edit) => withWindow(edit, 6), { windows: [6] }],
  [
    'windows in every other layer, and a cap',
    plainPastPositions,
    (edit) => {
      withSoftcap(edit, 2);
      withWindow(edit, 4, (layer) => layer % 2 === 1);
    },
    { windows: [0, 4] },
  ],
];

describe('attention in plain operators', () => {
  it.each(WAYS)('with %s is rewritten', async (_what, write, change, layout) => {
    const model = edited(write, change);
    const rewritten = await openRewritten(model, CONFIG);
    expect(rewritten.layout).toMatchObject(layout);
    expect(await worstDifference(rewritten, await openPlain(model, CONFIG), CONFIG)).toBeLessThan(1e-4);
  });

  it('knows a window that is longer than the check at load', () => {
    const model = edited(plainOptimum, (edit) => withWindow(edit, 4096));
    expect(reasonOf(model, CONFIG)).toBeUndefined();
  });

  const OTHERS: readonly (readonly [string, RegExp, Way[1], Way[2]])[] = [
    ['a bias by distance', /scores are changed in a way/, plainOptimum, withAlibi],
    [
      'no mask',
      /others than those before/,
      plainOptimum,
      (edit) => {
        for (const { softmax, masked } of edit.attentions) edit.editor.setInput(softmax, 0, masked.input[0] ?? '');
      },
    ],
    [
      'a first token that is always seen beside a window',
      /hides tokens/,
      plainOptimum,
      (edit) => {
        const { distances } = edit;
        const isFirst = edit.op('Equal', [
          edit.op('Range', [edit.int(0), edit.lengths.total, edit.int(1)]),
          edit.int(0),
        ]);
        const far = edit.op('GreaterOrEqual', [distances, edit.float(6)]);
        const hidden = edit.op('And', [far, edit.op('Not', [isFirst])]);
        const bias = edit.op('Where', [hidden, edit.float(lowest), edit.float(0)]);
        edit.bias(() => bias);
      },
    ],
    [
      'a mask in one layer that looks ahead',
      /others than those before/,
      plainPastPositions,
      (edit) => {
        const [, second] = edit.attentions;
        if (second === undefined) throw new Error('there are two');
        edit.editor.setInput(second.softmax, 0, second.masked.input[0] ?? '');
      },
    ],
    [
      'weights that are changed behind their softmax',
      /changed behind/,
      plainOptimum,
      (edit) => {
        for (const { softmax } of edit.attentions) {
          edit.behind(softmax.output[0] ?? '', (x) => edit.op('Mul', [x, edit.float(0.5)]));
        }
      },
    ],
    [
      'two layers that share a cache',
      /more than one attention/,
      plainOptimum,
      (edit) => {
        const [first, second] = edit.attentions;
        edit.editor.setInput(second?.scoring ?? edit.producer(''), 1, first?.scoring.input[1] ?? '');
      },
    ],
    [
      'heads that take their keys in turns',
      /not compared with those of their heads/,
      plainOptimum,
      (edit) => {
        for (const { scoring } of edit.attentions) {
          edit.before(scoring, 1, (x) => edit.op('Gather', [x, edit.ints(0, 2, 1, 3)], { axis: 1n }));
        }
      },
    ],
    [
      'values of other heads',
      /not weighed by their heads/,
      plainOptimum,
      (edit) => {
        for (const { weighing } of edit.attentions) {
          edit.before(weighing, 1, (x) => edit.op('Gather', [x, edit.ints(3, 2, 1, 0)], { axis: 1n }));
        }
      },
    ],
    [
      'a cache that is kept the other way round',
      /written in a way that is not known/,
      plainOptimum,
      (edit) => {
        const concat = edit.producer('present.0.key');
        concat.input.reverse();
      },
    ],
    [
      'a present that attention does not take',
      /no product takes/,
      plainOptimum,
      (edit) => {
        const { input } = edit.producer('present.1.value');
        edit.behind('present.1.value', () => edit.op('Concat', input, { axis: 2n }));
      },
    ],
    [
      'a token that stands for all softmaxes',
      /not over all tokens/,
      plainOptimum,
      (edit) => {
        for (const { softmax } of edit.attentions) for (const axis of softmax.attribute) axis.i = 2n;
      },
    ],
    [
      'a mask that reads the ids',
      /mask is made in a way that is not known/,
      plainOptimum,
      (edit) => {
        const isSpecial = edit.op('Cast', [edit.op('Less', ['input_ids', edit.int(3)])], { to: 1n });
        const bias = edit.op('Unsqueeze', [isSpecial, edit.ints(1, 3)]);
        edit.bias(() => bias);
      },
    ],
    [
      'angles that are scaled by the longest sequence',
      /positions of all sequences at once/,
      plainOptimum,
      (edit) => {
        const longest = edit.op('Cast', [edit.op('ReduceMax', ['position_ids'], { keepdims: 0n })], { to: 1n });
        const [cos] = edit.nodes('Cos');
        edit.before(cos ?? edit.producer(''), 0, (x) => edit.op('Div', [x, longest]));
      },
    ],
    [
      'the length of the past among its hidden states',
      /past_key_values\.0\.key in a way/,
      plainOptimum,
      (edit) => {
        const length = edit.op('Cast', [edit.lengths.past], { to: 1n });
        const [norm] = edit.nodes('Pow');
        edit.before(norm ?? edit.producer(''), 0, (x) => edit.op('Add', [x, length]));
      },
    ],
  ];

  it.each(OTHERS)('with %s is left alone', (_what, reason, write, change) => {
    expect(reasonOf(edited(write, change), CONFIG)).toMatch(reason);
  });

  it.each([
    ['a bias by distance', withAlibi],
    ['a window', (edit: Edit) => withWindow(edit, 6)],
    ['a cap', (edit: Edit) => withSoftcap(edit, 1.5)],
  ] as const)('would give other logits if %s went unseen, which the check at load finds', async (_what, change) => {
    const unseen = plainOptimum(CONFIG);
    const model = edited(plainOptimum, change);
    const [rewritten, plain] = [await openRewritten(unseen, CONFIG), await openPlain(model, CONFIG)];
    expect(await worstDifference(rewritten, plain, CONFIG)).toBeGreaterThan(0.01);
    expect(await checkOf(unseen, model, CONFIG)).toMatch(/its logits differ/);
  });

  it('would give other logits if a long window went unseen, which the check at load does not find', async () => {
    const unseen = plainOptimum(CONFIG);
    const model = edited(plainOptimum, (edit) => withWindow(edit, 40));
    expect(await checkOf(unseen, model, CONFIG)).toBeUndefined();
    const plain = await openPlain(model, CONFIG);
    expect(await worstDifference(await openRewritten(unseen, CONFIG), plain, CONFIG, [60])).toBeGreaterThan(0.01);
    expect(await worstDifference(await openRewritten(model, CONFIG), plain, CONFIG, [60, 3])).toBeLessThan(1e-4);
  });

  it('takes a cache that one head of all shares', async () => {
    const config = { ...MULTI_HEAD, kvHeads: 1 };
    const model = plainOptimum(config);
    const rewritten = await openRewritten(model, config);
    expect(rewritten.layout.group).toBe(4);
    expect(await worstDifference(rewritten, await openPlain(model, config), config)).toBeLessThan(1e-4);
  });
});
