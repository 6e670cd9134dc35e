// The pieces of one request for encoding, a few at a time, and how far it is. For embeddings and for reranking.
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import type { RequestOptions } from '../core/coordinator.ts';
import type { Dispatcher, Placement } from '../core/dispatcher.ts';
import type { RequestTrace } from '../core/trace.ts';
import { ENCODES_IN_FLIGHT_MAX } from './limits.ts';
import { placedOptions } from './placed-options.ts';
import { together } from './together.ts';

/**
 * Encodes all pieces, and tells the request's trace after each, and while one is spread over several nodes.
 * @returns results in the order of the pieces
 * @throws WeftError the first failure
 */
export function encodePieces(
  dispatcher: Pick<Dispatcher, 'encode'>,
  pieces: readonly EncodeRequest[],
  options: RequestOptions,
): Promise<readonly (EncodeResult & Placement)[]> {
  const tally = new Tally(pieces, options.trace);
  return together(pieces, ENCODES_IN_FLIGHT_MAX, options.signal, async (piece, index, signal) => {
    // An id of its own for each part: an engine that loses two at once shall not take them for one that failed twice.
    const requestId = pieces.length === 1 ? options.requestId : `${options.requestId}.${index}`;
    const onProgress = (done: number, _total: number, byNode?: ReadonlyMap<NodeId, number>): void =>
      tally.reached(index, { done, byNode });
    const result = await dispatcher.encode(piece, placedOptions(options, { requestId, signal, onProgress }));
    tally.ended(index, result.nodes);
    return result;
  });
}

/** What is done of one piece. */
interface PieceProgress {
  readonly done: number;
  readonly byNode: ReadonlyMap<NodeId, number> | undefined;
}

/** Puts together how far the pieces are. */
class Tally {
  readonly #rows: readonly number[];
  readonly #pieces: PieceProgress[];
  readonly #trace: RequestTrace | undefined;

  constructor(pieces: readonly EncodeRequest[], trace: RequestTrace | undefined) {
    this.#rows = pieces.map(({ lengths }) => lengths.length);
    this.#pieces = pieces.map(() => ({ done: 0, byNode: new Map() }));
    this.#trace = trace;
  }

  reached(index: number, piece: PieceProgress): void {
    this.#pieces[index] = piece;
    this.#tell();
  }

  ended(index: number, nodes: readonly NodeId[]): void {
    const done = this.#rows[index] as number;
    // It was told when its last text was done.
    if (this.#pieces[index]?.done === done) return;
    const [node] = nodes;
    this.#pieces[index] = {
      done,
      byNode: node !== undefined && nodes.length === 1 ? new Map([[node, done]]) : undefined,
    };
    // Of one piece on one node nobody has to be told but by its answer.
    if (this.#pieces.length > 1) this.#tell();
  }

  #tell(): void {
    const done = this.#pieces.reduce((sum, piece) => sum + piece.done, 0);
    const total = this.#rows.reduce((sum, rows) => sum + rows, 0);
    const byNode = this.#byNode();
    this.#trace?.progress({ done, total, ...(byNode !== undefined && { byNode }) });
  }

  #byNode(): ReadonlyMap<NodeId, number> | undefined {
    const sums = new Map<NodeId, number>();
    for (const { byNode } of this.#pieces) {
      if (byNode === undefined) return undefined;
      for (const [node, done] of byNode) sums.set(node, (sums.get(node) ?? 0) + done);
    }
    return sums;
  }
}
