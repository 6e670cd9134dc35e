// Pages elsewhere that frame or drive a node, in a real browser that is signed in to it. Each attack is also made with the
// guards off that stop it, and succeeds.
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { systemRandom } from '../../node/app/random.ts';
import { systemClock } from '../../node/core/clock.ts';
import type { Guards } from '../../node/gateway/auth.ts';
import { OneTimeTokens } from '../../node/gateway/one-time-tokens.ts';
import type { PagesInit } from '../../node/gateway/ui.ts';
import { temporaryFolder } from '../models/temporary.ts';
import { KEY, startGateway } from '../node/gateway/support.ts';
import { CHROMIUM } from '../support/chromium.ts';
import { describeWithBrowser } from '../support/page.ts';

const INDEX = '<!doctype html><title>Weft</title><h1 id="inside">The pages of a node</h1>';

const ALL_OFF: Partial<Guards> = {
  origin: () => undefined,
  csrf: () => undefined,
  contentType: () => undefined,
};

interface Victim {
  readonly url: string;
  /** Sign-in links that somebody had the node make, since the browser signed in. */
  made(): number;
}

describeWithBrowser('a page elsewhere', () => {
  let browser: Browser;
  let context: BrowserContext;
  let evil: Server;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    evil = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Elsewhere</title>');
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
  });

  afterAll(async () => {
    await browser.close();
    evil.close();
  });

  beforeEach(async () => {
    context = await browser.newContext();
    return () => context.close();
  });

  /** A node that the browser is signed in to. */
  async function victim(init: { readonly guards?: Partial<Guards>; readonly pages?: Partial<PagesInit> } = {}) {
    const folder = join(await temporaryFolder(), 'ui');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'index.html'), INDEX);
    const tokens = new OneTimeTokens({ clock: systemClock, random: systemRandom });
    let made = 0;
    const counting = Object.assign(new OneTimeTokens({ clock: systemClock, random: systemRandom }), {
      make: (tokenInit: { readonly ttlMs: number }) => {
        made += 1;
        return tokens.make(tokenInit);
      },
    });
    const { url } = await startGateway({
      init: { pages: { folder, ...init.pages } },
      guards: init.guards ?? {},
      components: { tokens: counting },
    });
    const page = await context.newPage();
    await page.goto(url);
    const status = await page.evaluate(async (key) => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ key });
      return (await fetch('/api/v1/session', { method: 'POST', headers, body })).status;
    }, KEY);
    expect(status).toBe(200);
    expect(await context.cookies(url)).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
    return { url, made: () => made } satisfies Victim;
  }

  /** By another port of the same address, to which browsers send the same cookies, or by a name of another site. */
  async function elsewhere(host: '127.0.0.1' | 'localhost' = '127.0.0.1'): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`http://${host}:${(evil.address() as AddressInfo).port}/`);
    return page;
  }

  /** What a form, or a script that asks nobody first, sends; the answer can't be read. */
  function post(page: Page, url: string): Promise<void> {
    return page.evaluate(async (address) => {
      await fetch(address, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' });
    }, `${url}/api/v1/session/link`);
  }

  /** True where the frame shows the node's page, and not the browser's refusal. */
  async function framed(page: Page, url: string): Promise<boolean> {
    await page.evaluate(`new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.src = ${JSON.stringify(url)};
      frame.addEventListener('load', () => resolve());
      document.body.append(frame);
    })`);
    const [, frame] = page.frames();
    return (await frame?.locator('#inside').count()) === 1;
  }

  it('can not have the browser post with its cookie', async () => {
    const { url, made } = await victim();
    await post(await elsewhere(), url);
    await post(await elsewhere('localhost'), url);
    expect(made()).toBe(0);
  });

  it('could from another port if nothing were asked beside the cookie', async () => {
    const { url, made } = await victim({ guards: ALL_OFF });
    await post(await elsewhere(), url);
    expect(made()).toBe(1);
    // Another site's request comes without the cookie, all the same.
    await post(await elsewhere('localhost'), url);
    expect(made()).toBe(1);
  });

  it.each(['origin', 'csrf', 'contentType'] as const)('is stopped by %s alone, too', async (guard) => {
    const { [guard]: _on, ...off } = ALL_OFF;
    const { url, made } = await victim({ guards: off });
    await post(await elsewhere(), url);
    expect(made()).toBe(0);
  });

  it('can not frame the pages', async () => {
    const { url } = await victim();
    expect(await framed(await elsewhere(), url)).toBe(false);
    expect(await framed(await elsewhere('localhost'), url)).toBe(false);
  });

  it('is kept from it by the policy of the pages alone, too', async () => {
    const { url } = await victim({ guards: { origin: () => undefined } });
    expect(await framed(await elsewhere(), url)).toBe(false);
  });

  it('could frame them without the two', async () => {
    const { url } = await victim({ guards: { origin: () => undefined }, pages: { headers: {} } });
    expect(await framed(await elsewhere(), url)).toBe(true);
  });

  it('may lead a person there, and has no hold of what it opened', async () => {
    const { url } = await victim();
    const page = await elsewhere();
    const opened = context.waitForEvent('page');
    expect(await page.evaluate(`(window.tab = window.open(${JSON.stringify(url)})) !== null`)).toBe(true);
    const tab = await opened;
    await tab.locator('#inside').waitFor();
    expect(await page.evaluate('window.tab.closed')).toBe(true);
    expect(await tab.evaluate('window.opener')).toBeNull();
  });

  it('can read nothing of the node', async () => {
    const { url } = await victim();
    for (const host of ['127.0.0.1', 'localhost'] as const) {
      const page = await elsewhere(host);
      const read = await page.evaluate(
        (address) =>
          fetch(address, { credentials: 'include' }).then(
            () => true,
            () => false,
          ),
        `${url}/api/v1/status`,
      );
      expect(read).toBe(false);
    }
  });
});
