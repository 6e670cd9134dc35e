// /api/v1/session and /api/v1/sessions: a browser signs in by a one-time link or the API key, and out; the owner sees who is
// signed in, and ends what should not be.

import type { SessionAnswer, SessionsAnswer, SignInLinkAnswer, SignOutAnswer } from '../../protocol/api/control.ts';
import { EmptyRequest, SignInRequest } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { SignInLink } from '../core/sessions.ts';
import type { Guards } from './auth.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import type { OneTimeTokens } from './one-time-tokens.ts';
import { cookieOf, setCookie } from './session-guard.ts';
import type { OwnSession, Sessions } from './sessions.ts';
import type { SignInRate } from './sign-in-rate.ts';

export interface SessionComponents {
  readonly sessions: Sessions;
  readonly tokens: Pick<OneTimeTokens, 'redeem'>;
  readonly rate: SignInRate;
  readonly guards: Pick<Guards, 'key'>;
  /** Makes a link that signs one browser in. */
  readonly link: () => SignInLink;
}

export interface SessionInit {
  /** Name of the cookie. */
  readonly cookie: string;
}

/** The endpoints. */
export function session(components: SessionComponents, { cookie }: SessionInit): readonly Endpoint[] {
  const { sessions, link } = components;
  return [
    {
      method: 'POST',
      url: '/api/v1/session',
      open: true,
      async handle(exchange): Promise<SessionAnswer> {
        checkProof(components, await beforeTheEnd(exchange, exchange.readJson(SignInRequest)));
        const agent = exchange.headers['user-agent'] ?? '';
        // The browser forgets its cookie for the new one, and nobody else has it.
        const before = cookieOf(exchange.headers, cookie);
        if (before !== undefined) sessions.replace(before);
        const session = await sessions.begin({ agent });
        keep(exchange, cookie, session.token);
        return answerOf(session);
      },
    },
    {
      method: 'GET',
      url: '/api/v1/session',
      handle(exchange): SessionAnswer {
        const { session } = exchange;
        if (session === undefined) return { via: 'key' };
        // The browser forgets the cookie when the node does the session: later, as it was used now.
        keep(exchange, cookie, session.token);
        return answerOf(session);
      },
    },
    {
      method: 'DELETE',
      url: '/api/v1/session',
      async handle(exchange): Promise<SignOutAnswer> {
        keep(exchange, cookie, '');
        if (exchange.session !== undefined) await sessions.end(exchange.session.id);
        return { ended: true };
      },
    },
    {
      method: 'POST',
      url: '/api/v1/session/link',
      async handle(exchange): Promise<SignInLinkAnswer> {
        await exchange.readJson(EmptyRequest);
        return link();
      },
    },
    {
      method: 'GET',
      url: '/api/v1/sessions',
      handle: (exchange): SessionsAnswer => ({
        sessions: sessions.list().map((view) => ({ ...view, current: view.id === exchange.session?.id })),
      }),
    },
    {
      method: 'DELETE',
      url: '/api/v1/sessions/:id',
      async handle(exchange): Promise<SignOutAnswer> {
        await sessions.end(exchange.parameter('id'));
        return { ended: true };
      },
    },
  ];
}

/** @throws WeftError `unauthorized`, or `overloaded` after too many that were wrong */
function checkProof({ tokens, rate, guards }: SessionComponents, { token, key }: SignInRequest): void {
  if (token !== undefined) {
    // Nobody guesses 256 bits: a right one is taken however often others were wrong.
    if (tokens.redeem(token)) return;
    rate.check();
    rate.failed();
    throw new WeftError({
      code: 'unauthorized',
      message: 'This sign-in link was used already, is too old, or is not of this node.',
      remedy: 'Make a new one: `weft dashboard`.',
    });
  }
  rate.check();
  try {
    guards.key({ authorization: `Bearer ${key}` });
  } catch (error) {
    rate.failed();
    throw error;
  }
}

function answerOf({ csrf, expiresAtMs }: OwnSession): SessionAnswer {
  return { via: 'cookie', csrf, expiresAtMs };
}

/** A page that came over TLS, through a proxy, has its cookie sent back over TLS only. */
function keep({ reply, headers }: Exchange, cookie: string, token: string): void {
  reply.header('set-cookie', setCookie({ cookie, token, secure: headers.origin?.startsWith('https://') === true }));
}

/** Strangers have no more time than their exchange, although a body that doesn't come is waited for longer. */
function beforeTheEnd<Value>({ signal }: Exchange, work: Promise<Value>): Promise<Value> {
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  ]);
}
