// Who is signed in to this node's pages: the port through which the composition root and the command line reach the
// sign-in links and sessions that the gateway keeps.

/** A link that signs one browser in, once. */
export interface SignInLink {
  /** Such as `http://127.0.0.1:9338/#/sign-in/TOKEN`. The token stands in the fragment, which no browser sends. */
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}
