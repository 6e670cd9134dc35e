// GET /metrics: Prometheus text. Asks for the key like everything else, since it tells who uses what, and how much.
import type { Telemetry } from '../core/telemetry.ts';
import type { Endpoint } from './exchange.ts';

/** The endpoint. */
export function metrics({ telemetry }: { readonly telemetry: Telemetry }): Endpoint {
  return {
    method: 'GET',
    url: '/metrics',
    async handle({ reply }) {
      const text = await telemetry.text();
      reply.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
      return text;
    },
  };
}
