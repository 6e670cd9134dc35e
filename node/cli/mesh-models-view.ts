// What `weft list --mesh` shows: every model of the mesh as files, and how much of each lies where. Pure.
import type { MeshModelsAnswer } from '../../protocol/api/control.ts';
import { type Column, formatBytes, table } from './format.ts';

type MeshModel = MeshModelsAnswer['models'][number];

/** Hex digits of a digest that tell forms of a model apart. */
const DIGEST_DIGITS = 8;

/** One row a model; forms of one id by the beginning of their digests. */
export function meshTable(models: readonly MeshModel[]): string {
  const perId = Map.groupBy(models, ({ id }) => id);
  const hasForms = [...perId.values()].some(({ length }) => length > 1);
  return table(hasForms ? [ID, DIGEST, SIZE, NODES] : [ID, SIZE, NODES], models);
}

const ID: Column<MeshModel> = { title: 'ID', value: ({ id }) => id };
const DIGEST: Column<MeshModel> = {
  title: 'DIGEST',
  value: ({ digest }) => digest.slice(digest.indexOf(':') + 1).slice(0, DIGEST_DIGITS),
};
const SIZE: Column<MeshModel> = {
  title: 'SIZE',
  value: ({ sizeBytes }) => formatBytes(sizeBytes),
  align: 'right',
};
const NODES: Column<MeshModel> = {
  title: 'NODES',
  value: (model) => model.nodes.map((node) => describeHolder(node, model.sizeBytes)).join(', ') || '-',
};

/** `laptop (here, loaded) 100 %`, `nas 40 %` */
function describeHolder({ name, self, state, heldBytes }: MeshModel['nodes'][number], sizeBytes: number): string {
  const notes = [...(self ? ['here'] : []), ...(state === undefined || state === 'disk' ? [] : [state])];
  return `${name}${notes.length === 0 ? '' : ` (${notes.join(', ')})`} ${share(heldBytes, sizeBytes)}`;
}

/** In whole percent; 100 only for all of it, 0 only for nothing. */
function share(heldBytes: number, sizeBytes: number): string {
  if (heldBytes >= sizeBytes) return '100 %';
  const percent = Math.floor((100 * heldBytes) / sizeBytes);
  return percent < 1 && heldBytes > 0 ? '<1 %' : `${Math.max(0, percent)} %`;
}
