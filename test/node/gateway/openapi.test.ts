// GET /api/openapi.json, held against what the gateway answers.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { startGateway } from './support.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema?: object }> }>;
  readonly security?: readonly object[];
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

async function start() {
  const gateway = await startGateway();
  const answer = await gateway.call('/api/openapi.json');
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  return { ...gateway, document: (await answer.json()) as Document };
}

const operationsOf = ({ paths }: Document): [string, string, Operation][] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [method, path, operation]),
  );

describe('the OpenAPI document', () => {
  it('names every endpoint of the gateway, and no other', async () => {
    const { document, gateway } = await start();
    const written = operationsOf(document).map(([method, path]) => `${method} ${path.replace(/\{\w+\}/g, '*')}`);
    const answered = gateway.endpoints.map(({ method, url }) => `${method.toLowerCase()} ${url.replace(/:\w+/g, '*')}`);
    expect(written.sort()).toEqual([...answered, 'get /healthz', 'get /readyz'].sort());
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
  });

  it('refers to nothing that is not in it, and gives each operation a name of its own', async () => {
    const { document } = await start();
    const known = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target);
    expect(new Set(references)).toEqual(new Set([...known, '#/components/responses/Error']));
    const names = operationsOf(document).map(([, , { operationId }]) => operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]\w+$/);
  });

  it('has schemas that a validator takes, and that say what the gateway says', async () => {
    const { document, call } = await start();
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'weft');
    const validate = (name: string, value: unknown): boolean =>
      ajv.validate({ $ref: `weft#/components/schemas/${name}` }, value);
    for (const name of Object.keys(document.components.schemas)) {
      expect(() => ajv.compile({ $ref: `weft#/components/schemas/${name}` })).not.toThrow();
    }
    for (const [path, name] of [
      ['/api/v1/status', 'StatusAnswer'],
      ['/api/v1/peers', 'PeersAnswer'],
      ['/api/v1/models', 'ModelsAnswer'],
      ['/v1/models', 'ModelList'],
      ['/api/v1/nowhere', 'ErrorBody'],
    ] as const) {
      const body = (await (await call(path)).json()) as Record<string, unknown>;
      expect([path, validate(name, body), ajv.errors]).toEqual([path, true, null]);
      // A newer node may say more.
      expect(validate(name, { ...body, more: 1 })).toBe(true);
    }
    expect(
      validate('InferRequest', { model: 'a', inputs: [{ name: 'x', dtype: 'int64', shape: [1], data: ['1'] }] }),
    ).toBe(true);
    expect(
      validate('InferRequest', { model: 'a', inputs: [{ name: 'x', dtype: 'int65', shape: [1], data: [1] }] }),
    ).toBe(false);
    expect(validate('InferRequest', { model: 'a', inputs: [], more: 1 })).toBe(false);
    expect(validate('ChatCompletionRequest', { model: 'a', messages: [{ role: 'user', content: 'x' }] })).toBe(true);
    expect(validate('ChatCompletionRequest', { messages: [] })).toBe(false);
  });

  it('says what needs no key, and where parameters stand', async () => {
    const { document } = await start();
    const open = operationsOf(document).flatMap(([, path, { security }]) => (security?.length === 0 ? [path] : []));
    expect(open).toEqual(['/api/v1/session', '/healthz', '/readyz']);
    const parameters = (path: string): unknown[] =>
      (document.paths[path]?.get?.parameters ?? []).map(({ name, in: place }) => [name, place]);
    expect(parameters('/api/v1/requests/{id}')).toEqual([['id', 'path']]);
    expect(parameters('/api/v1/logs')).toEqual([
      ['level', 'query'],
      ['limit', 'query'],
    ]);
    expect(document.paths['/api/v1/events']?.get?.responses[200]?.content).toHaveProperty(['text/event-stream']);
  });
});
