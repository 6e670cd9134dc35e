// GET /api/v1/history: the pulses of the last hour, for plots that begin with something.
import { HISTORY_MINUTES, type HistoryAnswer, HistoryQuery } from '../../protocol/api/control.ts';
import type { Pulses } from '../core/pulse.ts';
import type { Endpoint } from './exchange.ts';

/** The endpoint. */
export function history({ pulses }: { readonly pulses: Pulses }): Endpoint {
  return {
    method: 'GET',
    url: '/api/v1/history',
    handle(exchange) {
      const { minutes = HISTORY_MINUTES.usual } = exchange.readQuery(HistoryQuery);
      const { stepMs } = pulses;
      const answer = { stepMs, pulses: pulses.history().slice(-Math.ceil((minutes * 60_000) / stepMs)) };
      return answer satisfies { readonly [Key in keyof HistoryAnswer]: unknown };
    },
  };
}
