// Signing a browser in to the node's pages, and who is signed in.
import { z } from 'zod';

/** Characters of a token or a key. */
export const SIGN_IN_LENGTH_MAX = 512;

const Secret = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(SIGN_IN_LENGTH_MAX, `must have at most ${SIGN_IN_LENGTH_MAX} characters`);

/** `POST /api/v1/session`: the token of a one-time link, or the API key. Needs no key beside it. */
export const SignInRequest = z
  .strictObject({ token: Secret.optional(), key: Secret.optional() })
  .refine(({ token, key }) => (token === undefined) !== (key === undefined), 'must have either "token" or "key"');
export type SignInRequest = z.infer<typeof SignInRequest>;

/** `POST` and `GET /api/v1/session`: how the caller is let in. */
export const SessionAnswer = z.object({
  via: z.enum(['cookie', 'key']),
  /** With a cookie: for the header `x-weft-csrf` of every request but GET and HEAD. */
  csrf: z.string().optional(),
  /** With a cookie: milliseconds since 1970, unless it is used again. */
  expiresAtMs: z.number().optional(),
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** `POST /api/v1/session/link`: signs one browser in, once. */
export const SignInLinkAnswer = z.object({
  /** Such as `http://127.0.0.1:9338/#/sign-in/TOKEN`. */
  url: z.string(),
  /** Milliseconds since 1970. */
  expiresAtMs: z.number(),
});
export type SignInLinkAnswer = z.infer<typeof SignInLinkAnswer>;

/** `DELETE /api/v1/session` and `DELETE /api/v1/sessions/{id}`. */
export const SignOutAnswer = z.object({ ended: z.literal(true) });
export type SignOutAnswer = z.infer<typeof SignOutAnswer>;

/** `GET /api/v1/sessions`: browsers that are signed in, last used first. */
export const SessionsAnswer = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      createdAtMs: z.number(),
      usedAtMs: z.number(),
      /** What the browser calls itself. */
      agent: z.string(),
      /** The one that asks. */
      current: z.boolean(),
    }),
  ),
});
export type SessionsAnswer = z.infer<typeof SessionsAnswer>;
