// The way from the main process to the node's API, with the key added. For the pages' requests, which stream both ways, and
// for the few of the main process itself. The key is read when it is needed, and again when the node refuses it: keys change.
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { WeftError } from '../../protocol/errors.ts';
import { ANSWER_BYTES_MAX, ANSWER_MS_MAX, LOOK_TIMEOUT_MS } from './limits.ts';

export interface NodeLinkComponents {
  /** True while a node holds the data folder: to nobody else is the key ever sent. */
  readonly isHeld: () => boolean;
  readonly readKey: () => Promise<string | undefined>;
  /** Base URL of the node's API; undefined while none serves. */
  readonly api: () => string | undefined;
  /** The key of a node that was given it by its environment, which this app shares. */
  readonly givenKey: string | undefined;
}

export interface NodeRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal;
}

export interface NodeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Unbuffered; destroying it ends the request. */
  readonly body: IncomingMessage;
}

export class NodeLink {
  readonly #components: NodeLinkComponents;
  #key: string | undefined;

  constructor(components: NodeLinkComponents) {
    this.#components = components;
    this.#key = components.givenKey;
  }

  /**
   * Sends a request. Its body goes out only once the node has accepted the headers, so that a refused key costs nothing and
   * can be replaced.
   * @throws WeftError `daemon_not_running`, `cancelled`
   */
  async send(init: NodeRequest): Promise<NodeAnswer> {
    this.#key ??= await this.#components.readKey();
    const first = await this.#sendOnce(init, this.#key);
    if (first.status !== 401) return first;
    const key = await this.#components.readKey();
    if (key === undefined || key === this.#key) return first;
    this.#key = key;
    first.body.destroy();
    return this.#sendOnce(init, key);
  }

  /**
   * A small question of the main process itself.
   * @returns the answer's JSON
   * @throws WeftError `daemon_not_running`, or `unsupported` for an answer other than 200
   */
  async ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const answer = await this.send({
      method,
      path,
      headers: { accept: 'application/json', ...(bytes === undefined ? {} : { 'content-type': 'application/json' }) },
      body: bytes === undefined ? undefined : ReadableStream.from([bytes]),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const json = await boundedText(answer.body);
    if (answer.status === 200) return JSON.parse(json);
    throw new WeftError({
      code: 'unsupported',
      message: `The node answered ${answer.status} to ${method} ${path}.`,
      remedy: 'Update the node if it is older than the app.',
      facts: { status: String(answer.status) },
    });
  }

  async #sendOnce(init: NodeRequest, key: string | undefined): Promise<NodeAnswer> {
    const { isHeld, api } = this.#components;
    const base = api();
    if (base === undefined || !isHeld()) throw notRunning();
    const { method, path, headers, body, signal } = init;
    if (signal.aborted) throw cancelled();
    // A connection for each: on loopback it costs a fraction of a millisecond, and none outlives its node.
    const outgoing = request(base + path, {
      method,
      agent: false,
      headers: {
        ...headers,
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { expect: '100-continue', 'transfer-encoding': 'chunked' }),
      },
    });
    // The cause goes to whoever waits for the answer; after that, to the reader of its body.
    outgoing.on('error', () => undefined);
    const abort = (): void => void outgoing.destroy(cancelled());
    signal.addEventListener('abort', abort, { once: true });
    outgoing.once('close', () => signal.removeEventListener('abort', abort));
    try {
      if (body === undefined) outgoing.end();
      else {
        outgoing.flushHeaders();
        outgoing.once('continue', () => void sendBody(body, outgoing));
      }
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      // An answer that came before the whole body was sent ends the request with it.
      answer.once('close', () => void outgoing.destroy());
      return { status: answer.statusCode ?? 502, headers: answer.headers, body: answer };
    } catch (error) {
      outgoing.destroy();
      throw signal.aborted ? cancelled() : notRunning(error);
    }
  }
}

/** @throws WeftError `daemon_not_running` for an answer that breaks off, or has no end */
async function boundedText(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) throw new Error(`The answer has more than ${ANSWER_BYTES_MAX} bytes.`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw notRunning(error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Never rejects: what ends the request is told where its answer is awaited. */
async function sendBody(body: ReadableStream<Uint8Array>, outgoing: ReturnType<typeof request>): Promise<void> {
  const closed = new AbortController();
  outgoing.once('close', () => closed.abort());
  try {
    for await (const chunk of body) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(chunk)) await once(outgoing, 'drain', { signal: closed.signal });
    }
    outgoing.end();
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : undefined);
  }
}

/** True when a node answers at this address. It is asked without the key. Never rejects. */
export async function nodeAnswers(api: string, timeoutMs: number = LOOK_TIMEOUT_MS): Promise<boolean> {
  try {
    const response = await fetch(`${api}/readyz`, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' });
    const { status } = (await response.json()) as { readonly status?: unknown };
    return response.ok && status === 'ready';
  } catch {
    return false;
  }
}

function notRunning(cause?: unknown): WeftError {
  return new WeftError(
    {
      code: 'daemon_not_running',
      message: 'The node of this machine does not answer.',
      remedy: 'Wait a moment; if it stays so, start the node in the app.',
    },
    { cause },
  );
}

function cancelled(): WeftError {
  return new WeftError({ code: 'cancelled', message: 'The request was cancelled.' });
}
