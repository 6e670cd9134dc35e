// The forms of a model that the mesh has: the same id with other weights. What each is called, and which one a name means.
// Pure; called by model-names and by the list of models.
import { graphVariants } from '../../models/graph-variants.ts';
import type { AvailableModel } from '../core/dispatcher.ts';

/** Hex digits of a digest that tell two forms of one precision apart: as many as a folder's name has. */
const DIGEST_DIGITS = 9;

/**
 * What each of these is called behind the colon of `owner/name:q4`: its precision, and the beginning of its digest where
 * another has the same; undefined where its nodes don't tell.
 * @param models all of one id
 */
export function formNames(models: readonly AvailableModel[]): readonly (string | undefined)[] {
  const counts = new Map<string | undefined, number>();
  for (const { offer } of models) counts.set(offer.precision, (counts.get(offer.precision) ?? 0) + 1);
  return models.map(({ offer: { precision, model } }) =>
    precision === undefined || counts.get(precision) === 1 ? precision : `${precision}-${digits(model.digest)}`,
  );
}

/**
 * True where a person who writes this behind the colon may mean that model: its precision, what its folder has behind the
 * at sign, or a graph of its precision by its file's name.
 */
export function isForm({ offer }: AvailableModel, form: string): boolean {
  const precision = offer.precision?.toLowerCase();
  if (precision === undefined) return false;
  const wanted = form.toLowerCase();
  const names = [precision, `${precision}-${digits(offer.model.digest)}`];
  return names.includes(wanted) || precision === precisionNamed(wanted);
}

/** Of `onnx/model_q4.onnx`, or of what the hub calls a precision: `quantized`. Lower case; undefined for no such name. */
export function precisionNamed(form: string): string | undefined {
  if (form === '') return undefined;
  const isGraph = form.endsWith('.onnx');
  const [graph] = graphVariants([{ path: isGraph ? form : `model_${form}.onnx`, sizeBytes: 0 }]);
  return isGraph || graph?.label === form ? graph?.precision : undefined;
}

const digits = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, DIGEST_DIGITS);
