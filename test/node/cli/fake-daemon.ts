// A daemon's HTTP API with answers that a test sets, and a context that records what a command prints.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { CommandContext, Input, Output } from '../../../node/cli/context.ts';
import { writeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { type Environment, openHome } from '../../../node/config/home.ts';

export const KEY = 'weft-test-key';

type Handler = (body: unknown, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

export interface FakeDaemon extends AsyncDisposable {
  readonly url: string;
  /** `METHOD /path` of every request that came, in order. */
  readonly requests: readonly string[];
}

/**
 * Answers `METHOD /path`, with its query or without, by its handler, or by the value as JSON; anything else with 404;
 * without the key with 401.
 */
export async function fakeDaemon(routes: Readonly<Record<string, Handler | object>>): Promise<FakeDaemon> {
  const requests: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const name = `${request.method} ${request.url}`;
    requests.push(name);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    if (request.headers.authorization !== `Bearer ${KEY}`) {
      return refuse(response, 401, 'unauthorized', 'The key is wrong.');
    }
    const route = routes[name] ?? routes[name.replace(/\?.*$/, '')];
    if (route === undefined) return refuse(response, 404, 'not_found', `There is no ${name}.`);
    if (typeof route !== 'function') return sendJson(response, route);
    await (route as Handler)(text === '' ? undefined : JSON.parse(text), response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendJson(response: ServerResponse, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A data folder that a daemon at this address seems to hold, until it is released. */
export async function homeOf(
  url: string,
): Promise<{ readonly folder: string; release(): Promise<void> } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-cli-'));
  const home = await openHome({ folder });
  await writeFile(join(folder, 'api-key'), `${KEY}\n`);
  await moveTo(folder, url);
  return {
    folder,
    release: () => home.close(),
    async [Symbol.asyncDispose]() {
      await home.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Lets the daemon of a data folder seem to run at this address. */
export function moveTo(folder: string, url: string): Promise<void> {
  return writeDaemonRecord(folder, {
    pid: process.pid,
    api: url,
    node: 'n1',
    version: '0.0.0',
    startedAt: '2026-01-01T00:00:00.000Z',
  });
}

/** An error as the gateway answers it. */
export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ error: { message, weft_code: code, remedy: `Remedy of ${code}.`, request_id: 'req_1' } }));
}

/** Chunks of a chat answer as the gateway streams them: one per text, then finish, usage, [DONE]. */
export function sendChat(response: ServerResponse, texts: readonly string[], nodes: readonly string[] = ['n1']): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-weft-node': nodes[0] ?? '' });
  const send = (chunk: object) => response.write(`data: ${JSON.stringify({ model: 'org/model', ...chunk })}\n\n`);
  for (const content of texts) send({ choices: [{ index: 0, delta: { content }, finish_reason: null }], usage: null });
  send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null, weft: { nodes } });
  send({ choices: [], usage: { prompt_tokens: 7, completion_tokens: texts.length + 1 } });
  response.end('data: [DONE]\n\n');
}

/** The control API's event stream: what is sent, and an end of it. */
export interface SentEvents {
  send(type: string, data: unknown, id?: number): void;
  end(): void;
}

/** Begins an event stream as the gateway does. */
export function openEvents(response: ServerResponse): SentEvents {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  let last = 0;
  return {
    send(type, data, id = last + 1) {
      last = id;
      response.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ id: String(id), type, atMs: 0, data })}\n\n`);
    },
    end: () => void response.end(),
  };
}

export interface RecordedContext extends CommandContext {
  readonly stdin: PassThrough & { isTTY?: boolean };
  /** What was printed so far. */
  out(): string;
  err(): string;
  /** Resolves when stdout holds the text this many times. */
  printed(text: string, times?: number): Promise<void>;
  abort(): void;
}

/** A context whose streams are a test's; `tty` makes them terminals. */
export function recordedContext({
  tty = false,
  env = {},
}: {
  readonly tty?: boolean;
  readonly env?: Environment;
} = {}): RecordedContext {
  const controller = new AbortController();
  const stdin = Object.assign(new PassThrough(), tty ? { isTTY: true } : {});
  const out = new Recorder();
  const err = new Recorder();
  if (tty) Object.assign(out, { isTTY: true });
  return {
    stdin: stdin as PassThrough & Input,
    stdout: out as Output,
    stderr: err as Output,
    env,
    exit: () => undefined,
    startAnew: async () => undefined,
    signal: controller.signal,
    out: () => out.text,
    err: () => err.text,
    printed: (text, times = 1) => out.holds(text, times),
    abort: () => controller.abort(130),
  };
}

class Recorder extends Writable {
  text = '';
  #waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    for (const check of this.#waiting.splice(0)) check();
    done();
  }

  holds(text: string, times: number): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (this.text.split(text).length > times) resolve();
        else this.#waiting.push(check);
      };
      check();
    });
  }
}
