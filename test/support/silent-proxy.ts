// A TCP proxy in user space whose link can be made to fail: it forwards, goes silent (keeps and accepts connections, but
// passes nothing on either way, not even their end), resets, or delays. Used by the mesh's tests and the end-to-end kills.
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/** Bytes that wait in one direction before its source is paused. */
const QUEUE_BYTES_MAX = 4 << 20;

export interface SilentProxyInit {
  readonly target: { readonly host: string; readonly port: number };
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** @default 0, any free port */
  readonly port?: number;
}

/** One way through the proxy: chunks in order, each `delayMs` late, none while silent. */
class Direction {
  readonly #queue: { readonly chunk: Buffer | undefined; readonly dueMs: number }[] = [];
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #link: Link;
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, sink: Socket, link: Link) {
    this.#source = source;
    this.#sink = sink;
    this.#link = link;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => this.#take(undefined));
    sink.on('drain', () => this.flush());
    if (link.silent) source.pause();
  }

  #take(chunk: Buffer | undefined): void {
    this.#queue.push({ chunk, dueMs: performance.now() + this.#link.delayMs });
    this.#queuedBytes += chunk?.byteLength ?? 0;
    if (this.#queuedBytes > QUEUE_BYTES_MAX) this.#source.pause();
    this.flush();
  }

  /** Passes on what is due; called again by timers, drains and changes of the link. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#link.silent) {
      this.#source.pause();
      return;
    }
    while (!this.#sink.writableNeedDrain && !this.#sink.destroyed) {
      const next = this.#queue[0];
      if (next === undefined) break;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flush(), waitMs);
        break;
      }
      this.#queue.shift();
      this.#queuedBytes -= next.chunk?.byteLength ?? 0;
      if (next.chunk === undefined) this.#sink.end();
      else this.#sink.write(next.chunk);
    }
    if (this.#queuedBytes <= QUEUE_BYTES_MAX) this.#source.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

interface Link {
  silent: boolean;
  delayMs: number;
}

class Pair {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #directions: readonly Direction[];
  readonly #link: Link;
  readonly #onClosed: () => void;
  #lost = false;

  constructor(client: Socket, upstream: Socket, link: Link, onClosed: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#link = link;
    this.#onClosed = onClosed;
    this.#directions = [new Direction(client, upstream, link), new Direction(upstream, client, link)];
    for (const socket of [client, upstream]) {
      socket.on('error', () => this.#fail());
      socket.on('close', (hadError) => (hadError ? this.#fail() : this.#closeIfBothEnded()));
    }
  }

  changed(): void {
    if (this.#lost && !this.#link.silent) this.destroy();
    for (const direction of this.#directions) direction.flush();
  }

  #fail(): void {
    this.#lost = true;
    // A silent link doesn't tell the other side that this one is gone.
    if (!this.#link.silent) this.destroy();
  }

  #closeIfBothEnded(): void {
    if (this.#client.destroyed && this.#upstream.destroyed) this.destroy();
  }

  destroy(): void {
    for (const direction of this.#directions) direction.stop();
    for (const socket of [this.#client, this.#upstream]) {
      if (socket.readyState === 'open') socket.resetAndDestroy();
      else socket.destroy();
    }
    this.#onClosed();
  }
}

/** A running proxy. */
export class SilentProxy {
  readonly #init: SilentProxyInit;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #waiting = new Set<Socket>();
  readonly #link: Link = { silent: false, delayMs: 0 };

  private constructor(init: SilentProxyInit) {
    this.#init = init;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#onClient(client));
  }

  static async start(init: SilentProxyInit): Promise<SilentProxy> {
    const proxy = new SilentProxy(init);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(init.port ?? 0, init.host ?? '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy does not listen.');
    return address.port;
  }

  /** Connections that are open through the proxy, those that wait for the end of a silence included. */
  get connections(): number {
    return this.#pairs.size + this.#waiting.size;
  }

  /** Keeps and accepts connections, and passes nothing on: what a dead link looks like to both ends. */
  silence(): void {
    this.#link.silent = true;
    for (const pair of this.#pairs) pair.changed();
  }

  /** Ends a silence; what was held back flows. */
  resume(): void {
    this.#link.silent = false;
    for (const client of this.#waiting) this.#connect(client);
    this.#waiting.clear();
    for (const pair of this.#pairs) pair.changed();
  }

  /** Passes every byte on this much later, from now on. */
  delay(ms: number): void {
    this.#link.delayMs = ms;
  }

  /** Resets every open connection, both ways; new ones are accepted. */
  reset(): void {
    for (const pair of [...this.#pairs]) pair.destroy();
    for (const client of this.#waiting) client.resetAndDestroy();
    this.#waiting.clear();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #onClient(client: Socket): void {
    if (this.#link.silent) {
      client.pause();
      client.on('error', () => this.#waiting.delete(client));
      this.#waiting.add(client);
      return;
    }
    this.#connect(client);
  }

  #connect(client: Socket): void {
    const upstream = dial({ ...this.#init.target, allowHalfOpen: true, noDelay: true });
    const pair = new Pair(client, upstream, this.#link, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
  }
}
