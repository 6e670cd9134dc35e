// GET /v1/models and GET /v1/models/{id}: what the mesh can run now.
import type { Model, ModelList } from '../../protocol/api/openai.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Coordinator, ModelListing } from '../core/coordinator.ts';
import type { Endpoint } from './exchange.ts';

export interface ModelsComponents {
  readonly coordinator: Coordinator;
  /** Seconds since 1970 that stand for a model's age, which nobody knows: the node's own start. */
  readonly created: number;
}

/** The endpoints. */
export function models({ coordinator, created }: ModelsComponents): readonly Endpoint[] {
  const listings = (): readonly ModelListing[] => coordinator.models().flatMap(withForms);
  const toModel = (listing: ModelListing): Model => ({
    id: listing.id,
    object: 'model',
    created,
    owned_by: listing.id.split('/', 1)[0] ?? '',
    weft: {
      task: listing.task,
      aliases: [...listing.aliases],
      context_length: listing.contextLength,
      dimensions: listing.dimensions,
      size_bytes: listing.sizeBytes,
      nodes: listing.nodes.map(({ node, name, state, self }) => ({ node, name, state, self })),
    },
  });
  return [
    {
      method: 'GET',
      url: '/v1/models',
      handle: (): ModelList => ({ object: 'list', data: listings().map(toModel) }),
    },
    {
      method: 'GET',
      // Ids have a slash in them, which clients escape or don't.
      url: '/v1/models/*',
      handle: ({ wildcard: id }): Model => {
        const listing = listings().find((model) => model.id === id || model.aliases.includes(id));
        if (listing !== undefined) return toModel(listing);
        throw new WeftError({
          code: 'model_not_found',
          message: `No node of this mesh offers "${id}".`,
          facts: { param: 'model' },
        });
      },
    },
  ];
}

/** A model, and each of its forms under the name that asks for it. */
function withForms(listing: ModelListing): readonly ModelListing[] {
  const forms = (listing.forms ?? []).map(({ form, sizeBytes, nodes }) => ({
    ...listing,
    id: `${listing.id}:${form}`,
    aliases: listing.aliases.map((alias) => `${alias}:${form}`),
    sizeBytes,
    nodes,
  }));
  return [listing, ...forms];
}
