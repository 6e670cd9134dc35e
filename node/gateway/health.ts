// GET /healthz and GET /readyz: for load balancers and containers. No key, and nothing in them worth one.
import type { FastifyInstance } from 'fastify';

/** Paths that are answered without a key. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** Registers the endpoints. Ready means that the API answers, whatever models or peers there are. */
export function registerHealth(server: FastifyInstance): void {
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', () => ({ status: 'ready' }));
}
