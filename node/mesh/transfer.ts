// Fetches manifests and small files from peers, verified by digest. Its first user is the coordinator of a node that
// lacks a model's tokenizer.
import { createHash } from 'node:crypto';
import { pipe } from 'it-pipe';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import { toAbortError } from '../core/calls.ts';
import type { Mesh } from '../core/mesh.ts';
import type { FileIdentity, Transfer } from '../core/transfer.ts';
import { MESH_LIMITS } from './limits.ts';

const { pieceBytes, parallelMax, manifestBytesMax } = MESH_LIMITS.transfer;

const corrupt = (message: string): WeftError => new WeftError({ code: 'model_corrupt', message });

export class PeerTransfer implements Transfer {
  readonly #mesh: Pick<Mesh, 'call'>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(components: { readonly mesh: Pick<Mesh, 'call'> }) {
    this.#mesh = components.mesh;
  }

  fetch(file: FileIdentity, sources: readonly NodeId[], signal: AbortSignal): Promise<Uint8Array> {
    if (file.sizeBytes > SMALL_FILE_BYTES_MAX) {
      return Promise.reject(corrupt(`A file of ${file.sizeBytes} bytes is too large to be fetched whole.`));
    }
    return this.#fromAny(sources, signal, (source) =>
      pipe(this.#pieces(file, source, signal), verified(file.sha256), collected(file.sizeBytes)),
    );
  }

  fetchManifest(digest: string, sources: readonly NodeId[], signal: AbortSignal): Promise<string> {
    return this.#fromAny(sources, signal, async (source) => {
      const options = { signal, requestId: '' };
      const { manifestJson } = await this.#mesh.call(source, PEER_METHODS.manifest, { digest }, options);
      const found = `sha256:${createHash('sha256').update(manifestJson).digest('hex')}`;
      if (manifestJson.length > manifestBytesMax || found !== digest) {
        throw corrupt('The manifest that came is not the one that was asked for.');
      }
      return manifestJson;
    });
  }

  /** Tries one source after the other. @throws the last one's failure */
  async #fromAny<T>(sources: readonly NodeId[], signal: AbortSignal, from: (source: NodeId) => Promise<T>): Promise<T> {
    const release = await this.#turn();
    try {
      let failure = new WeftError({ code: 'peer_unreachable', message: 'No peer has this file.' });
      for (const source of sources) {
        if (signal.aborted) throw toAbortError(signal);
        try {
          return await from(source);
        } catch (error) {
          failure = toWeftError(error);
        }
      }
      throw signal.aborted ? toAbortError(signal) : failure;
    } finally {
      release();
    }
  }

  /** Waits until fewer than the most fetches run. Each that runs has the methods' own deadlines. */
  async #turn(): Promise<() => void> {
    if (this.#running >= parallelMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    return () => {
      this.#running--;
      this.#waiting.shift()?.();
    };
  }

  async *#pieces(file: FileIdentity, source: NodeId, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < file.sizeBytes; offset += pieceBytes) {
      const length = Math.min(pieceBytes, file.sizeBytes - offset);
      const request = { sha256: file.sha256, offset: BigInt(offset), length };
      const piece = await this.#mesh.call(source, PEER_METHODS.readFile, request, { signal, requestId: '' });
      if (piece.sizeBytes !== file.sizeBytes || piece.bytes.byteLength !== length) {
        throw corrupt('The peer has a file of another size.');
      }
      yield piece.bytes;
    }
  }
}

/** Passes pieces on, and fails at their end when they are not what the digest says. */
function verified(sha256: string) {
  return async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    for await (const piece of pieces) {
      hash.update(piece);
      yield piece;
    }
    if (hash.digest('hex') !== sha256) throw corrupt('The file that came is not what its digest says.');
  };
}

/** Lays pieces one behind the other; they are that many bytes together. */
function collected(sizeBytes: number) {
  return async (pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
    const whole = new Uint8Array(sizeBytes);
    let offset = 0;
    for await (const piece of pieces) {
      whole.set(piece, offset);
      offset += piece.byteLength;
    }
    return whole;
  };
}
