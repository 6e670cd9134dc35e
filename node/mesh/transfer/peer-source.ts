// A member as a source of chunks: asks what it has, and reads pieces of a size that its link carries well, at the pace
// that the governor allows.
import type { NodeId } from '../../../protocol/ids.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { ChunkedFile, ChunkSource, Holding } from '../../core/transfer.ts';
import type { Turns } from '../../core/turns.ts';
import type { MeshLimits } from '../limits.ts';
import { chunkCount, chunkRange, corrupt } from './chunks.ts';
import type { Pace } from './governor.ts';
import { type PieceOptions, readPiece } from './read-piece.ts';

export interface PeerSourceComponents {
  readonly mesh: Pick<Mesh, 'call' | 'peer'>;
  readonly governor: Pick<Pace, 'take'>;
  /** Calls to this peer, over all downloads. */
  readonly turns: Turns;
}

export class PeerSource implements ChunkSource {
  readonly kind = 'peer';
  readonly name: NodeId;
  readonly parallelMax: number;
  readonly #components: PeerSourceComponents;
  readonly #limits: MeshLimits['transfer'];

  constructor(
    components: PeerSourceComponents,
    init: { readonly node: NodeId; readonly limits: MeshLimits['transfer'] },
  ) {
    this.#components = components;
    this.#limits = init.limits;
    this.name = init.node;
    this.parallelMax = init.limits.lanesPerPeerMax;
  }

  async holdings(files: readonly ChunkedFile[], signal: AbortSignal): Promise<readonly Holding[]> {
    const { holdingFilesMax } = this.#limits;
    const holdings: Holding[] = [];
    for (let from = 0; from < files.length; from += holdingFilesMax) {
      const asked = files.slice(from, from + holdingFilesMax);
      const request = { sha256: asked.map(({ sha256 }) => sha256) };
      const answer = await this.#components.mesh.call(this.name, PEER_METHODS.holding, request, {
        signal,
        requestId: '',
      });
      if (answer.files.length !== asked.length) throw corrupt('The peer answered for other files.');
      holdings.push(...asked.map((file, index) => holdingOf(file, answer.files[index])));
    }
    return holdings;
  }

  async read(file: ChunkedFile, index: number, options: PieceOptions): Promise<Uint8Array<ArrayBuffer>> {
    const { offset, length } = chunkRange(file, index);
    let whole: Uint8Array<ArrayBuffer> | undefined;
    for (let filled = 0; filled < length; ) {
      const bytes = await this.#piece(file, offset + filled, length - filled, options);
      // The usual case: a chunk in one piece, which nobody else has a view of.
      if (bytes.byteLength === length) return bytes;
      whole ??= new Uint8Array(length);
      whole.set(bytes, filled);
      filled += bytes.byteLength;
    }
    return whole ?? new Uint8Array(0);
  }

  async #piece(
    file: ChunkedFile,
    offset: number,
    left: number,
    options: PieceOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { mesh, governor, turns } = this.#components;
    const leave = await turns.take(1, options.signal);
    try {
      const length = await governor.take(Math.min(left, this.#pieceBytes()), options.signal);
      // Waiting here is no silence of the peer's.
      options.onBytes?.(0);
      return await readPiece(mesh, { source: this.name, file, offset, length }, options);
    } finally {
      leave();
    }
  }

  #pieceBytes(): number {
    const { pieceBytes, pieceBytesMin, pieceMs } = this.#limits;
    const { goodputBytesPerSecond } = this.#components.mesh.peer(this.name)?.link ?? {};
    if (goodputBytesPerSecond === undefined) return pieceBytes;
    return Math.max(pieceBytesMin, Math.min(pieceBytes, Math.floor((goodputBytesPerSecond * pieceMs) / 1_000)));
  }
}

/** What a peer says of a file, as far as it can be true. A file of another size is another file, whatever it is called. */
function holdingOf(
  file: ChunkedFile,
  said: { readonly sizeBytes: bigint; readonly chunkBytes: number; readonly chunks: Uint8Array } | undefined,
): Holding {
  if (said === undefined || said.sizeBytes === 0n || said.sizeBytes !== BigInt(file.sizeBytes)) return 'none';
  const { chunks, chunkBytes } = said;
  if (chunks.byteLength === 0) return 'all';
  // Its chunks are cut elsewhere, or it speaks of fewer than there are.
  if (chunkBytes !== file.chunks.sizeBytes || chunks.byteLength < Math.ceil(chunkCount(file) / 8)) return 'none';
  return { has: (index) => (((chunks[index >> 3] ?? 0) >> (index & 7)) & 1) === 1 };
}
