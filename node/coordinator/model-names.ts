// From the name that a client writes to a model of the mesh. Called by the coordinator for every request.
import { parseModelName } from '../../models/model-name.ts';
import type { ModelTask } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { AvailableModel } from '../core/dispatcher.ts';
import { NAME_SHOWN_MAX, NAMES_LISTED_MAX } from './limits.ts';
import { formNames, isForm } from './model-forms.ts';

/** What to do with a model of each task, for whoever asked the wrong endpoint. */
const USE: Readonly<Record<ModelTask, string>> = {
  'text-generation': 'answers chats: use /v1/chat/completions, or `weft run`',
  'feature-extraction': 'makes embeddings: use /v1/embeddings, or `weft embed`',
  'text-ranking': 'ranks texts: use /v1/rerank',
  'automatic-speech-recognition': 'writes down speech: use /v1/audio/transcriptions',
  tensor: 'takes tensors, not text',
};

/**
 * The model of this name: a hub id (`owner/name`), a short name, or the last part of a hub id where only one ends so;
 * behind a colon may stand the form of it, as `weft pull` takes it (`owner/name:q4`).
 * Of several with the same id but other bytes, one that can run now, here before elsewhere, loaded before on disk, on many
 * nodes before few.
 * @param task what it must be for; undefined = anything
 * @param withholding the number of nodes that offer nothing now by their owners' will: one of them may have it
 * @throws WeftError `model_not_found`, which lists what there is; `bad_request` for a model of another task;
 *   `no_capable_node` when every node that offers it is away
 */
export function findModel(
  models: readonly AvailableModel[],
  name: string,
  task: ModelTask | undefined,
  self: NodeId,
  withholding: () => number = () => 0,
): AvailableModel {
  const named = withForm(models, name, self);
  const ids = new Set(named.map((model) => model.offer.model.id));
  if (ids.size !== 1) throw notFound({ models, name, self, withholding }, [...ids]);
  const ofTask = named.filter((model) => task === undefined || model.offer.task === task);
  const [best] = ofTask.length === 0 ? named : ofTask.toSorted((a, b) => preference(b, self) - preference(a, self));
  if (best === undefined) throw notFound({ models, name, self, withholding });
  const { offer } = best;
  if (task !== undefined && offer.task !== task) {
    throw new WeftError({
      code: 'bad_request',
      message: `${offer.model.id} ${USE[offer.task]}.`,
      facts: { param: 'model', model: offer.model.id },
    });
  }
  if (best.nodes.length === 0) {
    throw new WeftError({
      code: 'no_capable_node',
      message: `Every node that offers ${offer.model.id} is away.`,
      facts: { model: offer.model.id },
    });
  }
  return best;
}

/** What the name means, as a whole first; then as a name and a form. @throws WeftError when only the form isn't there */
function withForm(models: readonly AvailableModel[], name: string, self: NodeId): readonly AvailableModel[] {
  const whole = matching(models, name);
  if (whole.length > 0) return whole;
  for (const { base, form } of readings(name)) {
    const found = matching(models, base);
    const fitting = form === undefined ? found : found.filter((model) => isForm(model, form));
    if (fitting.length > 0) return fitting;
    // Of two models that only end alike, their names are the question first.
    if (found.length > 0 && new Set(found.map(({ offer }) => offer.model.id)).size === 1) {
      throw noForm(found, form ?? '', self);
    }
  }
  return [];
}

/** `owner/name:q4` by its last colon, and as `weft pull` reads it: a page of the hub, or a short name. */
function readings(name: string): readonly { readonly base: string; readonly form: string | undefined }[] {
  const colon = name.lastIndexOf(':');
  const split = colon < 0 ? [] : [{ base: name.slice(0, colon), form: name.slice(colon + 1) }];
  const parsed = parseModelName(name);
  // Offers don't say of which revision they are.
  if (parsed?.kind !== 'hub' || parsed.revision !== undefined) return split;
  return [...split, { base: parsed.id, form: parsed.variant }];
}

/** By the whole id first, then by short name, then by the last part of the id; letters' case doesn't matter. */
function matching(models: readonly AvailableModel[], name: string): readonly AvailableModel[] {
  const wanted = name.toLowerCase();
  const ways: readonly ((model: AvailableModel) => boolean)[] = [
    ({ offer }) => offer.model.id.toLowerCase() === wanted,
    ({ offer }) => offer.aliases.some((alias) => alias.toLowerCase() === wanted),
    ({ offer }) => offer.model.id.toLowerCase().endsWith(`/${wanted}`),
  ];
  for (const way of ways) {
    const found = models.filter(way);
    if (found.length > 0) return found;
  }
  return [];
}

/** True when a node is there whose runner hasn't died too often with it. */
export function canRun(model: AvailableModel): boolean {
  return model.states.some((state) => state !== 'quarantined');
}

/** What clients are shown: every model that can run, once per hub id, in the order given. */
export function listable(models: readonly AvailableModel[], self: NodeId): AvailableModel[] {
  const byId = new Map<string, AvailableModel>();
  for (const model of models.filter(canRun)) {
    const { id } = model.offer.model;
    const known = byId.get(id);
    if (known === undefined || preference(model, self) > preference(known, self)) byId.set(id, model);
  }
  return [...byId.values()];
}

/** The forms of a model that can run, the one that its plain id means first; empty where there is only one. */
export function formsOf(
  models: readonly AvailableModel[],
  id: string,
  self: NodeId,
): readonly { readonly form: string; readonly model: AvailableModel }[] {
  const all = models
    .filter((model) => model.offer.model.id === id && canRun(model))
    .toSorted((a, b) => preference(b, self) - preference(a, self));
  if (all.length < 2) return [];
  return formNames(all).flatMap((form, index) => {
    const model = all[index];
    return form === undefined || model === undefined ? [] : [{ form, model }];
  });
}

function preference(model: AvailableModel, self: NodeId): number {
  const isHere = model.nodes.includes(self);
  const isLoaded = model.states.includes('loaded');
  return (canRun(model) ? 1e9 : 0) + (isHere ? 1e6 : 0) + (isLoaded ? 1e5 : 0) + model.nodes.length;
}

function noForm(found: readonly AvailableModel[], form: string, self: NodeId): WeftError {
  const id = found[0]?.offer.model.id ?? '';
  const there = found
    .toSorted((a, b) => preference(b, self) - preference(a, self))
    .slice(0, NAMES_LISTED_MAX)
    .map(({ offer }) => offer.precision ?? 'one that its nodes tell no name of');
  return new WeftError({
    code: 'model_not_found',
    message: `No node of this mesh offers "${shortened(form)}" of ${id}. It has ${[...new Set(there)].join(', ')}.`,
    remedy: 'Name one of these behind the colon, leave it out, or run `weft pull` for the other.',
    facts: { param: 'model', model: id },
  });
}

const shortened = (name: string): string => (name.length > NAME_SHOWN_MAX ? `${name.slice(0, NAME_SHOWN_MAX)}…` : name);

interface Sought {
  readonly models: readonly AvailableModel[];
  readonly name: string;
  readonly self: NodeId;
  readonly withholding: () => number;
}

function notFound({ models, name, self, withholding }: Sought, ambiguous: readonly string[] = []): WeftError {
  const shown = shortened(name);
  if (ambiguous.length > 1) {
    return new WeftError({
      code: 'model_not_found',
      message: `"${shown}" could be ${ambiguous.slice(0, NAMES_LISTED_MAX).join(' or ')}.`,
      remedy: 'Write the whole name, owner/name.',
      facts: { param: 'model', model: shown },
    });
  }
  const there = listable(models, self).map(({ offer }) => offer.aliases[0] ?? offer.model.id);
  const more = there.length > NAMES_LISTED_MAX ? `, and ${there.length - NAMES_LISTED_MAX} more` : '';
  const silent = withholding();
  const who = silent === 1 ? 'A node that takes' : `${silent} nodes that take`;
  const hidden = silent === 0 ? '' : ` ${who} no work of others now may have it: \`weft peers\` shows which.`;
  const list = there.slice(0, NAMES_LISTED_MAX).join(', ');
  return new WeftError({
    code: 'model_not_found',
    message: `There is no model "${shown}" in this mesh. It has ${list === '' ? 'none at the moment' : list + more}.${hidden}`,
    facts: { param: 'model', model: shown },
  });
}
