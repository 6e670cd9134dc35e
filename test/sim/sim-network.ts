// Lines and links of a simulated world. A machine's line carries one byte after the other, each way for itself, whoever they
// are for; a link adds its round trip, and may go silent: what is on its way then waits, as TCP sends it again.
import { SimEvent, type VirtualClock } from './virtual-clock.ts';

/** Bytes per millisecond of a Mbit/s. */
const BYTES_PER_MS = 125;

/** One direction of a machine's line. */
export class Pipe {
  #bytesPerMs: number;
  #freeMs = 0;

  constructor(mbit: number) {
    this.#bytesPerMs = mbit * BYTES_PER_MS;
  }

  /** From the next transfer on. What has been promised keeps its time. */
  set mbit(mbit: number) {
    this.#bytesPerMs = mbit * BYTES_PER_MS;
  }

  get bytesPerMs(): number {
    return this.#bytesPerMs;
  }

  /** When the last of so many bytes would be through. */
  peek(nowMs: number, bytes: number): number {
    return Math.max(nowMs, this.#freeMs) + bytes / this.#bytesPerMs;
  }

  /** Sends them. @returns as {@link peek} */
  take(nowMs: number, bytes: number): number {
    this.#freeMs = this.peek(nowMs, bytes);
    return this.#freeMs;
  }
}

/** A machine's line. */
export class Line {
  readonly out: Pipe;
  readonly in: Pipe;
  /** Milliseconds on top of every round trip to it. */
  addedRttMs = 0;

  constructor(mbit: number) {
    this.out = new Pipe(mbit);
    this.in = new Pipe(mbit);
  }

  set mbit(mbit: number) {
    this.out.mbit = mbit;
    this.in.mbit = mbit;
  }
}

/** The way between an entry and a node. */
export class Wire {
  readonly #clock: VirtualClock;
  readonly #near: Line;
  readonly #far: Line;
  readonly #rttMs: number;
  readonly #held: Delivery[] = [];
  #silent = false;

  /** @param init `near`: the entry's line; `far`: the node's */
  constructor(clock: VirtualClock, init: { readonly near: Line; readonly far: Line; readonly rttMs: number }) {
    this.#clock = clock;
    this.#near = init.near;
    this.#far = init.far;
    this.#rttMs = init.rttMs;
  }

  get rttMs(): number {
    return this.#rttMs + this.#near.addedRttMs + this.#far.addedRttMs;
  }

  /** Bytes per millisecond from the node to the entry, with nothing else on the way. */
  get downBytesPerMs(): number {
    return Math.min(this.#near.in.bytesPerMs, this.#far.out.bytesPerMs);
  }

  get isSilent(): boolean {
    return this.#silent;
  }

  /** When a request of so many bytes would be at the node in full. Both lines carry it at once: the slower one tells. */
  peekUp(nowMs: number, bytes: number): number {
    return Math.max(this.#near.out.peek(nowMs, bytes), this.#far.in.peek(nowMs, bytes)) + this.rttMs / 2;
  }

  takeUp(nowMs: number, bytes: number): number {
    return Math.max(this.#near.out.take(nowMs, bytes), this.#far.in.take(nowMs, bytes)) + this.rttMs / 2;
  }

  peekDown(nowMs: number, bytes: number): number {
    return Math.max(this.#far.out.peek(nowMs, bytes), this.#near.in.peek(nowMs, bytes)) + this.rttMs / 2;
  }

  takeDown(nowMs: number, bytes: number): number {
    return Math.max(this.#far.out.take(nowMs, bytes), this.#near.in.take(nowMs, bytes)) + this.rttMs / 2;
  }

  /** Packets vanish both ways from now on… */
  silence(): void {
    this.#silent = true;
  }

  /** …or come through again: half a round trip later what was held back is there. */
  heal(): void {
    this.#silent = false;
    const atMs = this.#clock.now() + this.rttMs / 2;
    for (const delivery of this.#held.splice(0)) this.#clock.schedule(delivery, atMs);
  }

  hold(delivery: Delivery): void {
    this.#held.push(delivery);
  }
}

/** Something that arrives over a wire, unless that is silent at the time. */
export abstract class Delivery extends SimEvent {
  readonly wire: Wire;

  constructor(wire: Wire) {
    super();
    this.wire = wire;
  }

  fire(): void {
    if (this.wire.isSilent) this.wire.hold(this);
    else this.arrive();
  }

  protected abstract arrive(): void;
}
