// From the name that a client writes to a model of the mesh. Called by the coordinator for every request.
import type { ModelTask } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { AvailableModel } from '../core/dispatcher.ts';
import { NAME_SHOWN_MAX, NAMES_LISTED_MAX } from './limits.ts';

/** What to do with a model of each task, for whoever asked the wrong endpoint. */
const USE: Readonly<Record<ModelTask, string>> = {
  'text-generation': 'answers chats: use /v1/chat/completions, or `weft run`',
  'feature-extraction': 'makes embeddings: use /v1/embeddings, or `weft embed`',
  'text-ranking': 'ranks texts: use /v1/rerank',
  'automatic-speech-recognition': 'writes down speech: use /v1/audio/transcriptions',
  tensor: 'takes tensors, not text',
};

/**
 * The model of this name: a hub id (`owner/name`), a short name, or the last part of a hub id where only one ends so.
 * Of several with the same id but other bytes, one that can run now, here before elsewhere, on many nodes before few.
 * @param task what it must be for; undefined = anything
 * @throws WeftError `model_not_found`, which lists what there is; `bad_request` for a model of another task;
 *   `no_capable_node` when every node that offers it is away
 */
export function findModel(
  models: readonly AvailableModel[],
  name: string,
  task: ModelTask | undefined,
  self: NodeId,
): AvailableModel {
  const named = matching(models, name);
  const ids = new Set(named.map((model) => model.offer.model.id));
  if (ids.size !== 1) throw notFound(models, name, self, [...ids]);
  const ofTask = named.filter((model) => task === undefined || model.offer.task === task);
  const [best] = ofTask.length === 0 ? named : ofTask.toSorted((a, b) => preference(b, self) - preference(a, self));
  if (best === undefined) throw notFound(models, name, self);
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

function preference(model: AvailableModel, self: NodeId): number {
  return (canRun(model) ? 1e9 : 0) + (model.nodes.includes(self) ? 1e6 : 0) + model.nodes.length;
}

function notFound(
  models: readonly AvailableModel[],
  name: string,
  self: NodeId,
  ambiguous: readonly string[] = [],
): WeftError {
  const shown = name.length > NAME_SHOWN_MAX ? `${name.slice(0, NAME_SHOWN_MAX)}…` : name;
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
  const list = there.slice(0, NAMES_LISTED_MAX).join(', ');
  return new WeftError({
    code: 'model_not_found',
    message: `There is no model "${shown}" in this mesh. It has ${list === '' ? 'none at the moment' : list + more}.`,
    facts: { param: 'model', model: shown },
  });
}
