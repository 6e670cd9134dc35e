// A link with a speed and a distance: a TCP proxy in user space that lets so many bytes a second through each way, late
// by so much, and that can be stalled, silenced or reset. All connections through one link share its two wires. It can
// shape 1 Gbit/s at a round trip of 80 ms when it has a process of its own.
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/** One direction. */
export interface WireShape {
  /** @default no bound */
  readonly bytesPerSecond?: number;
  /** One way. @default 0 */
  readonly delayMs?: number;
  /** Up to so much later still, at random; bytes keep their order. @default 0 */
  readonly jitterMs?: number;
}

export interface ShapedLinkInit {
  readonly target: { readonly host: string; readonly port: number };
  /** From whoever dials the link to its target. */
  readonly up?: WireShape;
  /** From the target to whoever dials. */
  readonly down?: WireShape;
  /** @default 0, any free port */
  readonly port?: number;
}

export type Way = 'up' | 'down';

/** Bytes that may wait for a wire before their sender is paused: what a router keeps, 2 ms at 1 Gbit/s. */
const QUEUE_BYTES_MAX = 256 << 10;

/** One way of the link, as all its connections share it. */
class Wire {
  shape: WireShape;
  isStalled = false;
  /** When the last byte that was let onto it will have left. */
  #freeAtMs = 0;

  constructor(shape: WireShape) {
    this.shape = shape;
  }

  /** Lets bytes onto the wire. @returns when they have left, and when they arrive */
  send(bytes: number): { readonly leftMs: number; readonly dueMs: number } {
    const { bytesPerSecond = Number.POSITIVE_INFINITY, delayMs = 0, jitterMs = 0 } = this.shape;
    const leftMs = Math.max(performance.now(), this.#freeAtMs) + (bytes * 1_000) / bytesPerSecond;
    this.#freeAtMs = leftMs;
    return { leftMs, dueMs: leftMs + delayMs + (jitterMs > 0 ? Math.random() * jitterMs : 0) };
  }
}

interface Parcel {
  /** Undefined: the sender's end. */
  readonly chunk: Buffer | undefined;
  readonly leftMs: number;
  readonly dueMs: number;
}

/** One connection's bytes in one direction. */
class Flow {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #wire: Wire;
  /** On their way, in order; the first `#first` have arrived. */
  #parcels: Parcel[] = [];
  #first = 0;
  /** Of them, those that have not left yet: their senders wait for the wire. */
  #unsentBytes = 0;
  #unsent = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, sink: Socket, wire: Wire) {
    this.#source = source;
    this.#sink = sink;
    this.#wire = wire;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => this.#take(undefined));
    sink.on('drain', () => this.flush());
  }

  #take(chunk: Buffer | undefined): void {
    const bytes = chunk?.byteLength ?? 0;
    const { leftMs, dueMs } = this.#wire.send(bytes);
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
    this.#parcels.push({ chunk, leftMs, dueMs: this.#lastDueMs });
    this.#unsentBytes += bytes;
    this.flush();
  }

  /** Hands over what has arrived, and lets the sender go on when there is room. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#wire.isStalled) {
      this.#source.pause();
      return;
    }
    const nowMs = performance.now();
    for (; this.#unsent < this.#parcels.length; this.#unsent++) {
      const parcel = this.#parcels[this.#unsent];
      if (parcel === undefined || parcel.leftMs > nowMs) break;
      this.#unsentBytes -= parcel.chunk?.byteLength ?? 0;
    }
    while (!this.#sink.writableNeedDrain && !this.#sink.destroyed) {
      const next = this.#parcels[this.#first];
      if (next === undefined || next.dueMs > nowMs) break;
      this.#first++;
      if (next.chunk === undefined) this.#sink.end();
      else this.#sink.write(next.chunk);
    }
    this.#forget();
    if (this.#unsentBytes > QUEUE_BYTES_MAX) this.#source.pause();
    else this.#source.resume();
    this.#schedule(nowMs);
  }

  /** Drops what has arrived: now and then, since an array is slow to lose its head. */
  #forget(): void {
    if (this.#first < 64 && this.#first < this.#parcels.length) return;
    this.#parcels = this.#parcels.slice(this.#first);
    this.#unsent = Math.max(0, this.#unsent - this.#first);
    this.#first = 0;
  }

  #schedule(nowMs: number): void {
    const arriving = this.#sink.writableNeedDrain ? undefined : this.#parcels[this.#first]?.dueMs;
    const leaving = this.#source.isPaused() ? this.#parcels[this.#unsent]?.leftMs : undefined;
    const nextMs = Math.min(arriving ?? Number.POSITIVE_INFINITY, leaving ?? Number.POSITIVE_INFINITY);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.flush(), Math.max(0, nextMs - nowMs));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

class Pair {
  readonly #sockets: readonly Socket[];
  readonly #flows: readonly Flow[];
  readonly #isSilent: () => boolean;
  readonly #onClosed: () => void;

  constructor(
    client: Socket,
    upstream: Socket,
    link: { readonly up: Wire; readonly down: Wire; readonly isSilent: () => boolean; readonly onClosed: () => void },
  ) {
    this.#sockets = [client, upstream];
    this.#flows = [new Flow(client, upstream, link.up), new Flow(upstream, client, link.down)];
    this.#isSilent = link.isSilent;
    this.#onClosed = link.onClosed;
    for (const socket of this.#sockets) {
      socket.on('error', () => this.#fail());
      socket.on('close', (hadError) => (hadError ? this.#fail() : this.#closeIfBothEnded()));
    }
  }

  changed(): void {
    if (!this.#isSilent() && this.#sockets.some(({ destroyed, errored }) => destroyed && errored !== null))
      this.destroy();
    for (const flow of this.#flows) flow.flush();
  }

  /** A silent link tells neither side what became of the other. */
  #fail(): void {
    if (!this.#isSilent()) this.destroy();
  }

  #closeIfBothEnded(): void {
    if (this.#sockets.every(({ destroyed }) => destroyed)) this.destroy();
  }

  destroy(): void {
    for (const flow of this.#flows) flow.stop();
    for (const socket of this.#sockets) {
      if (socket.readyState === 'open') socket.resetAndDestroy();
      else socket.destroy();
    }
    this.#onClosed();
  }
}

/** A running link. */
export class ShapedLink {
  readonly #init: ShapedLinkInit;
  readonly #server: Server;
  readonly #wires: Readonly<Record<Way, Wire>>;
  readonly #pairs = new Set<Pair>();
  readonly #waiting = new Set<Socket>();
  #isSilent = false;

  private constructor(init: ShapedLinkInit) {
    this.#init = init;
    this.#wires = { up: new Wire(init.up ?? {}), down: new Wire(init.down ?? {}) };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#onClient(client));
  }

  static async start(init: ShapedLinkInit): Promise<ShapedLink> {
    const link = new ShapedLink(init);
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(init.port ?? 0, '127.0.0.1', resolve);
    });
    return link;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The link does not listen.');
    return address.port;
  }

  /** Connections that are open through the link. */
  get connections(): number {
    return this.#pairs.size + this.#waiting.size;
  }

  /** Another speed or distance, for bytes that come from now on. */
  shape(way: Way, shape: WireShape): void {
    this.#wires[way].shape = shape;
  }

  /** Nothing arrives that way any more, until {@link resume}; the other way goes on. */
  stall(way: Way): void {
    this.#wires[way].isStalled = true;
    this.#changed();
  }

  /** Nothing arrives either way, and neither end hears what becomes of the other. New connections are taken, and wait. */
  silence(): void {
    this.#isSilent = true;
    this.stall('up');
    this.stall('down');
  }

  /** Ends every stall, and the silence. */
  resume(): void {
    this.#isSilent = false;
    for (const wire of Object.values(this.#wires)) wire.isStalled = false;
    for (const client of this.#waiting) this.#connect(client);
    this.#waiting.clear();
    this.#changed();
  }

  /** Resets every connection, both ways; new ones are taken. */
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

  #changed(): void {
    for (const pair of [...this.#pairs]) pair.changed();
  }

  #onClient(client: Socket): void {
    if (!this.#isSilent) {
      this.#connect(client);
      return;
    }
    client.pause();
    client.on('error', () => this.#waiting.delete(client));
    this.#waiting.add(client);
  }

  #connect(client: Socket): void {
    const upstream = dial({ ...this.#init.target, allowHalfOpen: true, noDelay: true });
    const pair: Pair = new Pair(client, upstream, {
      ...this.#wires,
      isSilent: () => this.#isSilent,
      onClosed: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
  }
}
