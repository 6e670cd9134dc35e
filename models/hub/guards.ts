// What this node refuses of a hub, as pure decisions. Each is a field, so that a test can leave one out and see the attack
// succeed; a node always runs with HUB_GUARDS.
import type { IncomingHttpHeaders } from 'node:http';
import { isPrivateAddress, isPrivateHost } from './addresses.ts';

/** What is asked of a file, and what is known of it. */
export interface PieceWanted {
  /** First and last byte; undefined asks for the whole file. */
  readonly range: { readonly first: number; readonly last: number } | undefined;
  readonly sizeBytes: number;
  /** Of an LFS file. */
  readonly sha256: string | undefined;
  /** The commit that the file is of. */
  readonly commit: string;
  /** ETag of the file where it lies, when it was first seen; without the `W/`. */
  readonly etag: string | undefined;
  /** The request said to send the range only if that ETag still holds. */
  readonly conditional: boolean;
}

/** Headers of an answer, and those that the hub itself said of the file on the way there. */
export interface PieceAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly said: IncomingHttpHeaders;
}

export interface HubGuards {
  /** Why this redirect isn't followed; undefined: it is. */
  readonly redirect: (
    from: URL,
    to: URL,
    endpoint: { readonly origin: string; readonly private: boolean },
  ) => string | undefined;
  /** True for an address that a public hub may not lead to. */
  readonly address: (address: string) => boolean;
  /** True when the token may go there. */
  readonly sendsToken: (endpoint: URL, to: URL) => boolean;
  /** True for a path that stays inside the model's folder. */
  readonly path: (path: string) => boolean;
  /** Why this answer is no piece of the file; undefined: it is one. */
  readonly piece: (wanted: PieceWanted, answer: PieceAnswer) => string | undefined;
  /** True when the bytes have this digest. */
  readonly digest: (actual: string, wanted: string) => boolean;
}

export const HUB_GUARDS: HubGuards = {
  redirect(from, to, endpoint) {
    if (to.protocol !== 'https:' && to.protocol !== 'http:') return 'redirects to something other than the web';
    if (to.username !== '' || to.password !== '') return 'redirects to an address with a password in it';
    if (from.protocol === 'https:' && to.protocol !== 'https:') return 'redirects from https to plain http';
    if (to.origin === endpoint.origin || endpoint.private) return undefined;
    return isPrivateHost(to.hostname) ? 'redirects into a private network' : undefined;
  },
  address: isPrivateAddress,
  sendsToken: (endpoint, to) => endpoint.origin === to.origin,
  path: isInside,
  piece: judgePiece,
  digest: (actual, wanted) => actual === wanted,
};

/** Relative, forward slashes, no step upwards, and nothing that a terminal or a C string takes for something else. */
function isInside(path: string): boolean {
  return (
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[\\\u0000-\u001f\u007f]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** True for a path that a manifest takes: not longer, and without what is a drive or a stream on Windows. */
export function fitsManifest(path: string): boolean {
  return path.length <= 512 && !path.includes(':');
}

/** An ETag without quotes, and without the mark of a weak one. */
export function plainEtag(etag: string | undefined): string | undefined {
  return etag?.trim().replace(/^W\//, '').replaceAll('"', '') || undefined;
}

function judgePiece(wanted: PieceWanted, { statusCode, headers, said }: PieceAnswer): string | undefined {
  const commit = text(said['x-repo-commit']);
  if (commit !== undefined && commit !== wanted.commit) return 'is now that of another commit';
  const linked = plainEtag(text(said['x-linked-etag']));
  if (linked !== undefined && wanted.sha256 !== undefined && linked !== wanted.sha256) return 'has another digest now';
  const linkedSize = text(said['x-linked-size']);
  if (linkedSize !== undefined && linkedSize !== String(wanted.sizeBytes)) return 'has another size now';

  if (statusCode === 416) return 'is shorter than the hub said';
  const { range } = wanted;
  if (range !== undefined && statusCode === 200) {
    return wanted.conditional ? 'has changed while it was fetched' : 'came whole where a range was asked for';
  }
  if (statusCode !== (range === undefined ? 200 : 206)) return `came with status ${statusCode}`;
  const encoding = text(headers['content-encoding']) ?? 'identity';
  if (encoding !== 'identity') return 'came compressed, which was not asked for';
  const etag = plainEtag(text(headers.etag));
  if (wanted.etag !== undefined && etag !== wanted.etag) return 'has changed while it was fetched';
  if (
    range !== undefined &&
    text(headers['content-range']) !== `bytes ${range.first}-${range.last}/${wanted.sizeBytes}`
  ) {
    return 'came as another range, or has another size';
  }
  const bytes = range === undefined ? wanted.sizeBytes : range.last - range.first + 1;
  const length = text(headers['content-length']);
  return length === undefined || length === String(bytes) ? undefined : 'came with another length';
}

/** A header that is there once. */
function text(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0];
}
