// Manifests, small files and whole downloads from peers and from a hub. The coordinator of a node that lacks a model's
// tokenizer uses the first two, the library the last.
import { createHash } from 'node:crypto';
import { pipe } from 'it-pipe';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import { SMALL_FILE_BYTES_MAX } from '../../../protocol/limits.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { toAbortError } from '../../core/calls.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { Mesh } from '../../core/mesh.ts';
import type {
  ChunkSource,
  Download,
  DownloadOptions,
  DownloadProgress,
  FileIdentity,
  Transfer,
} from '../../core/transfer.ts';
import { Turns } from '../../core/turns.ts';
import { MESH_LIMITS, type MeshLimits } from '../limits.ts';
import { corrupt } from './chunks.ts';
import { ChunkDownload } from './download.ts';
import type { Pace } from './governor.ts';
import { PeerSource } from './peer-source.ts';
import { readPiece } from './read-piece.ts';

export interface PeerTransferComponents {
  readonly mesh: Pick<Mesh, 'call' | 'peer'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this node's bulk work, in both directions. */
  readonly governor: Pace;
}

export interface PeerTransferInit {
  /** @default MESH_LIMITS.transfer; tests pass smaller ones */
  readonly limits?: MeshLimits['transfer'];
}

export class PeerTransfer implements Transfer {
  readonly #components: PeerTransferComponents;
  readonly #limits: MeshLimits['transfer'];
  readonly #fetches: Turns;
  /** Calls of downloads, by peer; those that nobody waits for are forgotten. */
  readonly #turns = new Map<NodeId, Turns>();

  constructor(components: PeerTransferComponents, init: PeerTransferInit = {}) {
    this.#components = components;
    this.#limits = init.limits ?? MESH_LIMITS.transfer;
    this.#fetches = new Turns(this.#limits.parallelMax);
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
      const { manifestJson } = await this.#components.mesh.call(source, PEER_METHODS.manifest, { digest }, options);
      const found = `sha256:${createHash('sha256').update(manifestJson).digest('hex')}`;
      if (manifestJson.length > this.#limits.manifestBytesMax || found !== digest) {
        throw corrupt('The manifest that came is not the one that was asked for.');
      }
      return manifestJson;
    });
  }

  async fetchSignatures(digest: string, source: NodeId, signal: AbortSignal): Promise<readonly string[]> {
    const options = { signal, requestId: '' };
    const { signatures } = await this.#components.mesh.call(source, PEER_METHODS.manifest, { digest }, options);
    const { signaturesMax, signatureLengthMax } = this.#limits;
    // Others may be good: one that is too long doesn't cost them.
    return signatures.filter(({ length }) => length <= signatureLengthMax).slice(0, signaturesMax);
  }

  peer(node: NodeId): ChunkSource {
    const { mesh, governor } = this.#components;
    for (const [other, turns] of this.#turns) if (turns.isIdle && other !== node) this.#turns.delete(other);
    const turns = this.#turns.get(node) ?? new Turns(this.#limits.callsPerPeerMax);
    this.#turns.set(node, turns);
    return new PeerSource({ mesh, governor, turns }, { node, limits: this.#limits });
  }

  async download(downloads: readonly Download[], options: DownloadOptions): Promise<DownloadProgress> {
    return new ChunkDownload(this.#components, { downloads, options, limits: this.#limits }).run();
  }

  /** Tries one source after the other. @throws the last one's failure */
  async #fromAny<T>(sources: readonly NodeId[], signal: AbortSignal, from: (source: NodeId) => Promise<T>): Promise<T> {
    const leave = await this.#fetches.take(1, signal);
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
      leave();
    }
  }

  async *#pieces(file: FileIdentity, source: NodeId, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < file.sizeBytes; ) {
      const length = Math.min(this.#limits.pieceBytes, file.sizeBytes - offset);
      const piece = await readPiece(this.#components.mesh, { source, file, offset, length }, { signal });
      offset += piece.byteLength;
      yield piece;
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
