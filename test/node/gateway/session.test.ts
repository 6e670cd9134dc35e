// Browsers that sign in. Each guard has a twin test in which it is left out and the attack succeeds.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { FileStore } from '../../../node/config/file-store.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { SIGN_IN_LIMITS } from '../../../node/gateway/limits.ts';
import { OneTimeTokens } from '../../../node/gateway/one-time-tokens.ts';
import { Sessions } from '../../../node/gateway/sessions.ts';
import { EventLog } from '../../../node/telemetry/event-log.ts';
import type { SessionAnswer, SessionsAnswer, SignInLinkAnswer } from '../../../protocol/api/control.ts';
import { temporaryFolder } from '../../models/temporary.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { head, KEY, RawClient, type RunningGateway, type StartInit, startGateway } from './support.ts';

/** What a browser holds after it signed in. */
interface Browser {
  readonly answer: SessionAnswer;
  /** The Cookie header. */
  readonly cookie: string;
  /** The Set-Cookie header that it came with. */
  readonly set: string;
  call(method: string, path: string, headers?: Record<string, string>, body?: unknown): Promise<Response>;
  /** With what the node's own pages send along. */
  change(method: string, path: string, body?: unknown): Promise<Response>;
}

async function linkOf({ call }: Pick<RunningGateway, 'call'>): Promise<SignInLinkAnswer> {
  const answer = await call('/api/v1/session/link', {});
  expect(answer.status).toBe(200);
  return (await answer.json()) as SignInLinkAnswer;
}

const tokenOf = ({ url }: SignInLinkAnswer): string => url.replace(/^.*\//, '');

function signIn(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

async function browserOf(gateway: RunningGateway, headers: Record<string, string> = {}): Promise<Browser> {
  const signedIn = await signIn(gateway.url, { token: tokenOf(await linkOf(gateway)) }, headers);
  expect(signedIn.status).toBe(200);
  const answer = (await signedIn.json()) as SessionAnswer;
  const set = signedIn.headers.get('set-cookie') ?? '';
  const cookie = set.replace(/;.*$/, '');
  const call: Browser['call'] = (method, path, more = {}, body = undefined) =>
    fetch(gateway.url + path, {
      method,
      headers: { cookie, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return {
    answer,
    cookie,
    set,
    call,
    change: (method, path, body) => call(method, path, { 'x-weft-csrf': answer.csrf ?? '' }, body),
  };
}

/** Status of a request whose Host and Origin are what an attacker's page would have them. */
async function rawStatus({ port }: RunningGateway, line: string, headers: Record<string, string | undefined>) {
  const body = line.startsWith('GET') ? '' : '{}';
  const client = new RawClient(port);
  const length = body === '' ? {} : { 'content-type': 'application/json', 'content-length': String(body.length) };
  client.write(head(line, { authorization: undefined, ...length, ...headers }) + body);
  return Number((await client.until('\r\n\r\n')).slice(9, 12));
}

const start = (options: StartInit = {}): Promise<RunningGateway> => startGateway(options);

describe('a sign-in link', () => {
  it('is made for whoever has the key, with the token where no log sees it', async () => {
    const gateway = await start();
    const before = Date.now();
    const { url, expiresAtMs } = await linkOf(gateway);
    expect(url).toMatch(new RegExp(`^${gateway.url}/#/sign-in/[A-Za-z0-9_-]{43}$`));
    expect(expiresAtMs).toBeGreaterThanOrEqual(before + SIGN_IN_LIMITS.linkMs);
    expect((await fetch(`${gateway.url}/api/v1/session/link`, { method: 'POST' })).status).toBe(401);
  });

  it('signs one browser in, with a cookie that no script and no other site can use', async () => {
    const gateway = await start();
    const { answer, set, call } = await browserOf(gateway, { 'user-agent': 'Firefox\u00adFox' });
    expect(answer).toEqual({ via: 'cookie', csrf: expect.stringMatching(/^.{43}$/), expiresAtMs: expect.any(Number) });
    expect(set).toMatch(
      /^weft_session_[A-Za-z0-9]+=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Strict$/,
    );
    expect((await call('GET', '/api/v1/status')).status).toBe(200);
    expect((await call('GET', '/v1/models')).status).toBe(200);
    expect((await call('GET', '/metrics')).status).toBe(200);
  });

  it('signs nobody in a second time', async () => {
    const gateway = await start();
    const token = tokenOf(await linkOf(gateway));
    expect((await signIn(gateway.url, { token })).status).toBe(200);
    const replayed = await signIn(gateway.url, { token });
    expect(replayed.status).toBe(401);
    expect(replayed.headers.get('set-cookie')).toBeNull();
    expect(await replayed.json()).toMatchObject({ error: { weft_code: 'unauthorized' } });
  });

  it('would sign in whoever finds it later, if tokens were not used up', async () => {
    const given = new Set<string>();
    const reusable = Object.assign(new OneTimeTokens({ clock: systemClock, random: systemRandom }), {
      make: () => {
        given.add('again');
        return { token: 'again', expiresAtMs: 0 };
      },
      redeem: (token: string) => given.has(token),
    });
    const gateway = await start({ components: { tokens: reusable } });
    const token = tokenOf(await linkOf(gateway));
    expect((await signIn(gateway.url, { token })).status).toBe(200);
    expect((await signIn(gateway.url, { token })).status).toBe(200);
  });

  it('is not taken once it is too old', async () => {
    const clock = new ManualClock();
    const gateway = await start({ components: { tokens: new OneTimeTokens({ clock, random: systemRandom }) } });
    const [early, late] = [await linkOf(gateway), await linkOf(gateway)];
    clock.advance(SIGN_IN_LIMITS.linkMs - 1);
    expect((await signIn(gateway.url, { token: tokenOf(early) })).status).toBe(200);
    clock.advance(1);
    expect((await signIn(gateway.url, { token: tokenOf(late) })).status).toBe(401);
  });
});

describe('signing in by the key', () => {
  it('gives a session as a link does', async () => {
    const { url } = await start();
    const answer = await signIn(url, { key: KEY });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('set-cookie')).toContain('HttpOnly');
    expect((await signIn(url, { key: `${KEY}x` })).status).toBe(401);
  });

  it.each([{}, { key: '' }, { key: KEY, token: 'x' }, { key: 'x'.repeat(513) }, { more: 1 }])(
    'refuses the body %j',
    async (body) => {
      expect((await signIn((await start()).url, body)).status).toBe(400);
    },
  );

  it('is stopped after some wrong keys, while a link goes on working', async () => {
    const gateway = await start();
    const token = tokenOf(await linkOf(gateway));
    for (let tries = 0; tries < SIGN_IN_LIMITS.failuresMax; tries += 1) {
      expect((await signIn(gateway.url, tries % 2 === 0 ? { key: 'guess' } : { token: 'guess' })).status).toBe(401);
    }
    const refused = await signIn(gateway.url, { key: KEY });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await signIn(gateway.url, { token: 'guess' })).status).toBe(429);
    expect((await signIn(gateway.url, { token })).status).toBe(200);
  });

  it('sends the cookie back over TLS only where the page came over TLS', async () => {
    const gateway = await start({ init: { origins: () => ['https://weft.example.org'] } });
    const origin = 'https://weft.example.org';
    expect((await browserOf(gateway, { origin })).set).toMatch(/; Secure$/);
  });

  it('leaves the places and the memory of those who have the key alone', async () => {
    const limits = { signInsInFlightMax: 2, signInMsMax: 60_000 };
    const gateway = await start({ limits });
    const begun = head('POST /api/v1/session', {
      authorization: undefined,
      'content-type': 'application/json',
      'content-length': '100',
      expect: '100-continue',
    });
    for (let strangers = 0; strangers < 2; strangers += 1) {
      await new RawClient(gateway.port).write(begun).until('100 Continue');
    }
    expect((await signIn(gateway.url, { key: KEY })).status).toBe(429);
    expect((await gateway.call('/api/v1/status')).status).toBe(200);
    const large = await signIn((await start()).url, { key: 'x'.repeat(5_000) });
    expect(large.status).toBe(413);
  });

  it('gives a stranger little time', async () => {
    const { port } = await start({ limits: { signInMsMax: 50 } });
    const client = new RawClient(port);
    client.write(
      head('POST /api/v1/session', {
        authorization: undefined,
        'content-type': 'application/json',
        'content-length': '100',
      }),
    );
    expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1.1 504 /);
  });
});

describe('a session', () => {
  it('takes the place of the one that the browser had', async () => {
    const gateway = await start();
    const { cookie, call } = await browserOf(gateway);
    const again = await browserOf(gateway, { cookie });
    expect((await call('GET', '/api/v1/status')).status).toBe(401);
    const { sessions } = (await (await again.call('GET', '/api/v1/sessions')).json()) as SessionsAnswer;
    expect(sessions).toMatchObject([{ current: true }]);
  });

  it('ends with the key by which it came in, and so do links that nobody has used', async () => {
    const { gateway, ...running } = await start();
    const { call } = await browserOf({ gateway, ...running });
    const token = tokenOf(await linkOf(running));
    gateway.signOutAll();
    expect((await call('GET', '/api/v1/status')).status).toBe(401);
    expect((await signIn(running.url, { token })).status).toBe(401);
  });

  it('is told from a key', async () => {
    const gateway = await start();
    const { call, answer } = await browserOf(gateway);
    const own = await call('GET', '/api/v1/session');
    expect(await own.json()).toMatchObject({ via: 'cookie', csrf: answer.csrf });
    // The browser keeps the cookie from now on for as long as the node keeps the session.
    expect(own.headers.get('set-cookie')).toContain('Max-Age=2592000');
    expect(await (await gateway.call('/api/v1/session')).json()).toEqual({ via: 'key' });
    expect((await fetch(`${gateway.url}/api/v1/session`)).status).toBe(401);
  });

  it('changes things with the header that its pages know', async () => {
    const { change } = await browserOf(await start());
    expect((await change('POST', '/api/v1/session/link', {})).status).toBe(200);
    expect((await change('POST', '/v1/chat/completions', { model: 'chat', messages: [] })).status).toBe(400);
  });

  it('ends when it signs out, in the browser too', async () => {
    const { change, call } = await browserOf(await start());
    const out = await change('DELETE', '/api/v1/session');
    expect(out.status).toBe(200);
    expect(out.headers.get('set-cookie')).toMatch(/^weft_session_[^=]+=; Path=\/; Max-Age=0;/);
    expect((await call('GET', '/api/v1/status')).status).toBe(401);
  });

  it('is listed, and ended from elsewhere', async () => {
    const gateway = await start();
    const [one, other] = [await browserOf(gateway, { 'user-agent': 'One' }), await browserOf(gateway)];
    const { sessions } = (await (await one.call('GET', '/api/v1/sessions')).json()) as SessionsAnswer;
    expect(sessions).toHaveLength(2);
    const own = sessions.find(({ current }) => current);
    expect(own).toMatchObject({ agent: 'One', createdAtMs: expect.any(Number), usedAtMs: expect.any(Number) });
    expect(JSON.stringify(sessions)).not.toContain(one.cookie.split('=')[1]);
    expect((await other.change('DELETE', `/api/v1/sessions/${own?.id}`)).status).toBe(200);
    expect((await one.call('GET', '/api/v1/status')).status).toBe(401);
    expect((await other.change('DELETE', `/api/v1/sessions/${own?.id}`)).status).toBe(404);
  });

  it('takes what it still watches with it when it ends', async () => {
    const events = new EventLog({ clock: systemClock, log: silentLog });
    const gateway = await start({ control: { events } });
    const { call, change } = await browserOf(gateway);
    const stream = await call('GET', '/api/v1/events');
    const text = stream.text();
    await change('DELETE', '/api/v1/session');
    events.publish('log', { secret: 'of later' });
    expect(await text).not.toContain('of later');
  });

  it('counts for less than a key that comes along, wrong as it may be', async () => {
    const { call } = await browserOf(await start());
    expect((await call('GET', '/api/v1/status', { authorization: 'Bearer wrong' })).status).toBe(401);
  });
});

describe('sessions over a restart', () => {
  const opened = async (folder: string, apiKey = KEY): Promise<Sessions> =>
    Sessions.open(
      { clock: systemClock, random: systemRandom, log: silentLog, store: await FileStore.open({ folder }) },
      { apiKey: () => apiKey },
    );

  it('go on, from a file that holds nothing to sign in with and is for its owner alone', async () => {
    const folder = await temporaryFolder();
    const { token, id } = await (await opened(folder)).begin({ agent: 'x' });
    const file = join(folder, 'sessions');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await opened(folder)).use(token)?.id).toBe(id);
    const text = await readFile(file, 'utf8');
    for (const secret of [token, KEY]) expect(text).not.toContain(secret);
  });

  it('end where the node starts with another key', async () => {
    const folder = await temporaryFolder();
    const { token } = await (await opened(folder)).begin({ agent: 'x' });
    expect((await opened(folder, 'weft-another-key-0123456')).use(token)).toBeUndefined();
  });
});

describe('a page elsewhere', () => {
  const line = 'POST /api/v1/session/link';

  it('that has the browser post with its cookie is refused, by its origin and for want of the header', async () => {
    const gateway = await start();
    const { cookie } = await browserOf(gateway);
    expect(await rawStatus(gateway, line, { cookie, origin: 'https://evil.example' })).toBe(403);
    // From another port of the same machine cookies come along, and old browsers say nothing of where it comes from.
    expect(await rawStatus(gateway, line, { cookie })).toBe(403);
  });

  it('would succeed without the two guards', async () => {
    const guards = { origin: () => undefined, csrf: () => undefined };
    const gateway = await start({ guards });
    const { cookie } = await browserOf(gateway);
    expect(await rawStatus(gateway, line, { cookie, origin: 'https://evil.example' })).toBe(200);
  });

  it('cannot know the header: that of another session, or one that is guessed, is refused', async () => {
    const gateway = await start();
    const [one, other] = [await browserOf(gateway), await browserOf(gateway)];
    for (const csrf of ['', 'x', other.answer.csrf ?? '']) {
      const answer = await one.call('POST', '/api/v1/session/link', { 'x-weft-csrf': csrf }, {});
      expect(answer.status).toBe(403);
    }
  });

  it('would succeed with any header if that were not looked at', async () => {
    const { call } = await browserOf(await start({ guards: { csrf: () => undefined } }));
    expect((await call('POST', '/api/v1/session/link', {}, {})).status).toBe(200);
  });

  it('cannot rebind a name to this machine to use the cookie', async () => {
    const gateway = await start();
    const { cookie } = await browserOf(gateway);
    const rebound = { cookie, host: `rebound.example:${gateway.port}` };
    expect(await rawStatus(gateway, 'GET /api/v1/status', rebound)).toBe(403);
    expect(await rawStatus(gateway, 'GET /', rebound)).toBe(403);
  });

  it('would read everything by such a name without the guard', async () => {
    const gateway = await start({ guards: { host: () => undefined } });
    const { cookie } = await browserOf(gateway);
    const rebound = { cookie, host: `rebound.example:${gateway.port}` };
    expect(await rawStatus(gateway, 'GET /api/v1/status', rebound)).toBe(200);
  });

  it('may lead a person to the pages, and to nothing else', async () => {
    const gateway = await start();
    const { cookie } = await browserOf(gateway);
    const led = { cookie, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect(await rawStatus(gateway, 'GET /', led)).toBe(404); // There are none in this test.
    expect(await rawStatus(gateway, 'GET /', { ...led, 'sec-fetch-dest': 'iframe' })).toBe(403);
    expect(await rawStatus(gateway, 'GET /api/v1/status', led)).toBe(403);
  });
});

describe('the cookie of another node', () => {
  /** Nodes on one machine get each other's cookies: browsers don't tell ports apart. */
  it('is neither taken nor overwritten', async () => {
    const here = await start({ init: { nodeId: '12D3KooWAAAAAAAAAAAAhere' } });
    const there = await start({ init: { nodeId: '12D3KooWAAAAAAAAAAthere' } });
    const [own, others] = [await browserOf(here), await browserOf(there)];
    expect(others.cookie.split('=')[0]).not.toBe(own.cookie.split('=')[0]);
    expect((await own.call('GET', '/api/v1/status', { cookie: others.cookie })).status).toBe(401);
    const both = `${others.cookie}; ${own.cookie}`;
    expect((await own.call('GET', '/api/v1/status', { cookie: both })).status).toBe(200);
    // Under this node's name, too.
    const forged = `${own.cookie.split('=')[0]}=${others.cookie.split('=')[1]}`;
    expect((await own.call('GET', '/api/v1/status', { cookie: forged })).status).toBe(401);
  });

  it('would be taken if sessions were believed unseen', async () => {
    const there = await browserOf(await start());
    const believing = Object.assign(new Sessions(sessionParts(), { apiKey: () => KEY }), {
      use: (token: string) => ({ id: 'x', token, csrf: 'x', expiresAtMs: 0 }),
    });
    const { url } = await start({ components: { sessions: believing } });
    expect((await fetch(`${url}/api/v1/status`, { headers: { cookie: there.cookie } })).status).toBe(200);
  });
});

const sessionParts = () => ({ clock: systemClock, random: systemRandom, log: silentLog });
