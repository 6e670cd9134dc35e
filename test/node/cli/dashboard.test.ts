// `weft dashboard` against a fake daemon, with a fake browser.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openerOf, openPage } from '../../../node/cli/browser.ts';
import { until } from '../../support/wait.ts';
import { runCommand } from './command-support.ts';
import { recordedContext } from './fake-daemon.ts';

const LINK = 'http://127.0.0.1:9338/#/sign-in/TOKEN';
const EXPIRES_MS = Date.UTC(2027, 0, 1);
const routes = { 'POST /api/v1/session/link': { url: LINK, expiresAtMs: EXPIRES_MS } };

/** A folder with a browser in it that notes down how it was called. */
async function fakeBrowser() {
  const folder = await mkdtemp(join(tmpdir(), 'weft-browser-'));
  const noted = join(folder, 'called');
  const program = join(folder, 'xdg-open');
  await writeFile(program, `#!/bin/sh\necho "$@" > "${noted}.new" && mv "${noted}.new" "${noted}"\n`);
  await chmod(program, 0o755);
  return {
    folder,
    env: { PATH: [folder, process.env.PATH].join(delimiter), DISPLAY: ':0' },
    called: () => until('the browser', () => readFile(noted, 'utf8')),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

describe('weft dashboard', () => {
  it('prints the link alone on stdout', async () => {
    const { context, requests } = await runCommand(['dashboard'], routes);
    expect(context.out()).toBe(`${LINK}\n`);
    expect(context.err()).toContain('once, within');
    expect(requests).toEqual(['POST /api/v1/session/link']);
  });

  it('prints it as JSON', async () => {
    const { context } = await runCommand(['dashboard', '--json'], routes);
    expect(JSON.parse(context.out())).toEqual({ url: LINK, expires_at: '2027-01-01T00:00:00.000Z' });
  });

  it.skipIf(process.platform !== 'linux')('opens a browser at a terminal with a screen', async () => {
    await using browser = await fakeBrowser();
    const context = recordedContext({ tty: true, env: browser.env });
    await runCommand(['dashboard'], routes, context);
    expect(await browser.called()).toMatch(/dashboard\.html\n$/);
    expect(context.err()).toContain('It opens in your browser');
  });

  it.skipIf(process.platform !== 'linux')('says so where that can not be started', async () => {
    const context = recordedContext({ tty: true, env: { PATH: '/nowhere', DISPLAY: ':0' } });
    await runCommand(['dashboard'], routes, context);
    expect(context.err()).toContain('No browser could be started');
  });

  it.skipIf(process.platform !== 'linux').each([
    ['without a terminal', false, {}, []],
    ['where it is told not to', true, {}, ['--no-open']],
    ['as JSON', true, {}, ['--json']],
    ['without a screen', true, { DISPLAY: '' }, []],
    ['from another machine', true, { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }, []],
  ] as const)('opens nothing %s', async (_when, tty, env, args) => {
    await using browser = await fakeBrowser();
    const context = recordedContext({ tty, env: { ...browser.env, ...env } });
    await runCommand(['dashboard', ...args], routes, context);
    expect(context.err()).not.toMatch(/opens in your browser|No browser/);
  });
});

describe('the browser', () => {
  it('is what the system opens pages with', () => {
    expect(openerOf({}, 'darwin')?.program).toBe('open');
    expect(openerOf({}, 'win32')?.program).toBe('rundll32');
    expect(openerOf({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux')?.program).toBe('xdg-open');
    expect(openerOf({}, 'linux')).toBeUndefined();
    expect(openerOf({ SSH_TTY: '/dev/pts/1' }, 'darwin')).toBeUndefined();
  });

  it.skipIf(process.platform !== 'linux')(
    'gets the link in a file for its owner, and not where every user sees it',
    async () => {
      await using browser = await fakeBrowser();
      const url = `${LINK}?a="><script>`;
      const { folder, env } = browser;
      expect(await openPage({ program: 'xdg-open', args: [] }, { url, folder, env })).toBe(true);
      const file = (await browser.called()).trim();
      expect(file).not.toContain('TOKEN');
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const page = await readFile(file, 'utf8');
      expect(page).toContain(LINK);
      expect(page).not.toContain('<script>');
    },
  );
});
