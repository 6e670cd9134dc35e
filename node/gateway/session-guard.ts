// Who asks: by the API key, or by the cookie of a browser that is signed in. Decides on the headers alone.
import type { IncomingHttpHeaders } from 'node:http';
import { WeftError } from '../../protocol/errors.ts';
import type { Guards } from './auth.ts';
import { SIGN_IN_LIMITS } from './limits.ts';
import type { OwnSession, Sessions } from './sessions.ts';

export interface SessionGuardComponents {
  readonly guards: Pick<Guards, 'key' | 'csrf'>;
  readonly sessions: Pick<Sessions, 'use'>;
}

export interface SessionGuardInit {
  readonly cookie: string;
}

/** Methods that change nothing. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Name of a node's cookie. Browsers keep cookies by host, whatever the port: nodes on one machine must not take each
 * other's for their own, nor overwrite them. The beginning of all node ids is the same.
 */
export function cookieName(nodeId: string): string {
  return `weft_session_${nodeId.replace(/[^0-9A-Za-z]/g, '').slice(-12)}`;
}

/**
 * Lets a request pass, or not.
 * @returns the session, where a cookie lets it in; undefined where the key does
 * @throws WeftError `unauthorized`, or `forbidden` for a change by a cookie alone
 */
export function admitCaller(
  { guards, sessions }: SessionGuardComponents,
  { cookie }: SessionGuardInit,
  request: { readonly method: string; readonly headers: IncomingHttpHeaders },
): OwnSession | undefined {
  const { method, headers } = request;
  const token = headers.authorization === undefined ? cookieOf(headers, cookie) : undefined;
  if (token === undefined) {
    guards.key(headers);
    return undefined;
  }
  const session = sessions.use(token);
  if (session === undefined) {
    throw new WeftError({
      code: 'unauthorized',
      message: 'The session has ended.',
      remedy: 'Sign in again: `weft dashboard` makes a link.',
    });
  }
  if (!SAFE.has(method)) guards.csrf(headers, session.csrf);
  return session;
}

/** The header that sets the cookie, or takes it away where there is no token. */
export function setCookie(init: { readonly cookie: string; readonly token: string; readonly secure: boolean }): string {
  const seconds = init.token === '' ? 0 : Math.floor(SIGN_IN_LIMITS.sessionMs / 1_000);
  const secure = init.secure ? '; Secure' : '';
  return `${init.cookie}=${init.token}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** The value of this node's cookie, where the request carries one of the right form. */
export function cookieOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    if (/^[A-Za-z0-9_-]{43}$/.test(value)) return value;
  }
  return undefined;
}
