// The models that can chat, as a list to choose from: every form of a model is an entry of its own. Pure.
import type { ModelsAnswer } from '../../../../protocol/api/control/models.ts';
import { safeName, shortModel } from '../../text/format.ts';

type Nodes = ModelsAnswer['models'][number]['nodes'];

export interface ModelEntry {
  /** What the node is asked for. */
  readonly value: string;
  /** Safe to show. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly form: string | undefined;
  readonly sizeBytes: number;
  readonly nodes: Nodes;
  /** In memory somewhere: it answers at once. */
  readonly loaded: boolean;
}

/** What is in memory somewhere does not come first: the order is the node's own, so that the list stays as it is. */
export function chatModels(models: ModelsAnswer | undefined): readonly ModelEntry[] {
  return (models?.models ?? [])
    .filter(({ task }) => task === 'text-generation')
    .flatMap(({ id, aliases, precision, sizeBytes, nodes, forms }): ModelEntry[] => {
      const name = safeName(shortModel(id));
      if (forms === undefined || forms.length < 2) {
        return [{ value: id, name, aliases, form: precision, sizeBytes, nodes, loaded: isLoaded(nodes) }];
      }
      return forms.map((form, at) => ({
        value: at === 0 ? id : `${id}:${form.form}`,
        name,
        aliases: at === 0 ? [...aliases, `${id}:${form.form}`] : [],
        form: safeName(form.form),
        sizeBytes: form.sizeBytes,
        nodes: form.nodes,
        loaded: isLoaded(form.nodes),
      }));
    });
}

/** Whether a name that was asked for means this entry. */
export const isModel = ({ value, aliases }: ModelEntry, name: string): boolean =>
  value === name || aliases.includes(name);

const isLoaded = (nodes: Nodes): boolean => nodes.some(({ state }) => state === 'loaded');
