// GET /api/openapi.json: the document that describes the HTTP surface. Made when it is first asked for.
import { openApiDocument } from '../../protocol/api/openapi.ts';
import type { Endpoint } from './exchange.ts';

/** The endpoint. */
export function openApi({ version }: { readonly version: () => string }): Endpoint {
  let text: string | undefined;
  return {
    method: 'GET',
    url: '/api/openapi.json',
    handle({ reply }) {
      text ??= JSON.stringify(openApiDocument({ version: version() }));
      reply.header('content-type', 'application/json; charset=utf-8');
      return text;
    },
  };
}
