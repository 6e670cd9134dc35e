// Gives members the manifests of this node's models, and pieces of the files that lie here verified: the other end of
// PeerTransfer. The composition root calls it before the mesh starts.
import type { FilePiece } from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Mesh } from '../core/mesh.ts';
import { Turns } from '../core/turns.ts';
import { MESH_LIMITS, type MeshLimits } from './limits.ts';
import type { Pace } from './transfer/governor.ts';

/** Which chunks of a file lie here, verified. */
export interface SharedHolding {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** Bit i of byte i / 8, lowest first: chunk i is here. */
  readonly chunks: 'all' | Uint8Array;
}

/** What this node has to give, by digest only: no path ever comes from a peer. */
export interface SharedFiles {
  /** Canonical JSON of an offered model's manifest; undefined when none has this digest. */
  manifestJson(digest: string): string | undefined;
  /** What was signed of that manifest: JSON texts. */
  signatures(digest: string): readonly string[];
  /** What lies here of a file, part of one that is still coming included; undefined = nothing. */
  holding(sha256: string): SharedHolding | undefined;
  /** A piece of it, of verified bytes only; undefined when there are none. */
  read(sha256: string, offset: number, length: number): Promise<FilePiece | undefined>;
}

export interface ServeFilesComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly files: SharedFiles;
  /** Of this node's bulk work, in both directions. */
  readonly governor: Pick<Pace, 'take' | 'moved'>;
}

const DIGEST = /^[0-9a-f]{64}$/;

/** Answers `manifest`, `holding` and `read-file` from these files. @param init.limits @default MESH_LIMITS.transfer */
export function serveFiles(
  components: ServeFilesComponents,
  init: { readonly limits?: MeshLimits['transfer'] } = {},
): void {
  const { mesh, files, governor } = components;
  const limits = init.limits ?? MESH_LIMITS.transfer;
  const room = new ServedRoom(limits);
  mesh.handle(PEER_METHODS.manifest, async ({ digest }) => {
    const manifestJson = /^sha256:[0-9a-f]{64}$/.test(digest) ? files.manifestJson(digest) : undefined;
    if (manifestJson === undefined)
      throw new WeftError({ code: 'not_found', message: 'No model here has this digest.' });
    return { manifestJson, signatures: [...files.signatures(digest)] };
  });
  mesh.handle(PEER_METHODS.holding, async ({ sha256 }) => {
    if (sha256.length > limits.holdingFilesMax) {
      throw new WeftError({ code: 'bad_request', message: 'Too many files were asked for at once.' });
    }
    return { files: sha256.map((digest) => holdingMessage(DIGEST.test(digest) ? files.holding(digest) : undefined)) };
  });
  mesh.handle(PEER_METHODS.readFile, async ({ sha256, offset, length }, { caller, signal, afterwards }) => {
    if (length === 0 || length > limits.pieceBytes || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new WeftError({ code: 'bad_request', message: 'The piece that was asked for is out of bounds.' });
    }
    // Nobody waits for a turn, and no byte is counted, for what isn't here.
    if (!DIGEST.test(sha256) || files.holding(sha256) === undefined) throw notHere();
    const leave = await room.enter(caller, length, signal);
    let read = 0;
    afterwards(() => {
      leave();
      governor.moved('out', read);
    });
    const granted = await governor.take(length, signal);
    const piece = await files.read(sha256, Number(offset), granted);
    if (piece === undefined) throw notHere();
    read = piece.bytes.byteLength;
    return piece;
  });
}

const notHere = (): WeftError =>
  new WeftError({ code: 'not_found', message: 'No file here has this digest, or not these bytes of it.' });

function holdingMessage(holding: SharedHolding | undefined): {
  sizeBytes: bigint;
  chunkBytes: number;
  chunks: Uint8Array;
} {
  if (holding === undefined) return { sizeBytes: 0n, chunkBytes: 0, chunks: NO_BYTES };
  const { sizeBytes, chunkBytes, chunks } = holding;
  return { sizeBytes: BigInt(sizeBytes), chunkBytes, chunks: chunks === 'all' ? NO_BYTES : chunks };
}

const NO_BYTES = new Uint8Array(0);

/** Memory for pieces that are read and have not left: so much in all, and for one peer, who may read its answers slowly. */
class ServedRoom {
  readonly #limits: MeshLimits['transfer'];
  readonly #all: Turns;
  readonly #byPeer = new Map<NodeId, Turns>();

  constructor(limits: MeshLimits['transfer']) {
    this.#limits = limits;
    this.#all = new Turns(limits.servedBytesMax);
  }

  /** @returns what gives the room back */
  async enter(peer: NodeId, bytes: number, signal: AbortSignal): Promise<() => void> {
    const own = this.#byPeer.get(peer) ?? new Turns(this.#limits.servedBytesPerPeerMax);
    this.#byPeer.set(peer, own);
    const tidy = (): void => {
      if (own.isIdle) this.#byPeer.delete(peer);
    };
    let leaveOwn: (() => void) | undefined;
    try {
      leaveOwn = await own.take(bytes, signal);
      const leaveAll = await this.#all.take(bytes, signal);
      return () => {
        leaveAll();
        leaveOwn?.();
        tidy();
      };
    } catch (error) {
      leaveOwn?.();
      tidy();
      throw error;
    }
  }
}
