// The models of one node: what it offers, joined with what its runners hold. Pure.
import type { ModelsAnswer, PeersAnswer, PsAnswer, TransfersAnswer } from '../../../../protocol/api/control.ts';

export interface NodeModel {
  readonly id: string;
  readonly task: string;
  readonly state: string;
  readonly sizeBytes: number;
  /** Of memory; undefined where it has none, or where that isn't known. */
  readonly residentBytes: number | undefined;
  readonly pinned: boolean;
  /** Why it is set aside. */
  readonly reason: string | undefined;
}

type Offers = PeersAnswer['peers'][number]['offers'];

/** By the node's own answers. @param node undefined: the node that answered is the one behind the page */
export function installedModels(models: ModelsAnswer, ps: PsAnswer | undefined, node?: string): readonly NodeModel[] {
  return models.models.flatMap(({ id, task, sizeBytes, nodes }) => {
    const here = nodes.find((each) => (node === undefined ? each.self : each.node === node));
    if (here === undefined) return [];
    const held = ps?.models.find((model) => model.id === id && model.part === undefined);
    return [
      {
        id,
        task,
        state: held?.state ?? (here.state === 'loaded' && ps !== undefined ? 'available' : here.state),
        sizeBytes,
        residentBytes: held?.state === 'loaded' ? held.residentBytes : undefined,
        pinned: held?.pinned ?? false,
        reason: held?.reason,
      },
    ];
  });
}

/** By what a node tells all others. */
export const offeredModels = (offers: Offers): readonly NodeModel[] =>
  offers.map(({ model, task, state, sizeBytes }) => ({
    id: model.id,
    task,
    state,
    sizeBytes,
    residentBytes: undefined,
    pinned: false,
    reason: undefined,
  }));

type Transfer = TransfersAnswer['transfers'][number];

export const isUnderWay = ({ phase }: Transfer): boolean => !['done', 'failed', 'cancelled'].includes(phase);

/** 0 to 1; undefined while the size isn't known. */
export const fractionOf = ({ totalBytes, doneBytes }: Transfer): number | undefined =>
  totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : undefined;
