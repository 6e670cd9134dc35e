// Browsers that are signed in: made from a one-time link or the API key, kept over restarts as digests, listed and ended
// by the owner. All of them end when the API key is another.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Store } from '../core/store.ts';
import { SIGN_IN_LIMITS } from './limits.ts';
import { digestOf, sameSecret } from './secrets.ts';

export interface SessionsComponents {
  readonly clock: Pick<Clock, 'wallNow'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Pick<Log, 'warn'>;
  /** Keeps them over a restart. @default they end with the node */
  readonly store?: Pick<Store, 'read' | 'write'>;
}

export interface SessionsInit {
  /** The key of the day. */
  readonly apiKey: () => string;
}

/** A session as its owner sees it. */
export interface SessionView {
  /** To end it by; worth nothing else. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly usedAtMs: number;
  /** What the browser calls itself. */
  readonly agent: string;
}

/** A session, while the one whose it is asks. */
export interface OwnSession {
  readonly id: string;
  /** Of its cookie. */
  readonly token: string;
  /** What the node's own pages send along with everything that changes something. */
  readonly csrf: string;
  /** Unless it is used again. */
  readonly expiresAtMs: number;
}

const DOCUMENT = 'sessions';

const Kept = z.object({
  version: z.literal(1),
  salt: z.string(),
  /** Tells whether the API key is still the one under which they were made. */
  seal: z.string(),
  sessions: z.array(
    z.object({
      id: z.string(),
      digest: z.string(),
      createdAtMs: z.number(),
      usedAtMs: z.number(),
      agent: z.string(),
    }),
  ),
});
type Kept = z.infer<typeof Kept>;

interface Session extends SessionView {
  readonly digest: Buffer;
  usedAtMs: number;
  /** As the document has it. */
  keptUsedAtMs: number;
}

export class Sessions {
  readonly #components: SessionsComponents;
  readonly #init: SessionsInit;
  /** By id, oldest first. */
  readonly #sessions = new Map<string, Session>();
  readonly #listeners = new Set<(id: string) => void>();

  constructor(components: SessionsComponents, init: SessionsInit) {
    this.#components = components;
    this.#init = init;
  }

  /** With those of an earlier run, where the key is the same. A document that can't be read costs the sessions in it. */
  static async open(components: SessionsComponents, init: SessionsInit): Promise<Sessions> {
    const sessions = new Sessions(components, init);
    const bytes = await components.store?.read(DOCUMENT);
    if (bytes === undefined) return sessions;
    const kept = parse(bytes);
    if (kept === undefined) {
      components.log.warn({}, 'the sessions of browsers could not be read: they have to sign in again');
      return sessions;
    }
    if (sameSecret(kept.seal, sealOf(init.apiKey(), kept.salt))) {
      for (const { digest, ...view } of kept.sessions) {
        const session = { ...view, digest: Buffer.from(digest, 'base64url'), keptUsedAtMs: view.usedAtMs };
        sessions.#sessions.set(view.id, session);
      }
    }
    return sessions;
  }

  /**
   * Signs a browser in. Past the bound, the session ends that was not used for the longest time.
   * @param init.agent what the browser calls itself
   * @returns the session with the token for its cookie, which nothing else holds
   */
  async begin({ agent }: { readonly agent: string }): Promise<OwnSession> {
    const { clock, random } = this.#components;
    const nowMs = clock.wallNow();
    const token = Buffer.from(random.bytes(32)).toString('base64url');
    const id = Buffer.from(random.bytes(9)).toString('base64url');
    const session: Session = {
      id,
      digest: digestOf(token),
      createdAtMs: nowMs,
      usedAtMs: nowMs,
      keptUsedAtMs: nowMs,
      agent: cleaned(agent),
    };
    this.#forgetExpired();
    if (this.#sessions.size >= SIGN_IN_LIMITS.sessionsMax) {
      const [idlest] = [...this.#sessions.values()].sort((a, b) => a.usedAtMs - b.usedAtMs);
      if (idlest !== undefined) this.#end(idlest.id);
    }
    this.#sessions.set(id, session);
    await this.#keep();
    return own(session, token);
  }

  /** The session of a cookie, which is used hereby; undefined when there is none, or none any more. */
  use(token: string): OwnSession | undefined {
    this.#forgetExpired();
    const given = digestOf(token);
    let found: Session | undefined;
    // All are compared, whichever fits.
    for (const session of this.#sessions.values()) if (timingSafeEqual(session.digest, given)) found = session;
    if (found === undefined) return undefined;
    found.usedAtMs = Math.max(found.usedAtMs, this.#components.clock.wallNow());
    if (found.usedAtMs - found.keptUsedAtMs >= SIGN_IN_LIMITS.keepUseMs) void this.#keep();
    return own(found, token);
  }

  /** Last used first. */
  list(): readonly SessionView[] {
    this.#forgetExpired();
    return [...this.#sessions.values()]
      .sort((a, b) => b.usedAtMs - a.usedAtMs)
      .map(({ id, createdAtMs, usedAtMs, agent }) => ({ id, createdAtMs, usedAtMs, agent }));
  }

  /** Ends one. @throws WeftError `not_found`, or `home_unwritable` when it would be back after a restart */
  async end(id: string): Promise<void> {
    if (!this.#sessions.has(id)) {
      const remedy = 'Nothing to do: it has ended already.';
      throw new WeftError({ code: 'not_found', message: 'There is no session of this id.', remedy });
    }
    this.#end(id);
    await this.#write();
  }

  /** Ends the session of a cookie, if there is one: the browser that has it signs in anew. */
  replace(token: string): void {
    const session = this.use(token);
    if (session !== undefined) this.#end(session.id);
  }

  /** The API key is another: whoever signed in under the old one must do so again. */
  endAll(): void {
    for (const id of [...this.#sessions.keys()]) this.#end(id);
    void this.#keep();
  }

  /** Calls back for each session that ends. Returns what ends the subscription. */
  onEnd(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #end(id: string): void {
    this.#sessions.delete(id);
    for (const listener of this.#listeners) listener(id);
  }

  #forgetExpired(): void {
    const nowMs = this.#components.clock.wallNow();
    for (const { id, usedAtMs } of this.#sessions.values()) {
      if (usedAtMs + SIGN_IN_LIMITS.sessionMs <= nowMs) this.#end(id);
    }
  }

  /** A disk that is full keeps nobody out who is signed in now. */
  #keep(): Promise<void> {
    return this.#write().catch((error: unknown) => {
      this.#components.log.warn({ error }, 'the sessions of browsers could not be kept: they end with this node');
    });
  }

  async #write(): Promise<void> {
    const salt = Buffer.from(this.#components.random.bytes(16)).toString('base64url');
    for (const session of this.#sessions.values()) session.keptUsedAtMs = session.usedAtMs;
    const kept: Kept = {
      version: 1,
      salt,
      seal: sealOf(this.#init.apiKey(), salt),
      sessions: [...this.#sessions.values()].map(({ id, digest, createdAtMs, usedAtMs, agent }) => ({
        id,
        digest: digest.toString('base64url'),
        createdAtMs,
        usedAtMs,
        agent,
      })),
    };
    await this.#components.store?.write(DOCUMENT, Buffer.from(JSON.stringify(kept)));
  }
}

function parse(bytes: Uint8Array): Kept | undefined {
  try {
    return Kept.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    return undefined; // A damaged document: told by the caller.
  }
}

function own({ id, usedAtMs }: Session, token: string): OwnSession {
  // Made of the token, which the node doesn't keep: nobody without the cookie knows it, and it need not be stored.
  const csrf = createHmac('sha256', token).update('weft csrf').digest('base64url');
  return { id, token, csrf, expiresAtMs: usedAtMs + SIGN_IN_LIMITS.sessionMs };
}

function sealOf(apiKey: string, salt: string): string {
  return createHmac('sha256', apiKey).update(salt).digest('base64url');
}

/** It comes from outside, and is shown to people. */
function cleaned(agent: string): string {
  return agent.replace(/[\p{Cc}\p{Cf}]/gu, '').slice(0, SIGN_IN_LIMITS.agentLengthMax);
}
