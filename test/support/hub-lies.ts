// What the hub of the tests (hub-server.ts) can be made to do wrong.

/** What the hub does other than a hub should. Those about bytes are told where the bytes come from: hub or CDN. */
export type LieKind =
  /** A byte of the body is another one. */
  | 'wrong-bytes'
  /** After `afterBytes` nothing more comes; the connection stays. */
  | 'stall'
  /** No answer at all; the connection stays. */
  | 'silent'
  /** After `afterBytes` the connection is reset. */
  | 'truncate'
  /** The body ends properly after `afterBytes`, without a length having been named. */
  | 'short'
  /** The body has `afterBytes` more than it should, without a length having been named. */
  | 'long'
  /** 200 and the whole file where a range was asked for. */
  | 'whole'
  /** Every answer has another ETag; If-Range is not understood. */
  | 'etag'
  /** Every answer has another ETag, and is whole where If-Range names the one before. */
  | 'changed'
  /** Answers have no ETag. */
  | 'no-etag'
  /** The Content-Range is another one than was asked for. */
  | 'range'
  /** `Content-Encoding: gzip`. */
  | 'gzip'
  /** The body comes at `bytesPerSecond`. */
  | 'slow'
  /** Redirects to itself and back. */
  | 'circle'
  /** Redirects further and further. */
  | 'hops'
  /** Redirects to `to`. */
  | 'redirect'
  /** 429, with `retryAfter` as its Retry-After. */
  | 'throttle'
  /** `status`, with `errorCode` as X-Error-Code. */
  | 'fail'
  /** Lists files with one byte more than they have. */
  | 'size'
  /** The redirect to the bytes says another digest. */
  | 'linked-etag'
  /** The redirect to the bytes says another commit. */
  | 'commit'
  /** `text` instead of the JSON. */
  | 'text'
  /** Each page of the file list has a next one. */
  | 'endless'
  /** The file list has a file called `path`, beside the others. */
  | 'path';

export interface Lie {
  readonly kind: LieKind;
  /** Of which requests, by path and query. @default all that it can be told of */
  readonly on?: RegExp;
  /** How often it is told. @default always */
  readonly times?: number;
  /** @default 1000 */
  readonly afterBytes?: number;
  readonly bytesPerSecond?: number;
  /** @default 500 */
  readonly status?: number;
  readonly errorCode?: string;
  readonly retryAfter?: string;
  readonly to?: string;
  readonly text?: string;
  readonly path?: string;
}

/** A lie that was ordered. */
export interface Told {
  /** How often so far. */
  readonly times: number;
  /** Tells it no more. */
  stop(): void;
}
