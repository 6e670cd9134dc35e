// The inputs of a model's graph: from this node where it is installed, or from its cut table, which another node may have to measure.
import type { CutsAnswer } from '../../../../protocol/api/control/cuts.ts';
import type { DataTypeName } from '../../../../protocol/tensor.ts';
import { useAnswer, useModel } from '../../data/queries.ts';
import type { Port } from './inputs.ts';

export interface Ports {
  readonly ports: readonly Port[] | undefined;
  /** It is not on this node: they are read when that is asked for. */
  readonly elsewhere: boolean;
  readonly busy: boolean;
  readonly error: unknown;
  readonly readAgain: () => void;
}

/**
 * @param model hub id; '' while none is chosen
 * @param readElsewhere that was asked for
 */
export function usePorts(model: string, readElsewhere: boolean): Ports {
  const own = useModel(model);
  const cuts = useAnswer<CutsAnswer>('cuts', `cuts?model=${encodeURIComponent(model)}`, {
    key: [model],
    enabled: readElsewhere && model !== '',
  });
  const elsewhere = own.error?.status === 404;
  const ports = own.data?.inputs ?? cuts.data?.tensors.filter(({ from }) => from === -1);
  return {
    ports: ports?.map(({ name, type, dims }) => ({ name, type: type as DataTypeName, dims: dims ?? [] })),
    elsewhere,
    busy: cuts.isFetching,
    error: elsewhere ? (cuts.error ?? undefined) : (own.error ?? undefined),
    readAgain: () => void cuts.refetch(),
  };
}
