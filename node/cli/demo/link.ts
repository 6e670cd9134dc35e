// A network link in user space: a TCP proxy of one port, that passes bytes on at a bounded rate and some time later.
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Clock, Timer } from '../../core/clock.ts';
import { LINK_QUEUE_BYTES_MAX } from './limits.ts';

/** How a link behaves, alike in both directions. */
export interface LinkShape {
  /** One way, in milliseconds. */
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
}

export interface LinkInit extends LinkShape {
  /** Port of loopback behind the link. Nothing need listen there yet. */
  readonly targetPort: number;
  /** @default LINK_QUEUE_BYTES_MAX */
  readonly queueBytesMax?: number;
}

/** One direction of the link; its connections share the rate. */
class Lane {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #latencyMs: number;
  /** When the last byte that was sent has left. */
  #freeMs = 0;

  constructor(clock: Clock, { latencyMs, bytesPerSecond }: LinkShape) {
    this.#clock = clock;
    this.#latencyMs = latencyMs;
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  /** Takes bytes onto the link. @returns when they arrive, on the clock */
  send(bytes: number): number {
    this.#freeMs = Math.max(this.#freeMs, this.#clock.now()) + bytes / this.#bytesPerMs;
    return this.#freeMs + this.#latencyMs;
  }
}

/** One direction of one connection: chunks in order, each when it is due. */
class Flow {
  readonly #clock: Clock;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #lane: Lane;
  readonly #queueBytesMax: number;
  readonly #queue: { readonly chunk: Buffer | undefined; readonly dueMs: number }[] = [];
  #queuedBytes = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, source: Socket, sink: Socket, lane: Lane, queueBytesMax: number) {
    this.#clock = clock;
    this.#source = source;
    this.#sink = sink;
    this.#lane = lane;
    this.#queueBytesMax = queueBytesMax;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => this.#take(undefined));
    sink.on('drain', () => this.#flush());
  }

  /** @param chunk undefined for the end */
  #take(chunk: Buffer | undefined): void {
    const bytes = chunk?.byteLength ?? 0;
    this.#queue.push({ chunk, dueMs: this.#lane.send(bytes) });
    this.#queuedBytes += bytes;
    if (this.#queuedBytes > this.#queueBytesMax) this.#source.pause();
    this.#flush();
  }

  #flush(): void {
    this.stop();
    while (!this.#sink.writableNeedDrain && !this.#sink.destroyed) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const waitMs = next.dueMs - this.#clock.now();
      if (waitMs > 0) {
        this.#timer = this.#clock.after(waitMs, () => this.#flush());
        break;
      }
      this.#queue.shift();
      this.#queuedBytes -= next.chunk?.byteLength ?? 0;
      if (next.chunk === undefined) this.#sink.end();
      else this.#sink.write(next.chunk);
    }
    if (this.#queuedBytes <= this.#queueBytesMax) this.#source.resume();
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

/** A link that is up. */
export class ShapedLink {
  readonly #clock: Clock;
  readonly #init: LinkInit;
  readonly #server: Server;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #sockets = new Set<Socket>();

  private constructor(clock: Clock, init: LinkInit) {
    this.#clock = clock;
    this.#init = init;
    this.#up = new Lane(clock, init);
    this.#down = new Lane(clock, init);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#carry(client));
  }

  /** Listens on a free port of loopback. */
  static async start({ clock }: { readonly clock: Clock }, init: LinkInit): Promise<ShapedLink> {
    const link = new ShapedLink(clock, init);
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(0, '127.0.0.1', resolve);
    });
    return link;
  }

  /** Port of this end. */
  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The link is down.');
    return address.port;
  }

  /** Takes the link down: every connection over it is reset. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) breakOff(socket);
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #carry(client: Socket): void {
    const { targetPort, queueBytesMax = LINK_QUEUE_BYTES_MAX } = this.#init;
    const server = dial({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true, noDelay: true });
    const flows = [
      new Flow(this.#clock, client, server, this.#up, queueBytesMax),
      new Flow(this.#clock, server, client, this.#down, queueBytesMax),
    ];
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      // A connection that breaks on one side breaks on the other; one that ends does so by way of its flow.
      socket.on('error', () => breakOff(other));
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (!other.destroyed) return;
        for (const flow of flows) flow.stop();
      });
    }
  }
}

/** Tells the other end that the connection is lost, and not just over. */
function breakOff(socket: Socket): void {
  if (socket.readyState === 'open') socket.resetAndDestroy();
  else socket.destroy();
}
