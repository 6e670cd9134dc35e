// Gives members the manifests of this node's models and pieces of the files that these list: the other end of
// PeerTransfer. The composition root calls it before the mesh starts.
import type { FilePiece } from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Mesh } from '../core/mesh.ts';
import { MESH_LIMITS } from './limits.ts';

/** What this node has to give, by digest only: no path ever comes from a peer. */
export interface SharedFiles {
  /** Canonical JSON of an offered model's manifest; undefined when none has this digest. */
  manifestJson(digest: string): string | undefined;
  /** A piece of a file that an offered model's manifest lists; undefined when none has this digest. */
  read(sha256: string, offset: number, length: number): Promise<FilePiece | undefined>;
}

/** Answers `manifest` and `read-file` from these files. */
export function serveFiles(components: { readonly mesh: Pick<Mesh, 'handle'>; readonly files: SharedFiles }): void {
  const { mesh, files } = components;
  mesh.handle(PEER_METHODS.manifest, async ({ digest }) => {
    const manifestJson = /^sha256:[0-9a-f]{64}$/.test(digest) ? files.manifestJson(digest) : undefined;
    if (manifestJson === undefined)
      throw new WeftError({ code: 'not_found', message: 'No model here has this digest.' });
    return { manifestJson };
  });
  mesh.handle(PEER_METHODS.readFile, async ({ sha256, offset, length }) => {
    if (length === 0 || length > MESH_LIMITS.transfer.pieceBytes || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new WeftError({ code: 'bad_request', message: 'The piece that was asked for is out of bounds.' });
    }
    const piece = /^[0-9a-f]{64}$/.test(sha256) ? await files.read(sha256, Number(offset), length) : undefined;
    if (piece === undefined) throw new WeftError({ code: 'not_found', message: 'No file here has this digest.' });
    return piece;
  });
}
