import { describe, expect, it } from 'vitest';
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { type DecoderConfig, GROUPED, matrix } from '../decoders/config.ts';
import { plainDerivedPositions, plainOptimum, plainPastPositions } from '../decoders/plain.ts';
import { Edit } from './edits.ts';
import { openPlain, openRewritten, reasonOf, worstDifference } from './support.ts';

const CONFIG = GROUPED;

function edited(write: (config: DecoderConfig) => ModelProto, change: (edit: Edit) => void): ModelProto {
  const model = write(CONFIG);
  const edit = new Edit(model, CONFIG);
  change(edit);
  edit.editor.finish();
  return model;
}

/** What indexes the rotary tables. */
const positionsOf = (edit: Edit): string =>
  edit.nodes('Gather').find(({ input }) => input[0] === 'cos_cached')?.input[1] ?? '';

const hiddenOf = (edit: Edit): string =>
  edit.nodes('Gather').find(({ input }) => input[0] === 'model.embed_tokens.weight')?.output[0] ?? '';

/** Adds a learned row for each position. */
function learn(edit: Edit, positions: string): void {
  const { contextLength, hidden } = CONFIG;
  const table = edit.floats([contextLength + 8, hidden], [...matrix(CONFIG, 'wpe', hidden, contextLength + 8)]);
  edit.behind(hiddenOf(edit), (x) => edit.op('Add', [x, edit.op('Gather', [table, positions])]));
}

type Case = readonly [what: string, write: (config: DecoderConfig) => ModelProto, change: (edit: Edit) => void];

const KNOWN: readonly Case[] = [
  [
    'a learned row two places further',
    plainDerivedPositions,
    (edit) => learn(edit, edit.op('Add', [positionsOf(edit), edit.int(2)])),
  ],
  [
    'a learned row, as OPT counts',
    plainDerivedPositions,
    (edit) => {
      const sums = edit.op('CumSum', ['attention_mask', edit.int(1)]);
      const counted = edit.op('Add', [edit.op('Mul', [sums, 'attention_mask']), edit.int(1)]);
      const past = edit.op('Unsqueeze', [edit.lengths.past, edit.ints(0)]);
      learn(edit, edit.op('Slice', [counted, past, edit.ints(Number.MAX_SAFE_INTEGER), edit.ints(1)]));
    },
  ],
  [
    'a learned row, the last for all beyond it',
    plainDerivedPositions,
    (edit) => learn(edit, edit.op('Min', [positionsOf(edit), edit.int(10)])),
  ],
  ['a learned row by one row of positions for all', plainPastPositions, (edit) => learn(edit, positionsOf(edit))],
  [
    'positions in another form',
    plainOptimum,
    (edit) => {
      edit.behind('position_ids', (x) => edit.op('Reshape', [x, edit.shape(-1, edit.size('input_ids', 1))]));
    },
  ],
  [
    'the batch as the mask has it',
    plainOptimum,
    (edit) => {
      const shape = edit.shape(edit.size('attention_mask', 0), edit.size('input_ids', 1), CONFIG.hidden);
      edit.behind(hiddenOf(edit), (x) => edit.op('Reshape', [x, shape]));
    },
  ],
  [
    'the number of new tokens as what both lengths differ by',
    plainPastPositions,
    (edit) => {
      const { past, total } = edit.lengths;
      const added = edit.op('Unsqueeze', [edit.op('Sub', [total, past]), edit.ints(0)]);
      edit.behind(hiddenOf(edit), (x) => edit.op('Reshape', [x, edit.shape(-1, added, CONFIG.hidden)]));
    },
  ],
];

const UNKNOWN: readonly (readonly [...Case, reason: RegExp])[] = [
  [
    'positions without a batch',
    plainPastPositions,
    (edit) => {
      const { past, total } = edit.lengths;
      learn(edit, edit.op('Range', [past, total, edit.int(1)]));
    },
    /takes past_key_values\.0\.key in a way that is not known/,
  ],
  [
    'a table chosen by the length of the sequence',
    plainPastPositions,
    (edit) => {
      const isLong = edit.op('Greater', [edit.lengths.total, edit.int(64)]);
      edit.behind(hiddenOf(edit), (x) => edit.op('Where', [isLong, x, edit.op('Neg', [x])]));
    },
    /in a way that is not known/,
  ],
  [
    'a table cut off in the middle',
    plainPastPositions,
    (edit) => {
      const end = edit.op('Unsqueeze', [edit.op('Sub', [edit.lengths.total, edit.int(1)]), edit.ints(0)]);
      edit.behind('cos_cached', (table) => edit.op('Slice', [table, edit.ints(0), end, edit.ints(0)]));
    },
    /in a way that is not known/,
  ],
  [
    'a cut table of which all is used',
    plainPastPositions,
    (edit) => {
      const end = edit.op('Unsqueeze', [edit.lengths.total, edit.ints(0)]);
      const cut = edit.op('Slice', ['cos_cached', edit.ints(0), end, edit.ints(0)]);
      const mean = edit.op('ReduceMean', [cut], { keepdims: 0n });
      edit.behind(hiddenOf(edit), (x) => edit.op('Mul', [x, mean]));
    },
    /in a way that is not known/,
  ],
  [
    'the places of other sequences',
    plainOptimum,
    (edit) => {
      const first = edit.op('Cast', [edit.op('Gather', ['position_ids', edit.ints(0)], { axis: 0n })], { to: 1n });
      const scaled = edit.op('Unsqueeze', [first, edit.ints(2)]);
      edit.behind(hiddenOf(edit), (x) => edit.op('Add', [x, scaled]));
    },
    /a Gather takes positions of all sequences at once/,
  ],
];

describe('positions', () => {
  it.each(KNOWN)('%s: rewritten', async (_what, write, change) => {
    const model = edited(write, change);
    const [rewritten, plain] = [await openRewritten(model, CONFIG), await openPlain(model, CONFIG)];
    expect(await worstDifference(rewritten, plain, CONFIG)).toBeLessThan(1e-4);
  });

  it.each(UNKNOWN)('%s: left alone', (_what, write, change, reason) => {
    expect(reasonOf(edited(write, change), CONFIG)).toMatch(reason);
  });
});
