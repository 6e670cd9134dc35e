// Talks to a running daemon over its HTTP API. Every command but `serve` goes through here.
import { isErrorCode, WeftError } from '../../protocol/errors.ts';
import { ANSWER_MS_MAX, BODY_BYTES_MAX, CONTROL_MS_MAX, FETCH_MS_MAX, STREAM_SILENCE_MS_MAX } from './limits.ts';
import { patientFetch } from './patient-fetch.ts';
import { readSse, type SseEvent } from './sse.ts';
import { inWordsOfOptions } from './urgency-options.ts';

/** Where a daemon answers, and the key that it asks for. */
export interface DaemonAddress {
  /** Such as `http://127.0.0.1:9338`. */
  readonly url: string;
  readonly key: string;
  /** What to do when the key is refused. @default what the daemon says */
  readonly keyRemedy?: string;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Milliseconds until the whole answer must be here; Infinity = for as long as it takes. @default CONTROL_MS_MAX */
  readonly timeoutMs?: number;
  /** Beside those of every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A JSON answer, and what its headers say. */
export interface Answer<Body> {
  readonly body: Body;
  readonly headers: Headers;
}

/** A streamed answer. `events` can be read once. */
export interface StreamedAnswer {
  readonly events: AsyncIterable<SseEvent>;
  readonly headers: Headers;
}

/**
 * The daemon's API. Every method throws a WeftError: `daemon_not_running` when nobody answers at the address,
 * `deadline_exceeded` past the timeout, `cancelled` after the signal, and what the daemon answered, by its code.
 */
export class Client {
  readonly #daemon: DaemonAddress;

  constructor(daemon: DaemonAddress) {
    this.#daemon = daemon;
  }

  async get<Body>(path: string, options: CallOptions): Promise<Body> {
    return (await this.#json<Body>(path, undefined, options)).body;
  }

  async post<Body>(path: string, body: unknown, options: CallOptions): Promise<Answer<Body>> {
    return this.#json<Body>(path, body, options);
  }

  async delete<Body>(path: string, options: CallOptions): Promise<Answer<Body>> {
    return this.#json(path, undefined, options, 'DELETE');
  }

  async patch<Body>(path: string, body: unknown, options: CallOptions): Promise<Answer<Body>> {
    return this.#json<Body>(path, body, options, 'PATCH');
  }

  /** Posts, and reads the answer as server-sent events. Silence past {@link STREAM_SILENCE_MS_MAX} ends it. */
  async stream(path: string, body: unknown, options: Omit<CallOptions, 'timeoutMs'>): Promise<StreamedAnswer> {
    return this.#stream(path, { ...options, body, answerMs: ANSWER_MS_MAX, silenceMs: STREAM_SILENCE_MS_MAX });
  }

  /**
   * Server-sent events for as long as the caller reads them: nothing may happen for hours.
   * @param options.lastEventId goes on behind this event
   */
  async watch(
    path: string,
    options: { readonly signal: AbortSignal; readonly lastEventId?: string | undefined },
  ): Promise<StreamedAnswer> {
    const { signal, lastEventId } = options;
    const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return this.#stream(path, { signal, headers, answerMs: CONTROL_MS_MAX, silenceMs: undefined });
  }

  async #stream(path: string, init: StreamInit): Promise<StreamedAnswer> {
    const { body, signal, headers, answerMs, silenceMs } = init;
    const silence = new Silence();
    const both = AbortSignal.any([signal, silence.signal]);
    const translate = (error: unknown) => fromFetch(error, signal, silence.signal, this.#daemon.url);
    silence.begin(answerMs);
    try {
      const response = await this.#fetch(path, body, both, headers);
      if (!response.ok || response.body === null) throw await this.#refusal(response);
      return { events: watched(readSse(response.body), { silence, silenceMs, translate }), headers: response.headers };
    } catch (error) {
      silence.end();
      throw translate(error);
    }
  }

  async #json<Body>(
    path: string,
    body: unknown,
    options: CallOptions,
    method?: 'PATCH' | 'DELETE',
  ): Promise<Answer<Body>> {
    const timeoutMs = options.timeoutMs ?? CONTROL_MS_MAX;
    const timeout = timeoutMs === Number.POSITIVE_INFINITY ? NEVER : AbortSignal.timeout(timeoutMs);
    const send = timeoutMs > FETCH_MS_MAX ? patientFetch : fetch;
    try {
      const signal = AbortSignal.any([options.signal, timeout]);
      const response = await this.#fetch(path, body, signal, options.headers ?? {}, method, send);
      if (!response.ok) throw await this.#refusal(response);
      return { body: JSON.parse(await readText(response)) as Body, headers: response.headers };
    } catch (error) {
      throw fromFetch(error, options.signal, timeout, this.#daemon.url);
    }
  }

  async #refusal(response: Response): Promise<WeftError> {
    const error = inWordsOfOptions(await readError(response), Number(response.headers.get('retry-after')));
    const { keyRemedy } = this.#daemon;
    if (error.code !== 'unauthorized' || keyRemedy === undefined) return error;
    const { code, message, facts } = error;
    return new WeftError({ code, message, remedy: keyRemedy, facts });
  }

  #fetch(
    path: string,
    body: unknown,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
    method = body === undefined ? 'GET' : 'POST',
    send: typeof fetch | typeof patientFetch = fetch,
  ): Promise<Response> {
    return send(new URL(path, this.#daemon.url), {
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${this.#daemon.key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
      redirect: 'error',
    });
  }
}

/** Of a wait without an end of its own. */
const NEVER = new AbortController().signal;

interface StreamInit {
  readonly body?: unknown;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the answer begins. */
  readonly answerMs: number;
  /** Between two events; undefined = for ever. */
  readonly silenceMs: number | undefined;
}

/** A deadline that every event pushes back. */
class Silence {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @param ms undefined = for ever */
  begin(ms: number | undefined): void {
    clearTimeout(this.#timer);
    if (ms !== undefined) this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

async function* watched(
  events: AsyncIterable<SseEvent>,
  init: {
    readonly silence: Silence;
    readonly silenceMs: number | undefined;
    readonly translate: (error: unknown) => WeftError;
  },
): AsyncGenerator<SseEvent, void> {
  const { silence, silenceMs, translate } = init;
  try {
    silence.begin(silenceMs);
    for await (const event of events) {
      silence.begin(silenceMs);
      yield event;
    }
  } catch (error) {
    throw translate(error);
  } finally {
    silence.end();
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new WeftError({ code: 'frame_invalid', message: 'The node sent an answer longer than this client reads.' });
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The error of an answer that isn't a success: OpenAI's error body with Weft's code and remedy in it. */
async function readError(response: Response): Promise<WeftError> {
  const text = await readText(response);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined; // not one of ours: a proxy, or another program at this address
  }
  return (
    errorOf(body) ??
    new WeftError({
      code: 'internal',
      message: `The program at this address answered with status ${response.status}, and not as Weft does.`,
      remedy: 'Check with `weft status` which daemon runs, and restart it.',
    })
  );
}

/** The error inside a body or an event `{ error: { message, weft_code, remedy, request_id } }`, or undefined. */
export function errorOf(body: unknown): WeftError | undefined {
  const error = field(body, 'error');
  const message = field(error, 'message');
  if (typeof message !== 'string') return undefined;
  const code = field(error, 'weft_code');
  const remedy = field(error, 'remedy');
  const requestId = field(error, 'request_id');
  const quotedMs = field(error, 'quoted_ms');
  return new WeftError({
    code: typeof code === 'string' && isErrorCode(code) ? code : 'internal',
    message,
    ...(typeof remedy === 'string' ? { remedy } : {}),
    facts: {
      ...(typeof requestId === 'string' ? { requestId } : {}),
      ...(typeof quotedMs === 'number' ? { quotedMs: String(quotedMs) } : {}),
    },
  });
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** What fetch and its body throw, as the code that says what to do. */
function fromFetch(error: unknown, asked: AbortSignal, timeout: AbortSignal, url: string): WeftError {
  if (error instanceof WeftError) return error;
  if (asked.aborted) return new WeftError({ code: 'cancelled', message: 'The request was ended.' }, { cause: error });
  if (timeout.aborted) {
    return new WeftError(
      {
        code: 'deadline_exceeded',
        message: 'The daemon did not answer in time.',
        remedy: 'Look at its output; restart it if it hangs.',
      },
      { cause: error },
    );
  }
  if (error instanceof SyntaxError) {
    return new WeftError(
      { code: 'internal', message: `The program at ${url} does not answer as Weft does.` },
      { cause: error },
    );
  }
  return error instanceof TypeError && hasCode(error.cause, 'ECONNREFUSED')
    ? new WeftError({ code: 'daemon_not_running', message: `No daemon answers at ${url}.` }, { cause: error })
    : new WeftError(
        {
          code: 'daemon_not_running',
          message: 'The connection to the daemon broke.',
          remedy: 'Look at its output; start it again with `weft serve` if it has ended.',
        },
        { cause: error },
      );
}

function hasCode(error: unknown, code: string): boolean {
  if (error instanceof AggregateError) return error.errors.some((one) => hasCode(one, code));
  return field(error, 'code') === code;
}
