// Tables of cuts of models that this node doesn't have, from peers that do. Used by EngineCutTables.
import type { CutTable } from '../../protocol/cut-table.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { TableWish } from '../core/cut-tables.ts';
import type { Log } from '../core/log.ts';
import type { Mesh } from '../core/mesh.ts';
import { parseTable } from '../engine/cutting/cut-store.ts';
import { shapesOf } from '../engine/cutting/finalists.ts';

export interface PeerCutTablesComponents {
  readonly log: Log;
  readonly mesh: Pick<Mesh, 'peers' | 'call'>;
}

/** Peers that are asked for one table: the next one is asked only where the last couldn't say. */
const ASKED_MAX = 3;

export class PeerCutTables {
  readonly #components: PeerCutTablesComponents;

  constructor(components: PeerCutTablesComponents) {
    this.#components = components;
  }

  /**
   * A table of a peer that runs the model, the one with the least to do first. No data goes out, only the inputs' shapes.
   * @throws WeftError `model_not_found` where no connected peer runs it; why the last one that was asked has none
   */
  async ask(model: ModelRef, wish: TableWish, signal: AbortSignal): Promise<CutTable> {
    const { log } = this.#components;
    let failure = new WeftError({
      code: 'model_not_found',
      message: `No connected node that runs ${model.id} can say where it can be cut.`,
      remedy: 'Pull the model to this node, or start a node that has it.',
    });
    for (const node of this.#holders(model)) {
      try {
        return await this.#askOne(node, model, wish, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure = toWeftError(error);
        // Another node has the same graph and gets the same shapes.
        if (!failure.elsewhere) throw failure;
        log.debug({ node, model: model.id, error: failure }, 'a peer gave no table of cuts');
      }
    }
    throw failure;
  }

  #holders({ digest }: ModelRef): NodeId[] {
    return this.#components.mesh
      .peers()
      .filter(
        ({ advert, state }) => state === 'connected' && advert.offers.some(({ model }) => model.digest === digest),
      )
      .sort((a, b) => a.load.queuedMs - b.load.queuedMs)
      .slice(0, ASKED_MAX)
      .map(({ advert }) => advert.node);
  }

  async #askOne(
    node: NodeId,
    model: ModelRef,
    { inputs = [], raw = [] }: TableWish,
    signal: AbortSignal,
  ): Promise<CutTable> {
    const shapes = inputs.map(({ name, type, dims }) => ({ name, type, dims }));
    const { tableJson } = await this.#components.mesh.call(
      node,
      PEER_METHODS.cutTable,
      { model, inputs: shapes, raw },
      { signal, requestId: '' },
    );
    const table = parseTable(tableJson);
    checkTable(table, { digest: model.digest, shapes: inputs.length > 0 ? shapesOf(inputs) : undefined });
    return { ...table, model, node };
  }
}

/**
 * What a schema can't see: that it is of this model and these inputs, and that segments and tensors fit together.
 * @throws WeftError `frame_invalid`
 */
export function checkTable(
  { model, shapes, segments, shared, tensors }: CutTable,
  asked: { readonly digest: string; readonly shapes: string | undefined },
): void {
  const count = segments.length;
  const names = new Set(tensors.map(({ name }) => name));
  const isChain = tensors.every(
    ({ from, to }) => from < count && to.every((user, at) => user > from && user < count && user > (to[at - 1] ?? -1)),
  );
  const isShared = shared.every(({ segments: users }) => users.every((user) => user < count));
  const isOfIt = model.digest === asked.digest && (asked.shapes === undefined || shapes === asked.shapes);
  if (isOfIt && isChain && isShared && names.size === tensors.length) return;
  throw new WeftError({
    code: 'frame_invalid',
    message: 'The peer answered with a table of cuts that is none of this model.',
  });
}
