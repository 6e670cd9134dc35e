// Which form of a model is taken, where there are several: the one that a person named, else the one that suits this
// machine, that most nodes have whole, and that was signed last. Pure.
import { chooseFiles, type MachineFacts } from '../../models/choose-files.ts';
import type { Manifest } from '../../models/manifest.ts';
import type { HubName } from '../../models/model-name.ts';
import { toWeftError, type WeftError } from '../../protocol/errors.ts';
import { assert } from '../core/assert.ts';

/** A form of a model that can be had. */
export interface Form {
  readonly digest: string;
  readonly manifest: Pick<Manifest, 'graph' | 'files'>;
  /** Peers that have all of it. */
  readonly wholeCount: number;
  /** When it was last signed, in ms since 1970; 0 = never. */
  readonly signedMs: number;
}

export type Chosen<F> =
  | { readonly form: F; readonly reasons: readonly string[] }
  | { readonly form: undefined; readonly error: WeftError };

/**
 * Chooses one of the forms of a model.
 * @param forms at least one
 * @param name what a person asked for, its variant such as `q4`
 * @returns the error says what there is when none of them is what was named
 */
export function chooseVariant<F extends Form>(
  forms: readonly F[],
  machine: MachineFacts,
  { id, variant }: Partial<Pick<HubName, 'id' | 'variant'>>,
): Chosen<F> {
  const files = new Map<string, Manifest['files'][number]>();
  for (const file of forms.flatMap(({ manifest }) => manifest.files)) {
    // A form that says it is too large for this machine must not make the others so.
    if (file.sizeBytes < (files.get(file.path)?.sizeBytes ?? Number.POSITIVE_INFINITY)) files.set(file.path, file);
  }
  let graph: string | undefined;
  let reasons: readonly string[] = [];
  try {
    ({ graph, reasons } = chooseFiles([...files.values()], machine, variant, { ...(id !== undefined && { id }) }));
  } catch (thrown) {
    const error = toWeftError(thrown);
    // A graph under a name that no hub would give it is still the model that was asked for.
    if (variant !== undefined || error.code === 'out_of_memory') return { form: undefined, error };
  }
  const fitting = forms.filter(({ manifest }) => manifest.graph === graph);
  const [first, ...more] = [...(fitting.length > 0 ? fitting : forms)].sort(
    (a, b) => b.wholeCount - a.wholeCount || b.signedMs - a.signedMs || (a.digest < b.digest ? -1 : 1),
  );
  assert(first !== undefined, 'there is a form to choose');
  if (more.length === 0) return { form: first, reasons };
  const why = more.some(({ wholeCount }) => wholeCount === first.wholeCount)
    ? 'signed last'
    : `whole on most nodes (${first.wholeCount})`;
  return { form: first, reasons: [...reasons, `Of ${more.length + 1} editions of it the one that is ${why}.`] };
}
