// One file of a hub at one commit: its ranges, pinned to what it was when it was first seen. A range goes on where a broken
// connection stopped. Made by the client; keeps where the hub redirected to.
import { changed, connectionFailure } from './failures.ts';
import { plainEtag } from './guards.ts';
import type { HubAnswer, HubHttp } from './http.ts';

export interface RemoteFileInit {
  /** `ENDPOINT/owner/name/resolve/COMMIT/PATH`. */
  readonly url: URL;
  readonly model: string;
  readonly commit: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Of an LFS file. */
  readonly sha256: string | undefined;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Told of bytes as they arrive; of each once, however often a connection breaks. */
  readonly onBytes?: (bytes: number) => void;
}

/** Where the last redirect led, and how long that may be used again. */
interface Location {
  readonly url: URL;
  readonly untilMs: number;
}

/** A signed address answers so once its time is over. */
const EXPIRED: ReadonlySet<number> = new Set([400, 401, 403, 404, 410]);

/** ETags of a file that are kept: one per place that it lies at. Beyond these the oldest is forgotten. */
const PLACES_MAX = 8;

export class RemoteFile {
  readonly #http: HubHttp;
  readonly #init: RemoteFileInit;
  /** As first seen, by origin and path of where the file lies. */
  readonly #etags = new Map<string, string>();
  #location: Location | undefined;
  /** False once a server gave everything to a request with If-Range, although nothing had changed. */
  #mayAskIfRange = true;

  constructor(http: HubHttp, init: RemoteFileInit) {
    this.#http = http;
    this.#init = init;
  }

  /**
   * Bytes `offset` to `offset + length` of the file, unverified.
   * @throws WeftError `model_corrupt` when the file is not what the hub listed, or changed; `hub_unreachable`,
   *   `hub_refused`, `model_not_found`; or the signal's reason
   */
  async range(offset: number, length: number, options: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    const { sizeBytes } = this.#init;
    if (!(offset >= 0 && length > 0 && offset + length <= sizeBytes && length <= this.#http.limits.rangeBytesMax)) {
      throw new RangeError('The range is not in the file, or too long.');
    }
    return this.#collect(length, options, (filled) => ({ first: offset + filled, last: offset + length - 1 }));
  }

  /** The whole file in one request, unverified. @throws as {@link range} */
  whole(options: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    return this.#collect(this.#init.sizeBytes, options, () => undefined);
  }

  async #collect(
    length: number,
    { signal, onBytes }: ReadOptions,
    rangeFrom: (filled: number) => { readonly first: number; readonly last: number } | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const http = this.#http;
    const { path } = this.#init;
    const target = new Uint8Array(length);
    let filled = 0;
    let told = 0;
    const attempt = async (inner: AbortSignal): Promise<void> => {
      const range = rangeFrom(filled);
      if (range === undefined) filled = 0;
      const answer = await this.#ask(range, inner);
      await http.read(answer, inner, (piece) => {
        if (filled + piece.byteLength > length) throw changed(http.host, path, 'came with more bytes than it has');
        target.set(piece, filled);
        filled += piece.byteLength;
        if (filled > told) onBytes?.(filled - told);
        told = Math.max(told, filled);
      });
      if (filled < length) throw connectionFailure(new Error('The body ended early.'), answer.url.host);
    };
    await http.retrying(
      signal,
      async () => {
        try {
          await http.within(length - filled, signal, attempt);
        } catch (error) {
          // Perhaps of the one server that the hub chose: it may choose another.
          this.#location = undefined;
          throw error;
        }
      },
      () => told,
    );
    return target;
  }

  /** An answer that is the piece asked for. */
  async #ask(
    range: { readonly first: number; readonly last: number } | undefined,
    signal: AbortSignal,
  ): Promise<HubAnswer> {
    const http = this.#http;
    const { url, path, model, commit, sizeBytes, sha256 } = this.#init;
    const location = this.#location !== undefined && http.now < this.#location.untilMs ? this.#location.url : undefined;
    const known = this.#etags.get(placeOf(location ?? url));
    const strong = known !== undefined && !known.startsWith('W/');
    const conditional = strong && range !== undefined && this.#mayAskIfRange;
    const answer = await http.exchange(
      location ?? url,
      {
        ...(range !== undefined && { range: `bytes=${range.first}-${range.last}` }),
        ...(conditional && { 'if-range': known }),
      },
      signal,
    );
    if (location !== undefined && EXPIRED.has(answer.statusCode)) {
      this.#location = undefined;
      await http.discard(answer.body, signal);
      return this.#ask(range, signal);
    }
    if (conditional && answer.statusCode === 200 && plainEtag(answer.headers.etag) === plainEtag(known)) {
      this.#mayAskIfRange = false;
      http.drop(answer);
      return this.#ask(range, signal);
    }
    if (answer.statusCode >= 400 && answer.statusCode !== 416) {
      throw await http.refuse(answer, { model, revision: commit, path }, signal);
    }
    const place = placeOf(answer.url);
    const wanted = {
      range,
      sizeBytes,
      sha256,
      commit,
      etag: plainEtag(this.#etags.get(place)),
      conditional: conditional && place === placeOf(location ?? url),
    };
    const why = http.guards.piece(wanted, answer);
    if (why !== undefined) {
      http.drop(answer);
      throw changed(http.host, path, why);
    }
    this.#remember(answer, place);
    return answer;
  }

  #remember({ headers, url }: HubAnswer, place: string): void {
    if (headers.etag !== undefined && !this.#etags.has(place)) {
      for (const oldest of this.#etags.keys()) {
        if (this.#etags.size < PLACES_MAX) break;
        this.#etags.delete(oldest);
      }
      this.#etags.set(place, headers.etag);
    }
    if (this.#location?.url.href !== url.href) {
      this.#location = { url, untilMs: this.#http.now + this.#http.limits.locationMsMax };
    }
  }
}

/** Where a file lies; what is signed of an address changes with each redirect. */
function placeOf(url: URL): string {
  return url.origin + url.pathname;
}
