// The node's own pages: which files are served, how, and what no page or path can do with them.
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { PagesInit } from '../../../node/gateway/ui.ts';
import { PAGE_HEADERS } from '../../../protocol/pages.ts';
import { temporaryFolder } from '../../models/temporary.ts';
import { head, RawClient, startGateway } from './support.ts';

const SCRIPT = `export const text = "${'weft '.repeat(500)}";\n`;

async function builtPages(): Promise<string> {
  const root = await temporaryFolder();
  const folder = join(root, 'ui');
  await mkdir(join(folder, 'assets'), { recursive: true });
  await writeFile(join(root, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Weft</title>');
  await writeFile(join(folder, 'assets', 'index-a1b2.js'), SCRIPT);
  await writeFile(join(folder, 'assets', 'index-a1b2.css'), 'body { color: teal }');
  await writeFile(join(folder, 'assets', 'mark-a1b2.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await symlink(join(root, 'secret.txt'), join(folder, 'assets', 'link.txt'));
  return folder;
}

async function start(init: Partial<PagesInit> = {}) {
  const folder = await builtPages();
  const gateway = await startGateway({ init: { pages: { folder, ...init } } });
  return { ...gateway, folder };
}

/** Status line, headers and body as they stand on the wire: fetch would tidy the path. */
async function raw(port: number, path: string, headers: Record<string, string | undefined> = {}) {
  const client = new RawClient(port);
  client.write(head(`GET ${path}`, { authorization: undefined, connection: 'close', ...headers }));
  return client.closed;
}

describe('the pages', () => {
  it('need no key, and are never kept without asking whether they are still the same', async () => {
    const { url } = await start();
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(await answer.text()).toContain('<title>Weft</title>');
    const etag = answer.headers.get('etag') ?? '';
    const again = await fetch(url, { headers: { 'if-none-match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await fetch(url, { method: 'HEAD' })).headers.get('etag')).toBe(etag);
  });

  it.each([
    ['index-a1b2.js', 'text/javascript; charset=utf-8'],
    ['index-a1b2.css', 'text/css; charset=utf-8'],
    ['mark-a1b2.svg', 'image/svg+xml'],
  ])('have %s as %s, kept for ever', async (name, type) => {
    const { url } = await start();
    const answer = await fetch(`${url}/assets/${name}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, type]);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each([
    ['br', brotliDecompressSync],
    ['gzip', gunzipSync],
  ] as const)('are sent as %s where that is taken', async (encoding, unpack) => {
    const { port } = await start();
    for (let times = 0; times < 2; times += 1) {
      const answer = await raw(port, '/assets/index-a1b2.js', { 'accept-encoding': encoding });
      expect(answer).toContain(`content-encoding: ${encoding}\r\n`);
      expect(answer).toContain('vary: accept-encoding\r\n');
      const body = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1');
      expect(body.length).toBeLessThan(SCRIPT.length / 10);
      expect(unpack(body).toString()).toBe(SCRIPT);
    }
    expect(await raw(port, '/assets/index-a1b2.js')).not.toContain('content-encoding');
  });

  it.each([
    '/assets/../../secret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/assets/%2e%2e/%2e%2e/secret.txt',
    '/assets/..\\..\\secret.txt',
    '/assets//etc/passwd',
    '/assets/%00',
    '/assets/link.txt',
    '/assets/__proto__',
    '/assets/',
  ])('hold nothing beside their own plain files: %s', async (path) => {
    const { port } = await start();
    const answer = await raw(port, path);
    expect(answer).toMatch(/^HTTP\/1.1 (404|401|400) /);
    expect(answer).not.toContain('\r\n\r\nsecret');
  });

  it('say so where they were not built', async () => {
    const folder = await temporaryFolder();
    for (const pages of [{ folder }, { folder: join(folder, 'none') }, { folder: undefined }]) {
      const { url } = await startGateway({ init: { pages } });
      const answer = await fetch(url);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'text/plain; charset=utf-8']);
      expect(await answer.text()).toContain('npm run build');
    }
  });

  it('are those of another build as soon as there is one', async () => {
    const { url, folder } = await start();
    await (await fetch(url)).text();
    await writeFile(join(folder, 'assets', 'index-c3d4.js'), 'new');
    await writeFile(join(folder, 'index.html'), 'new');
    await utimes(join(folder, 'index.html'), 1, 1);
    expect(await (await fetch(url)).text()).toBe('new');
    expect(await (await fetch(`${url}/assets/index-c3d4.js`)).text()).toBe('new');
  });

  it('let browsers ask for an icon that there is not', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/favicon.ico`)).status).toBe(204);
  });

  it('take nothing but reads', async () => {
    const { call } = await start();
    for (const path of ['/', '/assets/index-a1b2.js']) expect((await call(path, {})).status).toBe(404);
  });
});

describe('what the pages may do', () => {
  it('is no script of their own text, nothing from elsewhere, and no frame of another page', async () => {
    const { url } = await start();
    for (const path of ['', '/assets/index-a1b2.js', '/assets/none.js']) {
      const { headers } = await fetch(url + path);
      const policy = headers.get('content-security-policy') ?? '';
      const rules = new Map(policy.split('; ').map((rule) => rule.split(/ (.*)/s, 2) as [string, string]));
      expect(rules.get('default-src')).toBe("'none'");
      expect(rules.get('script-src')).toBe("'self'");
      expect(rules.get('connect-src')).toBe("'self'");
      expect(rules.get('frame-ancestors')).toBe("'none'");
      expect(rules.get('base-uri')).toBe("'none'");
      expect(rules.get('form-action')).toBe("'none'");
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    }
  });

  it('is what the headers say: tests leave them out to show it', async () => {
    const { url } = await start({ headers: {} });
    const { headers } = await fetch(url);
    for (const name of Object.keys(PAGE_HEADERS)) expect(headers.get(name)).toBeNull();
  });
});
