// What the daemon says of one model: its place in the mesh's list, and its facts where it is installed here.
import type { ModelAnswer, ModelsAnswer } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import { precisionNamed } from '../coordinator/model-forms.ts';
import type { Client } from './client.ts';

export type ModelListing = ModelsAnswer['models'][number];

/** The control API's path of a model, whatever stands in its name. */
export const modelPath = (name: string): string => `/api/v1/models/${encodeURIComponent(name)}`;

/** Facts of a model that is installed here; undefined where it isn't. @throws WeftError what {@link Client} throws */
export async function installedModel(
  client: Client,
  name: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<ModelAnswer | undefined> {
  try {
    return await client.get<ModelAnswer>(modelPath(name), { signal });
  } catch (error) {
    if (error instanceof WeftError && error.code === 'model_not_found') return undefined;
    throw error;
  }
}

/** The model that the mesh offers under this id or short name. */
export function listed(models: readonly ModelListing[], name: string): ModelListing | undefined {
  return models.find((model) => [model.id, ...model.aliases].some((known) => isCalled(model, known, name)));
}

/** All that a request by this name could mean: an id, a short name, or the last part of an id; each with a form or without. */
export function allListed(models: readonly ModelListing[], name: string): readonly ModelListing[] {
  return models.filter((model) => {
    const { id, aliases } = model;
    return [id, id.slice(id.lastIndexOf('/') + 1), ...aliases].some((known) => isCalled(model, known, name));
  });
}

/** By this name of its own, alone or with a form behind it. */
function isCalled({ precision, forms }: ModelListing, known: string, name: string): boolean {
  const [is, wanted] = [known.toLowerCase(), name.toLowerCase()];
  if (is === wanted) return true;
  if (!wanted.startsWith(`${is}:`)) return false;
  const form = wanted.slice(is.length + 1);
  const names = [form, precisionNamed(form)];
  return [precision, ...(forms ?? []).map((one) => one.form)].some((one) => one && names.includes(one.toLowerCase()));
}

const TASKS: Readonly<Record<string, string>> = {
  'text-generation': 'chat',
  'feature-extraction': 'embeddings',
  'text-ranking': 'reranking',
  'automatic-speech-recognition': 'speech',
};

/** A task in a word that people use. */
export const taskName = (task: string): string => TASKS[task] ?? task;

/** `laptop (here, loaded)` */
export function describeNode({ name, state, self }: ModelListing['nodes'][number]): string {
  const notes = [...(self ? ['here'] : []), ...(state === 'disk' ? [] : [state])];
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}
