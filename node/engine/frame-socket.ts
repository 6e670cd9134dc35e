// Frames on the socket between a daemon and a runner, for either end: one system call per frame, and a word when what
// was written has left this process.
import type { Socket } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import type { FrameWriter } from '../core/calls.ts';

const lost = (): WeftError => new WeftError({ code: 'runner_lost', message: 'The link to the runner is closed.' });

/** Writes frames to a socket. Errors of the socket itself are its owner's to hear. */
export class SocketWriter implements FrameWriter {
  readonly #socket: Socket;
  #drained: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    const socket = this.#socket;
    // Writing to a destroyed socket returns false and raises nothing.
    if (socket.destroyed || !socket.writable) throw lost();
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) {
      socket.write(only);
    } else {
      // Corked pieces leave by one writev.
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
    return socket.writableNeedDrain ? this.#untilDrained() : undefined;
  }

  /** Undefined when everything has left this process; else resolves once it has, or once the socket is closed. */
  flushed(): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.writableLength === 0 || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('close', done);
        resolve();
      };
      socket.once('close', done);
      // Called after every earlier write.
      socket.write(new Uint8Array(0), done);
    });
  }

  #untilDrained(): Promise<void> {
    if (this.#drained === undefined) {
      const socket = this.#socket;
      this.#drained = new Promise<void>((resolve, reject) => {
        const onDrain = (): void => {
          this.#drained = undefined;
          socket.off('close', onClose);
          resolve();
        };
        const onClose = (): void => {
          socket.off('drain', onDrain);
          reject(lost());
        };
        socket.once('drain', onDrain);
        socket.once('close', onClose);
      });
      this.#drained.catch(() => {
        // Whoever waits hears of it; with nobody waiting it is no defect.
      });
    }
    return this.#drained;
  }
}
