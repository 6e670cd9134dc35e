// A link of frames without a network: two ends, each of which is a FrameWriter. Used wherever a test wants calls between
// two parts of one process, with lost links, full buffers and bytes that arrive in pieces under its control.

import {
  CallClient,
  CallServer,
  type CallServerComponents,
  type CallServerInit,
  type FrameWriter,
} from '../../node/core/calls.ts';
import { type Clock, systemClock } from '../../node/core/clock.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';

export interface MemoryLinkInit {
  /** Bytes under way in one direction above which `write` returns a promise. @default no bound */
  readonly highWaterBytes?: number;
  /** Cuts what is written into the chunks that arrive. @default one chunk per write */
  readonly cut?: (bytes: Uint8Array) => Iterable<Uint8Array>;
}

/** One end of a {@link MemoryLink}. What is written here arrives at the other end, later, in order. */
export interface MemoryEnd extends FrameWriter {
  /** Who gets the other end's bytes; they wait here until someone listens. What it throws breaks the link. */
  onChunk(listener: (chunk: Uint8Array) => void): void;
  /** Called once, when the link is lost. */
  onLost(listener: (error: WeftError) => void): void;
  /** Bytes written here that have not arrived. */
  readonly pendingBytes: number;
  /** Bytes ever written here. */
  readonly writtenBytes: number;
  /** Holds back what is written here, as a link does that went silent. */
  pause(): void;
  resume(): void;
}

export interface MemoryLink {
  readonly a: MemoryEnd;
  readonly b: MemoryEnd;
  readonly lost: WeftError | undefined;
  /** Breaks it for both ends: what is under way is gone. @default peer_lost */
  lose(error?: WeftError): void;
}

/** Two ends that hear each other. Bytes are copied when they are written and arrive in a later turn of the event loop. */
export function memoryLink(init: MemoryLinkInit = {}): MemoryLink {
  const state = { lost: undefined as WeftError | undefined };
  const lose = (error: WeftError = new WeftError({ code: 'peer_lost', message: 'The link was lost.' })): void => {
    if (state.lost !== undefined) return;
    state.lost = error;
    for (const end of [a, b]) end.drop(error);
  };
  const a = new End(init, () => b, lose, state);
  const b = new End(init, () => a, lose, state);
  return {
    a,
    b,
    get lost() {
      return state.lost;
    },
    lose,
  };
}

class End implements MemoryEnd {
  readonly #highWaterBytes: number;
  readonly #cut: (bytes: Uint8Array) => Iterable<Uint8Array>;
  readonly #other: () => End;
  readonly #lose: (error: WeftError) => void;
  readonly #state: { readonly lost: WeftError | undefined };
  #queue: Uint8Array[] = [];
  #drain: PromiseWithResolvers<void> | undefined;
  #listener: ((chunk: Uint8Array) => void) | undefined;
  #lostListeners: ((error: WeftError) => void)[] = [];
  #scheduled = false;
  #paused = false;
  pendingBytes = 0;
  writtenBytes = 0;

  constructor(
    init: MemoryLinkInit,
    other: () => End,
    lose: (error: WeftError) => void,
    state: { readonly lost: WeftError | undefined },
  ) {
    this.#highWaterBytes = init.highWaterBytes ?? Number.POSITIVE_INFINITY;
    this.#cut = init.cut ?? ((bytes) => [bytes]);
    this.#other = other;
    this.#lose = lose;
    this.#state = state;
  }

  write(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.#state.lost !== undefined) throw this.#state.lost;
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let offset = 0;
    for (const piece of pieces) {
      bytes.set(piece, offset);
      offset += piece.byteLength;
    }
    this.pendingBytes += bytes.byteLength;
    this.writtenBytes += bytes.byteLength;
    this.#queue.push(bytes);
    this.#schedule();
    if (this.pendingBytes <= this.#highWaterBytes) return undefined;
    this.#drain ??= Promise.withResolvers<void>();
    return this.#drain.promise;
  }

  onChunk(listener: (chunk: Uint8Array) => void): void {
    this.#listener = listener;
    this.#other().#schedule();
  }

  onLost(listener: (error: WeftError) => void): void {
    if (this.#state.lost !== undefined) listener(this.#state.lost);
    else this.#lostListeners.push(listener);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  drop(error: WeftError): void {
    this.#queue = [];
    this.pendingBytes = 0;
    this.#drain?.reject(error);
    this.#drain = undefined;
    const listeners = this.#lostListeners;
    this.#lostListeners = [];
    for (const listener of listeners) listener(error);
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const listener = this.#other().#listener;
    if (this.#paused || listener === undefined || this.#state.lost !== undefined) return;
    while (!this.#paused) {
      const bytes = this.#queue.shift();
      if (bytes === undefined) break;
      for (const chunk of this.#cut(bytes)) {
        try {
          listener(chunk);
        } catch (error) {
          this.#lose(toWeftError(error));
        }
        if (this.#state.lost !== undefined) return;
      }
      this.pendingBytes -= bytes.byteLength;
    }
    if (this.pendingBytes <= this.#highWaterBytes) {
      this.#drain?.resolve();
      this.#drain = undefined;
    }
    this.#schedule();
  }
}

export interface CallPairInit extends MemoryLinkInit, Partial<CallServerInit> {
  readonly lookup: CallServerComponents['lookup'];
  readonly load?: NonNullable<CallServerComponents['load']>;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Of the callee, where that is another one. @default the same */
  readonly serverClock?: Clock;
}

/** A caller and a callee at the two ends of a link. */
export interface CallPair {
  readonly client: CallClient;
  readonly server: CallServer;
  /** `a` is the caller's end, `b` the callee's. */
  readonly link: MemoryLink;
}

/** Puts a CallClient and a CallServer on a link of their own; a lost link closes both. */
export function callPair(init: CallPairInit): CallPair {
  const link = memoryLink(init);
  const clock = init.clock ?? systemClock;
  const client = new CallClient({ writer: link.a, clock });
  const { serverClock = clock } = init;
  const server = new CallServer(
    {
      writer: link.b,
      clock: serverClock,
      lookup: init.lookup,
      ...(init.load === undefined ? {} : { load: init.load }),
    },
    { caller: init.caller ?? 'caller', acknowledge: init.acknowledge ?? true },
  );
  link.a.onChunk((chunk) => client.push(chunk));
  link.b.onChunk((chunk) => server.push(chunk));
  link.a.onLost((error) => client.close(error));
  link.b.onLost((error) => server.close(error));
  return { client, server, link };
}
