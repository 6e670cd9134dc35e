// Tells members where the graphs that this node runs can be cut: the other end of PeerCutTables. The composition root calls it
// before the mesh starts.
import { WeftError } from '../../protocol/errors.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { CutTables } from '../core/cut-tables.ts';
import type { SampleInput } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Policy } from '../core/policy.ts';
import { sharesNothing } from './serve-engine.ts';

export interface ServeCutsComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly policy: Policy;
  readonly cuts: Pick<CutTables, 'measure'>;
  /** Whether this node runs the model of this digest: of others nobody here is asked in turn. */
  readonly isHere: (digest: string) => boolean;
  /** False while the owner wants nothing done here for others: a table may have to be measured first. @default always */
  readonly shares?: () => boolean;
}

/** Answers `cut-table`, for callers whom the policy allows to run the model. */
export function serveCuts({ mesh, policy, cuts, isHere, shares }: ServeCutsComponents): void {
  mesh.handle(PEER_METHODS.cutTable, async ({ model, inputs, raw }, { caller, signal }) => {
    policy.authorize(caller, { method: PEER_METHODS.run.name, model: model.id });
    if (shares?.() === false) throw sharesNothing();
    if (!isHere(model.digest)) {
      throw new WeftError({ code: 'model_not_found', message: 'This node does not run the model that was asked for.' });
    }
    const shapes = inputs.map(({ name, type, dims = [] }): SampleInput => {
      if (dims.every((dim) => typeof dim === 'number')) return { name, type, dims };
      throw new WeftError({ code: 'bad_request', message: `The shape of "${name}" is not told in numbers.` });
    });
    const table = await cuts.measure(model, {
      signal,
      urgent: true,
      ...(shapes.length > 0 && { inputs: shapes }),
      ...(raw.length > 0 && { raw }),
    });
    return { tableJson: JSON.stringify(table) };
  });
}
