// A browser's way in to a real node: by the link of `weft dashboard`, over a restart, until the key is renewed.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SessionAnswer } from '../../protocol/api/control.ts';
import { startDaemon } from '../support/daemon.ts';

/** As a browser keeps it. */
async function signIn(url: string, token: string): Promise<{ readonly cookie: string; readonly csrf: string }> {
  const answer = await fetch(`${url}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  expect(answer.status).toBe(200);
  const { csrf = '' } = (await answer.json()) as SessionAnswer;
  return { cookie: (answer.headers.get('set-cookie') ?? '').replace(/;.*$/, ''), csrf };
}

describe('weft dashboard', () => {
  it('signs a browser in to the pages of a node, until its key is renewed', async () => {
    const first = await startDaemon();
    expect(first.output()).not.toContain('sign-in/');
    const { code, stdout } = await first.weft('dashboard', '--no-open');
    expect(code).toBe(0);
    const [, base, token = ''] = /^(http:\/\/127\.0\.0\.1:\d+)\/#\/sign-in\/(\S+)\n$/.exec(stdout) ?? [];
    expect(base).toBe(first.url);

    const index = await (await fetch(first.url)).text();
    const [script] = /assets\/[^"]+\.js/.exec(index) ?? [];
    const asset = await fetch(`${first.url}/${script}`, { headers: { 'accept-encoding': 'br' } });
    expect([asset.status, asset.headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8']);
    expect(asset.headers.get('content-encoding')).toBe('br');

    const { cookie, csrf } = await signIn(first.url, token);
    expect((await fetch(`${first.url}/api/v1/status`, { headers: { cookie } })).status).toBe(200);
    expect(first.output()).not.toContain(token);
    expect((await stat(join(first.home, 'state', 'sessions'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(first.home, 'state', 'sessions'), 'utf8')).not.toContain(cookie.split('=')[1]);
    await first.stop();

    const second = await startDaemon({ home: first.home });
    const status = async (): Promise<number> =>
      (await fetch(`${second.url}/api/v1/status`, { headers: { cookie } })).status;
    expect(await status()).toBe(200);
    const renewed = await fetch(`${second.url}/api/v1/key`, {
      method: 'POST',
      headers: { cookie, 'x-weft-csrf': csrf, 'content-type': 'application/json' },
      body: '{}',
    });
    // The one that renews it still gets its answer.
    expect(await renewed.json()).toEqual({ key: expect.stringMatching(/^weft_/) });
    expect(await status()).toBe(401);
    await second.stop();

    // Nor does a restart bring it back.
    const third = await startDaemon({ home: first.home });
    expect((await fetch(`${third.url}/api/v1/status`, { headers: { cookie } })).status).toBe(401);
  });
});
