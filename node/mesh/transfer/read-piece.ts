// One call for a piece of a file, checked: what every transfer from a peer is made of.
import type { NodeId } from '../../../protocol/ids.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { FileIdentity } from '../../core/transfer.ts';
import { MESH_LIMITS } from '../limits.ts';
import { corrupt } from './chunks.ts';

export interface PieceRequest {
  readonly source: NodeId;
  readonly file: FileIdentity;
  readonly offset: number;
  /** At most the method's answer quota. */
  readonly length: number;
}

/** As those of {@link PeerCallOptions}. */
export interface PieceOptions {
  readonly signal: AbortSignal;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Reads a piece. The source may answer with less than was asked for where it has other work to do.
 * @returns 1 to `length` bytes, unverified, in memory of their own
 * @throws WeftError `model_corrupt` for a file or a piece of another size, `not_found`, or what the call failed with
 */
export async function readPiece(
  mesh: Pick<Mesh, 'call'>,
  { source, file, offset, length }: PieceRequest,
  options: PieceOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, onBytes } = options;
  const request = { sha256: file.sha256, offset: BigInt(offset), length };
  const { bytes, sizeBytes } = await mesh.call(source, PEER_METHODS.readFile, request, {
    signal,
    requestId: '',
    ...(onBytes !== undefined && { onBytes }),
  });
  if (sizeBytes !== file.sizeBytes) throw corrupt('The peer has a file of another size.');
  const least = Math.min(length, MESH_LIMITS.transfer.pieceBytesMin);
  if (bytes.byteLength < least || bytes.byteLength > length) throw corrupt('The peer sent a piece of another size.');
  return bytes as Uint8Array<ArrayBuffer>;
}
