// Every model that a node of the mesh has files of, from the adverts of all nodes. Pure.
import type { Advert } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { MeshModel } from '../core/library.ts';

/** What a node says of its models. */
export type Shelf = Pick<Advert, 'node' | 'name' | 'offers' | 'held'>;

/**
 * The models of these nodes, by id, then by how many nodes have them whole.
 * @param self the node that asks; it comes first among a model's nodes
 */
export function meshModels(shelves: readonly Shelf[], self: NodeId): readonly MeshModel[] {
  const models = new Map<string, { id: string; sizeBytes: number; nodes: Map<NodeId, MeshModel['nodes'][number]> }>();
  for (const { node, name, offers, held = [] } of shelves) {
    const has = (
      model: { readonly id: string; readonly digest: string },
      sizeBytes: number,
      heldBytes: number,
      state: string | undefined,
    ): void => {
      const entry = models.get(model.digest) ?? { id: model.id, sizeBytes, nodes: new Map() };
      models.set(model.digest, entry);
      // An offer comes first, and says more than that the files are held.
      if (!entry.nodes.has(node)) {
        entry.nodes.set(node, { node, name, self: node === self, heldBytes: Math.min(heldBytes, sizeBytes), state });
      }
    };
    for (const { model, sizeBytes, state } of offers) has(model, sizeBytes, sizeBytes, state);
    for (const { model, sizeBytes, heldBytes } of held) has(model, sizeBytes, heldBytes, undefined);
  }
  const whole = ({ sizeBytes, nodes }: MeshModel): number => nodes.filter((one) => one.heldBytes >= sizeBytes).length;
  return [...models]
    .map(([digest, { id, sizeBytes, nodes }]) => ({
      id,
      digest,
      sizeBytes,
      nodes: [...nodes.values()].sort(
        (a, b) => Number(b.self) - Number(a.self) || b.heldBytes - a.heldBytes || compare(a.name, b.name),
      ),
    }))
    .sort((a, b) => compare(a.id, b.id) || whole(b) - whole(a) || compare(a.digest, b.digest));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
