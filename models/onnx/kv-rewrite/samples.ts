// The runs in which a graph is looked at: batches of sequences with a past and new tokens, as the plain loop would feed
// them, without padding. What holds in all of them is taken to hold always; the numeric check at load comes after.
import type { GenerationSpec } from '../../manifest.ts';
import type { GraphEditor } from '../graph.ts';
import { PORTS } from './layout.ts';
import { LOOK_TOKENS } from './limits.ts';
import { Evaluator } from './values/evaluator.ts';
import { dense, elementwise, filled, type Value, Work } from './values/value.ts';

export interface Sample {
  readonly batch: number;
  readonly past: number;
  readonly added: number;
}

/** Sizes that are no others' by chance; a prompt; a step. */
export const SHORT_SAMPLES: readonly Sample[] = [
  { batch: 2, past: 5, added: 3 },
  { batch: 1, past: 0, added: 4 },
  { batch: 1, past: 11, added: 1 },
];
/** A step far into a sequence. */
export const LONG_SAMPLE: Sample = { batch: 1, past: LOOK_TOKENS - 1, added: 1 };

export const totalOf = ({ past, added }: Sample): number => past + added;

/** Looks at a graph as it stands: one evaluator for each sample that is asked for. */
export class Looks {
  readonly work: Work;
  readonly #editor: GraphEditor;
  readonly #spec: GenerationSpec;
  readonly #evaluators = new Map<string, Evaluator>();
  #latest: { readonly tensor: string; readonly dependents: ReadonlySet<string> } | undefined;

  constructor(editor: GraphEditor, spec: GenerationSpec, work = new Work()) {
    this.#editor = editor;
    this.#spec = spec;
    this.work = work;
  }

  at(sample: Sample): Evaluator {
    const key = `${sample.batch}/${sample.past}/${sample.added}`;
    const known = this.#evaluators.get(key);
    if (known !== undefined) return known;
    const evaluator = new Evaluator(this.#editor, this.work, inputsOf(sample, this.#spec, this.work));
    this.#evaluators.set(key, evaluator);
    return evaluator;
  }

  /** As `at`, where a tensor has another value. */
  with(sample: Sample, tensor: string, value: Value): Evaluator {
    // Many values are put in one place before it is another's turn.
    if (this.#latest?.tensor !== tensor) this.#latest = { tensor, dependents: this.#dependents(tensor) };
    return this.at(sample).with(tensor, value, this.#latest.dependents);
  }

  #dependents(tensor: string): ReadonlySet<string> {
    const found = new Set<string>();
    const waiting = [tensor];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      for (const node of this.#editor.consumers(name)) {
        for (const output of node.output) {
          this.work.take(1);
          if (output === '' || found.has(output)) continue;
          found.add(output);
          waiting.push(output);
        }
      }
    }
    return found;
  }
}

function inputsOf(sample: Sample, { layers, kvHeads, headSize }: GenerationSpec, work: Work): Map<string, Value> {
  const { batch, past, added } = sample;
  const positions = positionsOf(sample, batch, work);
  const cache: Value = {
    type: 'float',
    dims: [batch, kvHeads, past, headSize],
    data: undefined,
    strides: [],
    offset: 0,
  };
  const inputs = new Map<string, Value>([
    [PORTS.ids, { ...cache, type: 'int', dims: [batch, added] }],
    ['attention_mask', filled('int', [batch, past + added], 1)],
    ['position_ids', positions],
    [PORTS.positions, positions],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    inputs.set(`past_key_values.${layer}.key`, cache);
    inputs.set(`past_key_values.${layer}.value`, cache);
  }
  return inputs;
}

/** past, past + 1, …: [rows, added] */
function positionsOf({ past, added }: Sample, rows: number, work: Work): Value {
  const row = dense(
    'int',
    [1, added],
    Float64Array.from({ length: added }, (_, index) => past + index),
  );
  return elementwise(work, 'int', [row, filled('int', [rows, 1], 0)], (a, b) => a + b) as Value;
}
