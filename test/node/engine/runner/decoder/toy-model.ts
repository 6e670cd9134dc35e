// A decoder model whose every token depends on every row of its cache: each key says which id it is of and each value at
// which place it stands, so that a row that is lost, doubled, moved or another sequence's shows in what is drawn.
import type { DecoderLayout } from '../../../../../models/onnx/kv-rewrite/layout.ts';
import type { KvArray, NewRows } from '../../../../../node/engine/runner/decoder/kv-block.ts';
import type { DecoderModel, Step, StepResult } from '../../../../../node/engine/runner/decoder/rewritten-model.ts';

export const TOY_LAYOUT: DecoderLayout = {
  layers: 2,
  kvHeads: 2,
  headSize: 3,
  group: 2,
  vocabularySize: 32,
  type: 'float32',
  windows: [0],
};

/** The id that follows a history. */
export type Rule = (history: readonly number[]) => number;

/** Depends on all of it. */
export const hashed: Rule = (history) => {
  let hash = 17;
  for (const id of history) hash = (Math.imul(hash, 31) + id + 1) >>> 0;
  return hash % TOY_LAYOUT.vocabularySize;
};

/** Goes round in circles, as text does that quotes itself; depends on the sum of all too. */
export const circling: Rule = (history) => ((history.at(-1) ?? 0) + 1) % 5;

export interface ToyInit {
  readonly rule?: Rule;
  /** Called before each step; a rejection is the graph's. */
  readonly before?: (step: Step) => Promise<void> | void;
  /** The logits of a history, where they are not those of the rule. */
  readonly logits?: (history: readonly number[]) => Float32Array | undefined;
  /** May spoil the rows that a step gives. */
  readonly rows?: (rows: NewRows, step: Step) => void;
}

export class ToyModel implements DecoderModel {
  readonly layout: DecoderLayout;
  /** What was run: B and S of every step. */
  readonly steps: { readonly sequences: number; readonly tokens: number }[] = [];
  /** Milliseconds that all steps together have taken: a fixed part, and one for each row. */
  clockMs = 0;
  readonly #init: ToyInit;

  constructor(init: ToyInit = {}, layout = TOY_LAYOUT) {
    this.#init = init;
    this.layout = layout;
  }

  async step(step: Step): Promise<StepResult> {
    const { rule = hashed, before, logits: own, rows: spoil } = this.#init;
    await before?.(step);
    const { vocabularySize, layers, kvHeads, headSize } = this.layout;
    const sequences = step.lengths.length;
    const tokens = step.ids.length / sequences;
    this.steps.push({ sequences, tokens });
    this.clockMs += 8 + 2 * sequences * tokens;
    const size = sequences * kvHeads * tokens * headSize;
    const keys = Array.from({ length: layers }, () => new Float32Array(size));
    const values = Array.from({ length: layers }, () => new Float32Array(size));
    const logits = new Float32Array(step.wanted.length * vocabularySize);
    for (let index = 0; index < sequences; index++) {
      const length = step.lengths[index] as number;
      const past = historyOf(step, step.firstSlot + index, length);
      for (let s = 0; s < tokens; s++) {
        const id = step.ids[index * tokens + s] as number;
        past.push(id);
        for (let layer = 0; layer < layers; layer++) {
          for (let head = 0; head < kvHeads; head++) {
            for (let d = 0; d < headSize; d++) {
              const at = ((index * kvHeads + head) * tokens + s) * headSize + d;
              (keys[layer] as Float32Array)[at] = mark(id, layer, head, d);
              (values[layer] as Float32Array)[at] = mark(length + s, layer, head, d);
            }
          }
        }
        const row = step.wanted.indexOf(index * tokens + s);
        if (row < 0) continue;
        const given = own?.(past);
        if (given !== undefined) logits.set(given, row * vocabularySize);
        else logits[row * vocabularySize + rule(past)] = 1;
      }
    }
    spoil?.({ keys, values }, step);
    return { logits, rows: { keys, values } };
  }
}

const mark = (value: number, layer: number, head: number, d: number): number => value * 100 + layer * 20 + head * 5 + d;

/** The ids of a slot's rows. @throws Error when any row is not what and where it should be */
function historyOf({ block }: Step, slot: number, length: number): number[] {
  const { layers, kvHeads, headSize } = TOY_LAYOUT;
  const { capacity } = block;
  const ids: number[] = [];
  for (let at = 0; at < length; at++) {
    const id = ((block.keys[0] as KvArray)[slot * block.slotElements + at] as number) / 100;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < kvHeads; head++) {
        for (let d = 0; d < headSize; d++) {
          const key = (block.keys[layer] as KvArray)[((slot * kvHeads + head) * headSize + d) * capacity + at];
          const value = (block.values[layer] as KvArray)[((slot * kvHeads + head) * capacity + at) * headSize + d];
          if (key !== mark(id, layer, head, d) || value !== mark(at, layer, head, d)) {
            throw new Error(`the row of slot ${slot} at ${at} is another's`);
          }
        }
      }
    }
    ids.push(id);
  }
  return ids;
}
