// Turns whatever a request fails with into OpenAI's error body.
// Used by the gateway for every refusal and failure, before an answer has begun or as a stream's last event.
import type { ErrorBody } from '../../protocol/api/openai.ts';
import { type ErrorCode, toWeftError, WeftError, type WeftErrorInit } from '../../protocol/errors.ts';

/** Longest text in an error: it may quote a peer or a name that the client sent. */
const TEXT_LENGTH_MAX = 1_000;

/** Longest name of a parameter that comes back. */
export const PARAM_LENGTH_MAX = 100;

/** Where OpenAI has a code of its own for the same thing; clients branch on it. */
const OPENAI_CODES: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'invalid_api_key',
  context_too_long: 'context_length_exceeded',
  unsupported: 'unsupported_parameter',
  overloaded: 'rate_limit_exceeded',
  quota_exceeded: 'rate_limit_exceeded',
};

/** Seconds that a client waits after an answer which names no time of its own. */
const RETRY_AFTER_SECONDS = 1;

/** What OpenAI's API says of a failure where that is more than its code does. */
export interface HttpErrorInit extends WeftErrorInit {
  /** OpenAI's name for just this failure. */
  readonly openaiCode?: string;
}

/** A failure whose HTTP status says more than its code's usual one does (400 of not_found, 405, 408, 415, 431). */
export class HttpError extends WeftError {
  readonly openaiCode: string | undefined;
  readonly #status: number;

  constructor(status: number, init: HttpErrorInit, options?: ErrorOptions) {
    super(init, options);
    this.#status = status;
    this.openaiCode = init.openaiCode;
  }

  override get status(): number {
    return this.#status;
  }
}

/** Anything thrown, as an error that a client may see. Fastify's refusals keep their status. */
export function toClientError(error: unknown): WeftError {
  const status = isFastifyError(error) ? (error.statusCode ?? 500) : 500;
  if (status >= 400 && status < 500) {
    return new HttpError(
      status,
      { code: 'bad_request', message: 'The HTTP request is malformed.', remedy: 'Send a well-formed request.' },
      { cause: error },
    );
  }
  return toWeftError(error);
}

function isFastifyError(error: unknown): error is Error & { statusCode?: number } {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('FST_');
}

/** OpenAI's error body, and Weft's own fields in it. What is `internal` says no more than that. */
export function errorBody(error: WeftError, requestId: string): ErrorBody {
  const { code, status } = error;
  const openaiCode = error instanceof HttpError ? error.openaiCode : undefined;
  const quoted = quotedMs(error);
  return {
    error: {
      message: code === 'internal' ? 'Something failed inside the node.' : clip(error.message, TEXT_LENGTH_MAX),
      type: typeOf(status),
      param: error.facts.param === undefined ? null : clip(error.facts.param, PARAM_LENGTH_MAX),
      code: openaiCode ?? OPENAI_CODES[code] ?? code,
      weft_code: code,
      remedy: clip(error.remedy, TEXT_LENGTH_MAX),
      ...(quoted === undefined ? {} : { quoted_ms: quoted }),
      request_id: requestId,
    },
  };
}

/** Milliseconds that the answer would have taken which its deadline doesn't allow; undefined for other failures. */
export function quotedMs({ code, facts }: WeftError): number | undefined {
  if (code !== 'deadline_unmeetable') return undefined;
  const ms = Number.parseFloat(facts.quotedMs ?? '');
  return Number.isFinite(ms) && ms >= 0 ? Math.ceil(ms) : undefined;
}

/** Value of the Retry-After header, in seconds, or undefined where waiting helps nothing. */
export function retryAfter({ status, facts }: WeftError): string | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const ms = Number(facts.retryAfterMs);
  return String(ms > 0 ? Math.ceil(ms / 1_000) : RETRY_AFTER_SECONDS);
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** So much of a text, and a mark where some is missing. */
export function clip(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax).toWellFormed()}…`;
}
