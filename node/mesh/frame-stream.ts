// Frames over a libp2p stream, in both directions: what the caller's and the callee's side share. libp2p's streams throw
// when they are closed, inside listeners too, where that would end the process: everything is caught here.
import type { Stream } from '@libp2p/interface';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { FrameWriter } from '../core/calls.ts';
import type { Clock } from '../core/clock.ts';
import type { MeshLimits } from './limits.ts';

const lost = (cause?: unknown): WeftError =>
  new WeftError({ code: 'peer_lost', message: 'The stream to the peer is closed.' }, { cause });

/** Writes frames, waits while the stream is full, and gives the stream up when the peer stops reading. */
export class StreamWriter implements FrameWriter {
  readonly #stream: Stream;
  readonly #clock: Clock;
  readonly #limits: MeshLimits['streams'];
  #drained: Promise<void> | undefined;
  /** Bytes handed to the stream so far. */
  bytesWritten = 0;

  constructor(components: { readonly stream: Stream; readonly clock: Clock }, init: { readonly limits: MeshLimits }) {
    this.#stream = components.stream;
    this.#clock = components.clock;
    this.#limits = init.limits.streams;
  }

  write(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    let flows = true;
    try {
      for (const piece of pieces) {
        this.bytesWritten += piece.byteLength;
        flows = this.#stream.send(piece);
      }
    } catch (cause) {
      throw lost(cause);
    }
    if (flows || this.#stream.writeBufferLength <= this.#limits.lowWaterBytes) return undefined;
    this.#drained ??= this.#untilDrained().finally(() => {
      this.#drained = undefined;
    });
    return this.#drained;
  }

  /**
   * libp2p's `drain` says that some bytes may go, not that they have gone: a writer that went on at each of them would
   * heap up its whole message against a slow reader.
   */
  #untilDrained(): Promise<void> {
    const stream = this.#stream;
    const { stallMs, lowWaterBytes } = this.#limits;
    return new Promise((resolve, reject) => {
      let left = stream.writeBufferLength;
      const stalled = (): void => {
        const error = new WeftError({ code: 'peer_lost', message: `The peer read nothing for ${stallMs} ms.` });
        finish(error);
        stream.abort(error);
      };
      let timer = this.#clock.after(stallMs, stalled);
      // The stream sends what it can in a microtask of its own, which is queued before this one.
      const check = (): void => queueMicrotask(look);
      const look = (): void => {
        if (stream.status !== 'open') {
          finish(lost());
        } else if (stream.writeBufferLength <= lowWaterBytes) {
          finish();
        } else if (stream.writeBufferLength < left) {
          left = stream.writeBufferLength;
          timer.cancel();
          timer = this.#clock.after(stallMs, stalled);
        }
      };
      const finish = (error?: WeftError): void => {
        timer.cancel();
        stream.removeEventListener('drain', check);
        stream.removeEventListener('idle', check);
        stream.removeEventListener('close', check);
        if (error === undefined) resolve();
        else reject(error);
      };
      stream.addEventListener('drain', check);
      stream.addEventListener('idle', check);
      stream.addEventListener('close', check);
    });
  }
}

export interface FrameStreamSink {
  /** Bytes as they come, in pieces of any size, valid during the call. @throws WeftError when they are no frames */
  bytes(piece: Uint8Array): void;
  /** No further byte will come, for whatever reason. Called once. */
  closed(error: WeftError): void;
}

/**
 * Hands what comes in on a stream to the sink, and closes the stream when the other side has ended its half: a process
 * that was killed looks like that, and calls end before their streams do.
 */
export function readFrames(stream: Stream, sink: FrameStreamSink): void {
  let open = true;
  const finish = (error: WeftError): void => {
    if (!open) return;
    open = false;
    sink.closed(error);
  };
  stream.addEventListener('message', ({ data }) => {
    if (!open) return;
    try {
      if (data instanceof Uint8Array) sink.bytes(data);
      else for (const piece of data) sink.bytes(piece);
    } catch (error) {
      const failure = toWeftError(error);
      finish(failure);
      stream.abort(failure);
    }
  });
  stream.addEventListener('remoteCloseWrite', () => {
    finish(lost());
    closeStream(stream);
  });
  // A stream that was given up here says why.
  stream.addEventListener('close', ({ error }) => finish(error instanceof WeftError ? error : lost(error)));
}

/** Ends a stream in good order; one that can't be ended so is reset. */
export function closeStream(stream: Stream): void {
  stream.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) }).catch((error: unknown) => {
    stream.abort(error instanceof Error ? error : new Error(String(error)));
  });
}

/** Time for the last bytes of a stream to leave. */
const CLOSE_TIMEOUT_MS = 2_000;
