// Sessions of browsers and one-time tokens by a clock that the test moves.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { silentLog } from '../../../node/core/log.ts';
import { SIGN_IN_LIMITS } from '../../../node/gateway/limits.ts';
import { OneTimeTokens } from '../../../node/gateway/one-time-tokens.ts';
import { Sessions } from '../../../node/gateway/sessions.ts';
import { SignInRate } from '../../../node/gateway/sign-in-rate.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { recordingLog } from './support.ts';

const { sessionMs, sessionsMax, keepUseMs, openTokensMax, agentLengthMax, failuresMax, forgiveMs } = SIGN_IN_LIMITS;

/** A store in memory that counts, and may be full. */
function store() {
  const documents = new Map<string, Uint8Array>();
  const state = { documents, writes: 0, full: false };
  return {
    ...state,
    state,
    read: async (name: string) => documents.get(name),
    write: async (name: string, bytes: Uint8Array) => {
      if (state.full) throw new Error('the disk is full');
      state.writes += 1;
      documents.set(name, bytes);
    },
  };
}

function start(key = { now: 'key-one' }) {
  const clock = new ManualClock(1_000_000);
  const kept = store();
  const components = { clock, random: systemRandom, log: silentLog, store: kept };
  const init = { apiKey: () => key.now };
  return { clock, kept, key, components, init, sessions: new Sessions(components, init) };
}

describe('a session', () => {
  it('lasts for 30 days since it was last used', async () => {
    const { clock, sessions } = start();
    const { token } = await sessions.begin({ agent: 'x' });
    clock.advance(sessionMs - 1);
    expect(sessions.use(token)?.expiresAtMs).toBe(clock.wallNow() + sessionMs);
    clock.advance(sessionMs - 1);
    expect(sessions.use(token)).toBeDefined();
    clock.advance(sessionMs);
    expect(sessions.use(token)).toBeUndefined();
    expect(sessions.list()).toEqual([]);
  });

  it('is not lengthened by a clock that goes back', async () => {
    const { clock, sessions } = start();
    const { token, expiresAtMs } = await sessions.begin({ agent: 'x' });
    clock.advance(-500_000);
    expect(sessions.use(token)?.expiresAtMs).toBe(expiresAtMs);
  });

  it('pushes out the one that was idle for the longest time, past the bound', async () => {
    const { clock, sessions } = start();
    const first = await sessions.begin({ agent: 'first' });
    const second = await sessions.begin({ agent: 'second' });
    const ended: string[] = [];
    sessions.onEnd((id) => ended.push(id));
    clock.advance(1);
    sessions.use(first.token);
    for (let more = 2; more <= sessionsMax; more += 1) await sessions.begin({ agent: 'more' });
    expect(sessions.list()).toHaveLength(sessionsMax);
    expect(ended).toEqual([second.id]);
    expect(sessions.use(first.token)).toBeDefined();
    expect(sessions.use(second.token)).toBeUndefined();
  });

  it('shows of the browser what can be shown', async () => {
    const { sessions } = start();
    await sessions.begin({ agent: `\u{1b}]0;x\u{7}\u{202e}${'y'.repeat(300)}` });
    const [view] = sessions.list();
    expect(view?.agent).toMatch(/^\]0;xy+$/);
    expect(view?.agent).toHaveLength(agentLengthMax);
  });

  it('writes its use down now and then, not each time', async () => {
    const { clock, sessions, kept } = start();
    const { token } = await sessions.begin({ agent: 'x' });
    for (let uses = 0; uses < 50; uses += 1) sessions.use(token);
    expect(kept.state.writes).toBe(1);
    clock.advance(keepUseMs);
    sessions.use(token);
    expect(kept.state.writes).toBe(2);
  });

  it('ends with all others when the key is renewed, and none comes back with a restart', async () => {
    const { sessions, key, components, init } = start();
    const [one, two] = [await sessions.begin({ agent: '1' }), await sessions.begin({ agent: '2' })];
    expect((await Sessions.open(components, init)).list()).toHaveLength(2);
    const ended: string[] = [];
    sessions.onEnd((id) => ended.push(id));
    key.now = 'key-two';
    sessions.endAll();
    expect(ended.sort()).toEqual([one.id, two.id].sort());
    expect(sessions.use(one.token)).toBeUndefined();
    expect((await Sessions.open(components, init)).list()).toEqual([]);
  });

  it('that was ended stays so after a restart, or says that it can not', async () => {
    const { sessions, components, init, kept } = start();
    const [one, two] = [await sessions.begin({ agent: '1' }), await sessions.begin({ agent: '2' })];
    await sessions.end(one.id);
    expect((await Sessions.open(components, init)).list().map(({ id }) => id)).toEqual([two.id]);
    kept.state.full = true;
    await expect(sessions.end(two.id)).rejects.toThrow('the disk is full');
    expect(sessions.use(two.token)).toBeUndefined();
    await expect(sessions.end(two.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('begins although it can not be kept', async () => {
    const { sessions, kept } = start();
    kept.state.full = true;
    const { token } = await sessions.begin({ agent: 'x' });
    expect(sessions.use(token)).toBeDefined();
  });

  it.each(['', '{', '[]', '{"version":2}'])(
    'is lost with a document that reads %j, and the node starts',
    async (text) => {
      const { components, init, kept } = start();
      kept.documents.set('sessions', Buffer.from(text));
      const log = recordingLog();
      expect((await Sessions.open({ ...components, log }, init)).list()).toEqual([]);
      expect(log.lines).toHaveLength(1);
    },
  );
});

describe('a one-time token', () => {
  it('is good once, and until its time is over', () => {
    const clock = new ManualClock();
    const tokens = new OneTimeTokens({ clock, random: systemRandom });
    const { token, expiresAtMs } = tokens.make({ ttlMs: 100 });
    expect(expiresAtMs).toBe(100);
    expect(tokens.redeem(`${token}x`)).toBe(false);
    expect(tokens.redeem(token)).toBe(true);
    expect(tokens.redeem(token)).toBe(false);
    const late = tokens.make({ ttlMs: 100 }).token;
    clock.advance(100);
    expect(tokens.redeem(late)).toBe(false);
  });

  it('voids the oldest past the bound', () => {
    const tokens = new OneTimeTokens({ clock: new ManualClock(), random: systemRandom });
    const made = Array.from({ length: openTokensMax + 1 }, () => tokens.make({ ttlMs: 100 }).token);
    expect(made.map((token) => tokens.redeem(token))).toEqual(made.map((_token, index) => index > 0));
  });
});

describe('wrong sign-ins', () => {
  it('are forgiven one by one', () => {
    const clock = new ManualClock();
    const rate = new SignInRate({ clock });
    const guesses = (): number => {
      for (let made = 0; ; made += 1) {
        try {
          rate.check();
        } catch (error) {
          expect(error).toMatchObject({ code: 'overloaded', facts: { retryAfterMs: expect.any(String) } });
          return made;
        }
        rate.failed();
      }
    };
    expect(guesses()).toBe(failuresMax);
    clock.advance(forgiveMs - 1);
    expect(guesses()).toBe(0);
    clock.advance(1);
    expect(guesses()).toBe(1);
    clock.advance(forgiveMs * 1_000);
    expect(guesses()).toBe(failuresMax);
  });
});
