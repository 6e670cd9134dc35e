// What goes wrong with a hub, in words for people. Addresses are never shown: a redirect's may be signed.
import type { IncomingHttpHeaders } from 'node:http';
import { WeftError } from '../../protocol/errors.ts';
import { mayPass, retryAfterMs } from './retry.ts';

/** What was asked for, for messages. */
export interface Asked {
  /** `owner/name`. */
  readonly model: string;
  readonly revision: string;
  /** Of a file. */
  readonly path?: string;
}

/** A failure that may pass: worth another try, at the earliest after a while. */
export class PassingFailure extends Error {
  readonly failure: WeftError;
  /** What the server asked for. */
  readonly retryAfterMs: number | undefined;

  constructor(failure: WeftError, retryAfterMs?: number) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The hub is not to be asked. */
export function offline(host: string): WeftError {
  return new WeftError({
    code: 'hub_unreachable',
    message: `The hub ${host} is not asked: HF_HUB_OFFLINE is set.`,
    remedy: 'Unset HF_HUB_OFFLINE, or pull a model that a peer or the hub cache of this machine has.',
    facts: { host },
  });
}

/** The hub does what no hub should; asking again gives the same. */
export function misbehaves(host: string, what: string): WeftError {
  return new WeftError({
    code: 'hub_unreachable',
    message: `The hub ${host} ${what}.`,
    remedy: 'Check HF_ENDPOINT and HTTPS_PROXY: something on the way there is not what it should be.',
    facts: { host },
  });
}

/** A file is not the one that the hub listed. */
export function changed(host: string, path: string, what: string): WeftError {
  return new WeftError({
    code: 'model_corrupt',
    message: `"${path}" of the hub ${host} ${what}.`,
    remedy: 'Pull the model again; if it stays so, the hub or something on the way there is not to be trusted.',
    facts: { file: path, host },
  });
}

/** More waiting is asked for than a pull waits. */
export function throttled(host: string, waitMs: number, hasToken: boolean): WeftError {
  const seconds = Math.ceil(waitMs / 1000);
  return new WeftError({
    code: 'hub_unreachable',
    message: `The hub ${host} takes no more requests from here for ${seconds} s.`,
    remedy: `Try again after that time; what has come already is kept.${hasToken ? '' : ' With HF_TOKEN set it takes more.'}`,
    facts: { host, retryAfterSeconds: String(seconds) },
  });
}

/** Codes of a TLS handshake that ends the same the next time. */
const CERTIFICATE = /^(CERT_|ERR_TLS_|ERR_SSL_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|UND_ERR_PRX_TLS)/;

/** Turns what a connection failed with into a failure that may pass, or a final one. */
export function connectionFailure(error: unknown, host: string): WeftError | PassingFailure {
  if (error instanceof WeftError || error instanceof PassingFailure) return error;
  const code = codeOf(error);
  const make = (message: string, remedy?: string): WeftError =>
    new WeftError({ code: 'hub_unreachable', message, facts: { host }, ...(remedy && { remedy }) }, { cause: error });
  if (CERTIFICATE.test(code)) {
    const remedy = 'If your network has a certificate authority of its own, name its file in SSL_CERT_FILE.';
    return make(`The certificate of ${host} cannot be trusted.`, remedy);
  }
  if (code === 'EPRIVATE') return misbehaves(host, 'leads into a private network');
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return misbehaves(host, 'answers with too long headers');
  // The second one: undici's way to tell that a proxy for plain http wants a password (407).
  if (code === 'UND_ERR_ABORTED' || code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_PRX_CONN') {
    return make(`The proxy did not let a connection to ${host} through.`, 'Check HTTPS_PROXY and NO_PROXY.');
  }
  return new PassingFailure(make(`${host} ${REASONS[code] ?? 'broke the connection off'}.`));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'cannot be found: its name is unknown here',
  EAI_AGAIN: 'cannot be found: names cannot be looked up now',
  ECONNREFUSED: 'takes no connections',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'did not take a connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'stopped sending',
};

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && code !== '') return code;
  const [first] = error instanceof AggregateError ? error.errors : [error.cause];
  return first === undefined ? '' : codeOf(first);
}

/** What an answer with an error status means. `X-Error-Code` is the hub's own word for it. */
export function refusal(
  answer: { readonly statusCode: number; readonly headers: IncomingHttpHeaders },
  asked: Asked,
  hub: { readonly endpoint: string; readonly host: string; readonly hasToken: boolean; readonly wallNowMs: number },
): WeftError | PassingFailure {
  const { statusCode, headers } = answer;
  const { host, hasToken } = hub;
  const { model, path } = asked;
  const facts = { host, model, status: String(statusCode), ...(path !== undefined && { file: path }) };
  const missing = (message: string, remedy: string): WeftError =>
    new WeftError({ code: 'model_not_found', message, remedy, facts });
  const refused = (message: string, remedy: string): WeftError =>
    new WeftError({ code: 'hub_refused', message, remedy, facts });

  const said = headers['x-error-code'];
  if (said === 'GatedRepo') {
    const accept = `Accept its terms on ${hub.endpoint}/${model}`;
    return refused(
      `${model} is only for those who accepted its terms.`,
      hasToken
        ? `${accept} with the account that HF_TOKEN is of.`
        : `${accept}, then set HF_TOKEN to a token of yours.`,
    );
  }
  if (said === 'RevisionNotFound') {
    return missing(`The hub ${host} has no revision "${asked.revision}" of ${model}.`, 'Check the part behind the @.');
  }
  if (path !== undefined && (said === 'EntryNotFound' || statusCode === 404 || statusCode === 410)) {
    return missing(`The hub ${host} has no "${path}" in ${model}.`, 'Pull the model again.');
  }
  if (said === 'RepoNotFound' || statusCode === 404 || statusCode === 410) {
    const token = hasToken ? 'a private model needs a token that may read it' : 'for a private model set HF_TOKEN';
    return missing(`The hub ${host} has no model "${model}" that it shows to you.`, `Check the name; ${token}.`);
  }
  if (statusCode === 401) {
    return refused(
      `The hub ${host} does not let this node read ${model}.`,
      hasToken
        ? `HF_TOKEN is not valid there: make a new one on ${hub.endpoint}/settings/tokens.`
        : 'Check the name; if the model is private or has terms, set HF_TOKEN to a token that may read it.',
    );
  }
  if (statusCode === 403) {
    return refused(
      `The hub ${host} does not let this node read ${model}.`,
      hasToken
        ? `Accept the terms on ${hub.endpoint}/${model} where it has some, and check what HF_TOKEN may read.`
        : `Set HF_TOKEN, and accept the terms on ${hub.endpoint}/${model} where it has some.`,
    );
  }
  if (mayPass(statusCode)) {
    const message = statusCode === 429 ? 'throttles this node' : `fails with status ${statusCode}`;
    const failure = new WeftError({ code: 'hub_unreachable', message: `The hub ${host} ${message}.`, facts });
    return new PassingFailure(failure, retryAfterMs(headers, hub.wallNowMs));
  }
  return refused(`The hub ${host} answered with status ${statusCode}.`, 'Check the name of the model and HF_ENDPOINT.');
}
