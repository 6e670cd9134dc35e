// GET /api/v1/cuts, and what the dry run of a run says of the cut that was considered. Answers are CutsAnswer and
// ConsideredCut of protocol/api/control.
import { type ConsideredCut as ConsideredAnswer, CutsQuery } from '../../protocol/api/control.ts';
import { type CutTensor, givenBy, takenBy } from '../../protocol/cut-table.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { NodeControl } from '../core/control.ts';
import type { ConsideredCut } from '../core/dispatcher.ts';
import type { Endpoint } from './exchange.ts';
import { rounded } from './placement.ts';

/** The endpoint. */
export function cuts(control: Pick<NodeControl, 'cuts'>): Endpoint {
  return {
    method: 'GET',
    url: '/api/v1/cuts',
    handle(exchange) {
      const { model, again } = exchange.readQuery(CutsQuery);
      return control.cuts(model, { again: again === 'true', signal: exchange.signal });
    },
  };
}

/** @param self this node: what its parts take and give doesn't leave it */
export function consideredCut({ table, choice }: ConsideredCut, self: NodeId): ConsideredAnswer {
  const { chosen, nodes, parts, totalMs, lostBy, rejected, refused } = choice;
  const { segments, wholeMs, shapes, device, measuredAtMs, reason } = table;
  return {
    chosen,
    nodes: [...nodes],
    parts: parts.map(({ node, from, to, price }) => ({
      node,
      from,
      to,
      price,
      up: node === self ? [] : takenBy(table, from, to).map(crossing),
      down: node === self ? [] : givenBy(table, from, to).map(crossing),
    })),
    ...(Number.isFinite(totalMs) && { totalMs: rounded(totalMs) }),
    lostBy: lostBy
      .filter((plan) => Number.isFinite(plan.totalMs))
      .map((plan) => ({
        what: plan.what,
        nodes: [...plan.nodes],
        totalMs: rounded(plan.totalMs),
        byMs: rounded(plan.totalMs - totalMs),
      })),
    rejected: [...rejected],
    ...(refused !== undefined && { refused }),
    table: {
      segments: segments.length,
      wholeMs: rounded(wholeMs),
      shapes,
      device,
      measuredAtMs,
      ...(reason !== undefined && { reason }),
    },
  };
}

const crossing = ({ name, bytes }: CutTensor): { name: string; bytes: number } => ({ name, bytes });
