// Requests to a hub and to where it redirects: redirects, tries, waits, bounds. Nothing is trusted of an answer but what the
// guards let through. Used by the client and its files.
import type { IncomingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { Dispatcher } from 'undici';
import { WeftError } from '../../protocol/errors.ts';
import { HubConnections } from './connections.ts';
import { type Asked, connectionFailure, misbehaves, offline, PassingFailure, refusal, throttled } from './failures.ts';
import { HUB_GUARDS, type HubGuards } from './guards.ts';
import { HUB_LIMITS, type HubLimits } from './limits.ts';
import { backoffMs } from './retry.ts';

/** What it uses of node/core's Clock, Random and Log; models may not import them. */
export interface HubComponents {
  readonly clock: {
    now(): number;
    wallNow(): number;
    after(ms: number, callback: () => void): { cancel(): void; hold?(): void };
  };
  readonly random: { next(): number };
  readonly log: {
    debug(fields: Readonly<Record<string, unknown>>, message: string): void;
    warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  };
}

export interface HubInit {
  /** `https://huggingface.co`, without a slash at the end; may have a path. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** Every request fails, and none opens a socket. */
  readonly offline: boolean;
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY in capitals or not; the rest is not looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Certificate authorities that are trusted beside the usual ones, as PEM text. */
  readonly ca: string | undefined;
  /** What is wrong with the settings: every request fails with it, so that a node starts all the same. */
  readonly problem?: WeftError | undefined;
  /** @default {@link HUB_LIMITS} */
  readonly limits?: Partial<HubLimits>;
  /** For tests: the guards that are left out. @default {@link HUB_GUARDS} */
  readonly guards?: Partial<HubGuards>;
  /** @default the system's */
  readonly lookup?: LookupFunction;
}

/** An answer that is no redirect. Its body must be read or destroyed. */
export interface HubAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Dispatcher.ResponseData['body'];
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** Headers that the hub itself sent on the way, redirects included. */
  readonly said: IncomingHttpHeaders;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export class HubHttp {
  readonly limits: HubLimits;
  readonly guards: HubGuards;
  /** Name of the hub, for messages. */
  readonly host: string;
  readonly #components: HubComponents;
  readonly #init: HubInit;
  readonly #connections: HubConnections;
  #closed = false;
  /** The server asked for silence until then: no request of this client breaks it. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(components: HubComponents, init: HubInit) {
    this.#components = components;
    this.#init = init;
    this.limits = { ...HUB_LIMITS, ...init.limits };
    this.guards = { ...HUB_GUARDS, ...init.guards };
    this.#connections = new HubConnections(init, this);
    this.host = URL.canParse(init.endpoint) ? new URL(init.endpoint).host : init.endpoint;
  }

  get now(): number {
    return this.#components.clock.now();
  }

  /** @throws WeftError when the hub is not to be asked at all */
  checkMayAsk(): void {
    if (this.#closed) throw new WeftError({ code: 'stopping', message: 'The node is stopping.' });
    if (this.#init.offline) throw offline(this.host);
    if (this.#init.problem !== undefined) throw this.#init.problem;
  }

  /**
   * One JSON answer, tried again where that may help.
   * @throws WeftError `model_not_found`, `hub_refused`, `hub_unreachable`, or the signal's reason
   */
  json(url: URL, asked: Asked, signal: AbortSignal): Promise<{ value: unknown; headers: IncomingHttpHeaders }> {
    const { jsonBytesMax } = this.limits;
    return this.retrying(signal, () =>
      this.within(jsonBytesMax, signal, async (inner) => {
        const answer = await this.exchange(url, { accept: 'application/json' }, inner);
        if (answer.statusCode !== 200) throw await this.refuse(answer, asked, inner);
        const pieces: Uint8Array[] = [];
        let bytes = 0;
        await this.read(answer, inner, (piece) => {
          bytes += piece.byteLength;
          if (bytes > jsonBytesMax) throw misbehaves(this.host, 'answers with more than can be read');
          pieces.push(piece);
        });
        return { value: this.#parse(Buffer.concat(pieces)), headers: answer.headers };
      }),
    );
  }

  /**
   * One request, and those that its redirects ask for; no other tries. The token goes to the hub's own origin only.
   * @throws WeftError, or PassingFailure for what may go better the next time
   */
  async exchange(start: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HubAnswer> {
    this.checkMayAsk();
    const endpoint = new URL(this.#init.endpoint);
    const seen = new Set<string>();
    const said: IncomingHttpHeaders = {};
    for (let url = start; ; ) {
      seen.add(url.href);
      const own = url.origin === endpoint.origin;
      const answer = await this.#request(url, headers, endpoint, signal);
      if (own) Object.assign(said, answer.headers);
      if (!REDIRECTS.has(answer.statusCode)) return { ...answer, url, said };
      await this.discard(answer.body, signal);
      const to = targetOf(answer.headers.location, url);
      const isPrivate = await this.#connections.isPrivate(signal);
      const why =
        to === undefined
          ? 'redirects to no address'
          : seen.has(to.href)
            ? 'redirects in circles'
            : seen.size > this.limits.redirectsMax
              ? `redirects more than ${this.limits.redirectsMax} times`
              : this.guards.redirect(url, to, { origin: endpoint.origin, private: isPrivate });
      if (why !== undefined || to === undefined) throw misbehaves(this.host, why ?? '');
      url = to;
    }
  }

  /** Gives every piece of a body to `onPiece`. @throws WeftError, PassingFailure, or what `onPiece` throws */
  async read({ body, url }: HubAnswer, signal: AbortSignal, onPiece: (piece: Uint8Array) => void): Promise<void> {
    let thrown: { readonly error: unknown } | undefined;
    try {
      for await (const piece of body) {
        try {
          onPiece(piece as Uint8Array);
        } catch (error) {
          thrown = { error };
          throw error;
        }
      }
    } catch (error) {
      if (thrown !== undefined) throw thrown.error;
      throw this.#failure(error, url, signal);
    }
  }

  /** What an answer with an error status means; its body is dropped. */
  async refuse(answer: HubAnswer, asked: Asked, signal: AbortSignal): Promise<WeftError | PassingFailure> {
    await this.discard(answer.body, signal);
    return refusal(answer, asked, {
      endpoint: this.#init.endpoint,
      host: this.host,
      hasToken: this.#init.token !== undefined,
      wallNowMs: this.#components.clock.wallNow(),
    });
  }

  /** Reads a body that nobody needs, so that its connection can be used again; closes it when there is much of it. */
  async discard(body: HubAnswer['body'], signal: AbortSignal): Promise<void> {
    try {
      await body.dump({ limit: this.limits.unreadBytesMax, signal });
    } catch (error) {
      signal.throwIfAborted();
      this.#components.log.debug({ error }, 'the rest of an answer of the hub did not come');
    }
  }

  /** Closes the connection of an answer that is not what it should be. */
  drop({ body }: HubAnswer): void {
    body.on('error', (error) => this.#components.log.debug({ error }, 'an answer of the hub was dropped'));
    body.destroy();
  }

  /**
   * Does it again when what failed may pass, after a pause that grows; as long as the server asks for, where it does.
   * @param progress bytes that have come in all tries: one that brought some counts as none
   * @throws WeftError the last failure, or the signal's reason
   */
  async retrying<T>(signal: AbortSignal, work: () => Promise<T>, progress: () => number = () => 0): Promise<T> {
    const { clock, random, log } = this.#components;
    const { attemptsMax, progressBytes, throttleMsMax } = this.limits;
    let failures = 0;
    let waitedMs = 0;
    let reached = 0;
    const tooLong = (ms: number): WeftError => throttled(this.host, ms, this.#init.token !== undefined);
    const wait = async (ms: number): Promise<void> => {
      if (waitedMs + ms > throttleMsMax) throw tooLong(ms);
      waitedMs += ms;
      await this.#pause(ms, signal);
    };
    for (;;) {
      while (clock.now() < this.#pausedUntilMs) await wait(this.#pausedUntilMs - clock.now());
      try {
        signal.throwIfAborted();
        return await work();
      } catch (error) {
        if (!(error instanceof PassingFailure)) throw error;
        if (progress() - reached >= progressBytes) failures = 0;
        reached = progress();
        failures++;
        const { failure, retryAfterMs } = error;
        if (failures >= attemptsMax) throw failure;
        log.debug({ host: this.host, reason: failure.message, failures, retryAfterMs }, 'a request to the hub failed');
        const pauseMs = Math.max(retryAfterMs ?? 0, backoffMs(failures, random.next(), this.limits));
        if (retryAfterMs === undefined) {
          await wait(pauseMs);
        } else {
          if (waitedMs + pauseMs > throttleMsMax) throw tooLong(pauseMs);
          this.#pausedUntilMs = Math.max(this.#pausedUntilMs, clock.now() + pauseMs);
        }
      }
    }
  }

  /** Ends the work when it takes longer than so many bytes may. */
  async within<T>(bytes: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { connectMs, headersMs, stallMs, redirectsMax, bytesPerSecondMin } = this.limits;
    const setUpMs = (redirectsMax + 1) * (connectMs + headersMs) + stallMs;
    const controller = new AbortController();
    const slow = new WeftError({
      code: 'hub_unreachable',
      message: `The hub ${this.host} sends too slowly to ever end.`,
      facts: { host: this.host },
    });
    const timer = this.#components.clock.after(setUpMs + (bytes / bytesPerSecondMin) * 1000, () =>
      controller.abort(new PassingFailure(slow)),
    );
    const follow = (): void => controller.abort(signal.reason);
    if (signal.aborted) follow();
    signal.addEventListener('abort', follow, { once: true });
    try {
      return await work(controller.signal);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', follow);
    }
  }

  /** Ends every request under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#connections.destroy();
  }

  async #request(
    url: URL,
    headers: Readonly<Record<string, string>>,
    endpoint: URL,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { token } = this.#init;
    const dispatcher = await this.#connections.to(url, signal);
    const { request } = await import('undici');
    const authorized = token !== undefined && this.guards.sendsToken(endpoint, url);
    try {
      signal.throwIfAborted();
      return await request(url, {
        method: 'GET',
        dispatcher,
        headers: {
          'user-agent': 'weft',
          // Digests, sizes and ranges are those of the plain file.
          'accept-encoding': 'identity',
          ...headers,
          ...(authorized && { authorization: `Bearer ${token}` }),
        },
        headersTimeout: this.limits.headersMs,
        bodyTimeout: this.limits.stallMs,
        signal,
      });
    } catch (error) {
      throw this.#failure(error, url, signal);
    }
  }

  #failure(error: unknown, url: URL, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (this.#closed) return new WeftError({ code: 'stopping', message: 'The node is stopping.' }, { cause: error });
    return connectionFailure(error, url.host);
  }

  #parse(bytes: Buffer): unknown {
    let values = 0;
    // Commas, and brackets that open: counted before anything is built of them.
    for (const byte of bytes) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) values++;
    if (values > this.limits.jsonValuesMax) throw misbehaves(this.host, 'answers with more than can be read');
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw new WeftError(
        {
          code: 'hub_unreachable',
          message: `What answers for the hub ${this.host} is no hub: its answer is not JSON.`,
          remedy: 'Check HF_ENDPOINT and HTTPS_PROXY: a login page of the network may be in between.',
          facts: { host: this.host },
        },
        { cause },
      );
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        timer.cancel();
        reject(signal.reason);
      };
      const timer = this.#components.clock.after(ms, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      timer.hold?.();
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function targetOf(location: string | readonly string[] | undefined, from: URL): URL | undefined {
  if (typeof location !== 'string' || !URL.canParse(location, from.href)) return undefined;
  const to = new URL(location, from.href);
  // Never sent, but would tell two addresses apart that are one.
  to.hash = '';
  return to;
}
