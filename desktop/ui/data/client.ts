// The node's HTTP API, from the pages. Same origin always: in a browser that is the node, in the desktop app its main process, which
// forwards. Whoever needs the node goes through `api`; what it throws is an ApiError with what to tell a person.
import type { SessionAnswer } from './contract.ts';
import { type SseEvent, SseParser } from './sse.ts';

/** What went wrong, why, and what to do: the node's own words where there are any. */
export class ApiError extends Error {
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** The node's error code, `unreachable` where no answer came, or `unknown`. */
  readonly code: string;
  readonly remedy: string;
  readonly requestId: string | undefined;

  constructor(init: {
    readonly status: number;
    readonly code: string;
    readonly message: string;
    readonly remedy?: string;
    readonly requestId?: string | undefined;
    readonly cause?: unknown;
  }) {
    super(init.message, { cause: init.cause });
    this.name = 'ApiError';
    this.status = init.status;
    this.code = init.code;
    this.remedy = init.remedy ?? '';
    this.requestId = init.requestId;
  }
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StreamOptions extends CallOptions {
  /** Behind this event. */
  readonly lastEventId?: string;
  readonly method?: 'GET' | 'POST';
  readonly body?: unknown;
  /** The answer has begun. */
  readonly onOpen?: () => void;
  /** Also for blocks without data (keep-alives), with an empty list: `lastId` may have moved on. */
  readonly onEvents?: (events: readonly SseEvent[], lastId: string) => void;
  readonly onEvent?: (event: SseEvent) => void;
}

export interface Client {
  /** @throws ApiError */
  get<T>(path: string, options?: CallOptions): Promise<T>;
  /** @throws ApiError */
  post<T>(path: string, body?: unknown, options?: CallOptions): Promise<T>;
  /** @throws ApiError */
  patch<T>(path: string, body: unknown, options?: CallOptions): Promise<T>;
  /** @throws ApiError */
  delete<T>(path: string, options?: CallOptions): Promise<T>;
  /** Reads server-sent events until the stream ends. @throws ApiError, also when it breaks */
  stream(path: string, options: StreamOptions): Promise<void>;
  /** The answer as it comes, for downloads and other kinds of bodies. @throws ApiError unless 2xx */
  raw(method: string, path: string, init?: CallOptions & { readonly body?: BodyInit }): Promise<Response>;
  /** Signs in by a one-time token or by the API key. @throws ApiError */
  signIn(by: { readonly token: string } | { readonly key: string }): Promise<SessionAnswer>;
  signOut(): Promise<void>;
  /** Listens for the moment in which the node no longer knows this page, or knows it as another's. */
  onSignedOut(listener: () => void): () => void;
}

export interface ClientComponents {
  readonly fetch: typeof fetch;
}

const SESSION = '/api/v1/session';

/** @param components what reaches the node; the browser's own fetch in the app */
export function createClient({ fetch }: ClientComponents): Client {
  /** Undefined: not asked yet. */
  let session: Promise<SessionAnswer> | undefined;
  /** Sign-ins so far: what was refused before one says nothing about the time after it. */
  let signIns = 0;
  /** The node has answered this page as one that it knows. */
  let known = false;
  const listeners = new Set<() => void>();
  const forget = (): void => {
    known = false;
    session = undefined;
    for (const listener of listeners) listener();
  };

  const call = async (
    method: string,
    path: string,
    init: CallOptions & { body?: BodyInit | undefined; json?: unknown },
  ) => {
    const headers = new Headers(init.headers);
    let body = init.body;
    if (init.json !== undefined) {
      headers.set('content-type', 'application/json');
      body = JSON.stringify(init.json);
    }
    if (method !== 'GET' && path !== SESSION) {
      session ??= open<SessionAnswer>('GET', SESSION, {});
      const { csrf } = await session.catch((error: unknown) => {
        session = undefined;
        throw error;
      });
      if (csrf !== undefined) headers.set('x-weft-csrf', csrf);
    }
    const before = signIns;
    const signsIn = path === SESSION && method === 'POST';
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body ?? null,
        signal: init.signal ?? null,
        credentials: 'same-origin',
      });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      throw new ApiError({ status: 0, code: 'unreachable', message: '', cause: error });
    }
    if (response.ok) {
      known ||= !signsIn;
      return response;
    }
    const error = await failure(response);
    // A sign-in that is refused says so itself; anything else that is refused means that the session has ended.
    if (response.status === 401 && before === signIns && !signsIn) {
      forget();
    }
    // The token of an older session: the next attempt asks for the one that holds now.
    if (response.status === 403) session = undefined;
    throw error;
  };

  const open = async <T>(method: string, path: string, init: CallOptions & { json?: unknown }): Promise<T> => {
    const response = await call(method, path, init);
    const text = await response.text();
    return (text === '' ? {} : JSON.parse(text)) as T;
  };

  return {
    get: (path, options = {}) => open('GET', path, options),
    post: (path, body = {}, options = {}) => open('POST', path, { ...options, json: body }),
    patch: (path, body, options = {}) => open('PATCH', path, { ...options, json: body }),
    delete: (path, options = {}) => open('DELETE', path, options),
    raw: (method, path, init = {}) => call(method, path, init),
    async stream(path, { onEvents, onEvent, onOpen, lastEventId, method = 'GET', body, ...options }) {
      const headers: Record<string, string> = { ...options.headers, accept: 'text/event-stream' };
      if (lastEventId !== undefined && lastEventId !== '') headers['last-event-id'] = lastEventId;
      const response = await call(method, path, { ...options, headers, json: body });
      onOpen?.();
      const parser = new SseParser();
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      if (reader === undefined) return;
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          const events = parser.push(value);
          onEvents?.(events, parser.lastId);
          if (onEvent !== undefined) for (const event of events) onEvent(event);
        }
      } catch (error) {
        if (options.signal?.aborted === true) throw error;
        throw new ApiError({ status: 0, code: 'unreachable', message: '', cause: error });
      } finally {
        await reader.cancel().catch(() => undefined); // it may have ended by itself
      }
    },
    async signIn(by) {
      const answer = await open<SessionAnswer>('POST', SESSION, { json: by });
      // A link that is opened in a page that is in may be another person's; a key is typed where nobody is in, or renewed by who is.
      if (known && 'token' in by) forget();
      signIns += 1;
      session = Promise.resolve(answer);
      return answer;
    },
    async signOut() {
      await (await call('GET', SESSION, {}))
        .json()
        .then((answer: SessionAnswer) =>
          call('DELETE', SESSION, answer.csrf === undefined ? {} : { headers: { 'x-weft-csrf': answer.csrf } }),
        );
      forget();
    },
    onSignedOut(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The node's error body (that of OpenAI's API, with `weft_code` and `remedy`), or what little the status tells. */
async function failure(response: Response): Promise<ApiError> {
  const requestId = response.headers.get('x-request-id') ?? undefined;
  const body = (await response.json().catch(() => undefined)) as
    | { error?: { message?: unknown; weft_code?: unknown; code?: unknown; remedy?: unknown } }
    | undefined;
  const error = body?.error;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return new ApiError({
    status: response.status,
    code: text(error?.weft_code) || text(error?.code) || 'unknown',
    message: text(error?.message) || `${response.status} ${response.statusText}`.trim(),
    remedy: text(error?.remedy),
    requestId,
  });
}

/** The node behind this page. */
export const api: Client = createClient({ fetch: (...args) => globalThis.fetch(...args) });
