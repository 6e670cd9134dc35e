// A node that only pretends: an HTTP server with the built pages and with answers and events that a test lays down, for states that no
// real mesh makes quickly (fifty nodes, an older version, one that fails). What no answer is laid down for is 404, as an older node
// says it. Sign-in is by the one token or the one key, as at a real node.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PAGE_HEADERS, PAGE_TYPES } from '../../protocol/pages.ts';
import { RECORDED, type RecordedAnswers } from './recorded-answers.ts';

const PAGES = fileURLToPath(new URL('../../dist/ui/', import.meta.url));

const CSRF = 'recorded-csrf';
const COOKIE = 'weft_session_recorded=1';

const OWN_EVENTS = '/api/v1/events';
const EVENTS_OF_OTHERS = /^\/api\/v1\/nodes\/[^/]+\/events$/;
const eventsOf = (node: string): string => `/api/v1/nodes/${encodeURIComponent(node)}/events`;

/** Answers a request: JSON by returning it, or all by itself by writing to the response and returning undefined. */
export type RecordedHandler = (request: {
  readonly url: URL;
  readonly body: unknown;
  readonly response: ServerResponse;
}) => unknown;

export interface RecordedInit {
  /** Over {@link RECORDED}: by `GET /api/v1/status`, or by the path alone for any method. A function is asked each time. */
  readonly answers?: Readonly<Record<string, unknown | RecordedHandler>>;
  /** Folder of the built pages. @default dist/ui */
  readonly pages?: string;
  /** Every page is signed in. @default true */
  readonly signedIn?: boolean;
  /** Kinds of events that it knows; others are refused, as an older node does. @default any */
  readonly eventTypes?: readonly string[];
}

export interface RecordedNode {
  readonly url: string;
  readonly key: string;
  /** Signs in once. */
  readonly token: string;
  /** Sends an event to all who watch. @param node another node, that is watched through this one */
  emit(type: string, data: unknown, node?: string): void;
  /** Lays down another answer. */
  answer(path: string, answer: unknown | RecordedHandler): void;
  /** Breaks the event streams that are open. */
  breakStreams(): void;
  /** Answers nothing at all until it is called with false. */
  setDown(down: boolean): void;
  /** Pages watch the events. */
  readonly watchers: number;
  /** They watch those of another node. */
  watchersOf(node: string): number;
  /** Requests that came, as `GET /api/v1/status`, with their bodies. */
  readonly requests: readonly { readonly line: string; readonly body: unknown }[];
  /** Done before it ends: pages are closed while their node is there. */
  readonly beforeEnd: Set<() => Promise<void>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A failure as the node tells one, for {@link RecordedInit.answers}. */
export class RecordedFailure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;

  constructor(status: number, code: string, message: string, remedy: string) {
    this.status = status;
    this.code = code;
    this.message = message;
    this.remedy = remedy;
  }
}

export async function startRecordedNode(init: RecordedInit = {}): Promise<RecordedNode> {
  const answers: Record<string, unknown> = { ...(RECORDED satisfies RecordedAnswers), ...init.answers };
  /** By the path of the stream. */
  const watching = new Map<ServerResponse, string>();
  const watchersOf = (path: string): readonly ServerResponse[] =>
    [...watching].flatMap(([watcher, watched]) => (watched === path ? [watcher] : []));
  const beforeEnd = new Set<() => Promise<void>>();
  const requests: { line: string; body: unknown }[] = [];
  let down = false;
  let nextId = 1;
  let token: string | undefined = 'recorded-token';
  const key = 'recorded-key';

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (down) {
      request.socket.destroy();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://node');
    const path = url.pathname;
    if (path === '/' || path.startsWith('/assets/')) return page(init.pages ?? PAGES, path, response);
    const line = `${request.method} ${path}`;
    const body = await readBody(request);
    requests.push({ line, body });
    const signedIn = init.signedIn !== false || request.headers.cookie?.includes(COOKIE) === true;
    if (path === '/api/v1/session' && request.method === 'POST') {
      const given = body as { token?: string; key?: string };
      if (given.key !== key && (given.token === undefined || given.token !== token)) {
        return fail(
          response,
          new RecordedFailure(
            401,
            'unauthorized',
            'This link was used, or it has expired.',
            'Run `weft dashboard` for another one.',
          ),
        );
      }
      if (given.token !== undefined) token = undefined;
      return json(
        response,
        { via: 'cookie', csrf: CSRF, expiresAtMs: Date.now() + 86_400_000 },
        { 'set-cookie': `${COOKIE}; HttpOnly; SameSite=Strict; Path=/` },
      );
    }
    if (!signedIn) return fail(response, new RecordedFailure(401, 'unauthorized', 'An API key is needed.', 'Send it.'));
    if (path === '/api/v1/session' && request.method === 'GET' && !('/api/v1/session' in answers)) {
      return json(response, { via: 'cookie', csrf: CSRF, expiresAtMs: Date.now() + 86_400_000 });
    }
    if (request.method !== 'GET' && request.headers['x-weft-csrf'] !== CSRF) {
      return fail(
        response,
        new RecordedFailure(403, 'forbidden', 'The CSRF token is missing.', 'Load the page again.'),
      );
    }
    if ((path === OWN_EVENTS || EVENTS_OF_OTHERS.test(path)) && !(path in answers)) return watch(url, response);
    const recorded = answers[line] ?? answers[path];
    if (recorded === undefined) {
      return fail(
        response,
        new RecordedFailure(404, 'not_found', `There is no ${path}.`, 'See docs/api.md for what there is.'),
      );
    }
    const value =
      typeof recorded === 'function' ? await (recorded as RecordedHandler)({ url, body, response }) : recorded;
    if (value instanceof RecordedFailure) return fail(response, value);
    if (value !== undefined) json(response, value);
  };

  const watch = (url: URL, response: ServerResponse): void => {
    const wanted = url.searchParams.get('types')?.split(',');
    if (
      wanted !== undefined &&
      init.eventTypes !== undefined &&
      !wanted.every((type) => init.eventTypes?.includes(type))
    ) {
      fail(response, new RecordedFailure(400, 'bad_request', 'types must be a list of kinds.', 'Ask for others.'));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`retry: 1000\nid: recorded-${nextId}\n\n`);
    watching.set(response, url.pathname);
    response.once('close', () => watching.delete(response));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    key,
    token: token ?? '',
    emit(type, data, of) {
      const id = `recorded-${nextId++}`;
      const event = JSON.stringify({ id, type, atMs: Date.now(), data });
      const path = of === undefined ? OWN_EVENTS : eventsOf(of);
      for (const watcher of watchersOf(path)) watcher.write(`id: ${id}\nevent: ${type}\ndata: ${event}\n\n`);
    },
    answer(path, value) {
      answers[path] = value;
    },
    breakStreams() {
      for (const watcher of watching.keys()) watcher.destroy();
    },
    setDown(next) {
      down = next;
      if (next) server.closeAllConnections();
    },
    get watchers() {
      return watchersOf(OWN_EVENTS).length;
    },
    watchersOf: (of) => watchersOf(eventsOf(of)).length,
    requests,
    beforeEnd,
    async [Symbol.asyncDispose]() {
      for (const end of beforeEnd) await end();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function page(folder: string, path: string, response: ServerResponse): Promise<void> {
  const file = path === '/' ? 'index.html' : path.slice(1);
  try {
    const content = await readFile(join(folder, file));
    response.writeHead(200, {
      ...PAGE_HEADERS,
      'content-type': PAGE_TYPES[extname(file)] ?? 'application/octet-stream',
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function json(response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { ...headers, 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value));
}

function fail(response: ServerResponse, { status, code, message, remedy }: RecordedFailure): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'req_recorded' });
  response.end(
    JSON.stringify({
      error: { message, type: 'error', param: null, code, weft_code: code, remedy, request_id: 'req_recorded' },
    }),
  );
}
