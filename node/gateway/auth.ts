// Who may ask at all: checks on the headers alone, made before a byte of the body is read. Each guard stands for itself,
// so that a test can leave one out and show the attack that it stops.
import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import { HttpError } from './errors.ts';
import { digestOf, sameSecret } from './secrets.ts';

/** Checks of one request's headers. Each throws a WeftError. */
export interface Guards {
  /** An address that strangers reach, and a key that they can guess. @throws `config_invalid` */
  listen(): void;
  /** DNS rebinding: the page's own name, pointed at this machine, comes as the Host. @throws `forbidden` */
  host(headers: IncomingHttpHeaders): void;
  /**
   * A page of another origin, or one that hides its own.
   * @returns the foreign origin to name in CORS headers, or undefined where there is none
   * @throws `forbidden`
   */
  origin(headers: IncomingHttpHeaders): string | undefined;
  /** @throws `unauthorized` */
  key(headers: IncomingHttpHeaders): void;
  /**
   * A page that has the browser send its cookie: the node's own pages alone know what belongs to it.
   * @param expected of the session
   * @throws `forbidden`
   */
  csrf(headers: IncomingHttpHeaders, expected: string): void;
  /** What a form or a page can send without asking first is no JSON. @throws `forbidden`, or status 415 */
  contentType(headers: IncomingHttpHeaders): void;
}

export interface GuardsInit {
  /** Name or address that the server is bound to. */
  readonly host: string;
  /** The key of the day: a new one counts from the next request on. */
  readonly apiKey: () => string;
  /** Web origins that may call, such as `https://chat.example.org`; their hosts may stand in the Host header too. */
  readonly origins: () => readonly string[];
}

/** Beyond loopback a key can be guessed at leisure: 16 characters are the least that is no word. */
const REMOTE_KEY_LENGTH_MIN = 16;

/** What the node's own pages send along with everything that changes something. */
const CSRF_HEADER = 'x-weft-csrf';

/** Types that a page can send to any address without a preflight (Fetch standard, CORS-safelisted request-header). */
const SAFELISTED = new Set(['', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']);

/** @throws WeftError `config_invalid` when the node would answer without authentication, or beyond loopback with a weak key */
function checkListen({ host, apiKey: current }: GuardsInit): void {
  const apiKey = current();
  if (apiKey === '') {
    throw new WeftError({
      code: 'config_invalid',
      message: 'The API has no key.',
      remedy: 'Set WEFT_API_KEY, or leave it unset so that a key is made.',
    });
  }
  if (isLoopback(hostnameOf(host) ?? host) || apiKey.length >= REMOTE_KEY_LENGTH_MIN) return;
  throw new WeftError({
    code: 'config_invalid',
    message: `The API key is too short to listen on ${host}, beyond this machine.`,
    remedy: `Set a WEFT_API_KEY of at least ${REMOTE_KEY_LENGTH_MIN} characters, or listen on 127.0.0.1.`,
  });
}

/** @throws HttpError 431 for more headers than any client sends */
export function checkHeaderCount({ rawHeaders }: IncomingMessage, headersMax: number): void {
  // Names and values in turn.
  if (rawHeaders.length <= 2 * headersMax) return;
  throw new HttpError(431, {
    code: 'bad_request',
    message: `The request has more than ${headersMax} headers.`,
    remedy: 'Send fewer headers.',
  });
}

/** The guards that every node has. */
export function createGuards(init: GuardsInit): Guards {
  const bound = hostnameOf(init.host) ?? init.host;
  const allowed = memoized(init.origins, (list) => {
    const origins = new Set(list.map((origin) => origin.toLowerCase()));
    const names = new Set([bound]);
    for (const origin of origins) {
      const name = URL.parse(origin)?.hostname;
      if (name) names.add(name);
    }
    return { origins, names };
  });
  // Bound to every address, the node can't know its own; but an address, unlike a name, can't be rebound.
  const anyAddress = bound === '0.0.0.0' || bound === '[::]';
  const keyDigest = memoized(init.apiKey, digestOf);

  return {
    listen: () => checkListen(init),

    host({ host }) {
      const name = host === undefined ? undefined : hostnameOf(host);
      if (name !== undefined && (allowed().names.has(name) || isLoopback(name) || (anyAddress && isAddress(name))))
        return;
      throw forbidden(
        'The Host header names no address of this node.',
        'Call the node by the address that `weft status` shows, or add the origin to WEFT_ORIGINS.',
      );
    },

    origin(headers) {
      const origin = headers.origin?.toLowerCase();
      if (origin !== undefined && origin !== 'null' && allowed().origins.has(origin)) return origin;
      // The node's own pages: `host` was checked before.
      if (origin !== undefined && origin === `http://${headers.host?.toLowerCase()}`) return undefined;
      const site = headers['sec-fetch-site'];
      if (origin === undefined && (site === undefined || site === 'same-origin' || site === 'none')) return undefined;
      throw forbidden(
        'Pages of this origin may not call the node.',
        'Add the origin to WEFT_ORIGINS if you trust its pages.',
      );
    },

    key({ authorization }) {
      const given = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
      // Digests have one length, and comparing them takes one time, whatever was sent.
      if (given !== undefined && timingSafeEqual(digestOf(given), keyDigest())) return;
      throw new WeftError({
        code: 'unauthorized',
        message: given === undefined ? 'The request carries no API key.' : 'The API key is wrong.',
      });
    },

    csrf(headers, expected) {
      const given = headers[CSRF_HEADER];
      if (typeof given === 'string' && sameSecret(given, expected)) return;
      throw forbidden(
        `The request changes something, and lacks the header ${CSRF_HEADER} of its session.`,
        'Send the `csrf` that GET /api/v1/session gives; with an API key the header is not needed.',
      );
    },

    contentType(headers) {
      const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
      if (type === 'application/json') return;
      const remedy = 'Send the body as JSON with the header "content-type: application/json".';
      if (SAFELISTED.has(type)) throw forbidden('A body of this type could come from any web page.', remedy);
      throw new HttpError(415, { code: 'bad_request', message: 'The body is not of type application/json.', remedy });
    },
  };
}

/** What is made of a setting, made anew when the setting is another. */
function memoized<Value, Made>(read: () => Value, make: (value: Value) => Made): () => Made {
  let value = read();
  let made = make(value);
  return () => {
    const now = read();
    if (now !== value) {
      value = now;
      made = make(now);
    }
    return made;
  };
}

/** Host part of a Host header or of an address to bind to, as URLs write it; undefined when it is neither. */
function hostnameOf(host: string): string | undefined {
  if (/[\s/?#@\\]/.test(host)) return undefined;
  return URL.parse(`http://${isIP(host) === 6 ? `[${host}]` : host}`)?.hostname;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
}

function isAddress(hostname: string): boolean {
  return isIP(hostname) === 4 || (hostname.startsWith('[') && isIP(hostname.slice(1, -1)) === 6);
}

function forbidden(message: string, remedy: string): WeftError {
  return new WeftError({ code: 'forbidden', message, remedy });
}
