import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import type { ConfigReport } from '../../../node/core/control.ts';
import { fakeDaemon, homeOf, recordedContext } from './fake-daemon.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function weft(
  home: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const context = recordedContext({ env });
  await runProgram([...args, '--home', home], context, '0.0.0');
  return context.out();
}

const REPORT: ConfigReport = {
  file: '/data/settings.json',
  problem: '/data/settings.json, line 3, column 1, is not JSON: JSON has no comments.',
  settings: [
    {
      name: 'threads',
      value: 2,
      source: 'flag',
      flag: '--threads',
      env: 'WEFT_THREADS',
      expected: 'a whole number',
      live: false,
      pending: 4,
    },
    {
      name: 'keepAlive',
      value: '1m',
      source: 'file',
      flag: '--keep-alive',
      env: 'WEFT_KEEP_ALIVE',
      expected: 'x',
      live: true,
    },
  ],
};

describe('weft config without a daemon', () => {
  it('shows what the next start would take, and with --explain from where', async () => {
    const home = folder();
    writeFileSync(join(home, 'settings.json'), '{"threads": 1, "name": "kitchen"}');
    const env = { WEFT_KEEP_ALIVE: '1h' };
    const plain = await weft(home, ['config'], env);
    expect(plain).toMatch(/^name +kitchen +file$/m);
    expect(plain).toMatch(/^keepAlive +1h +environment$/m);
    expect(plain).toContain('No daemon runs');
    const explained = await weft(home, ['config', '--explain'], env);
    expect(explained).toMatch(/^keepAlive +1h +environment WEFT_KEEP_ALIVE +--keep-alive +WEFT_KEEP_ALIVE +at once$/m);
    expect(explained).toMatch(/^threads +1 +settings.json +--threads +WEFT_THREADS +at the next start$/m);
    expect(explained).toMatch(/^lenient +false +default/m);
  });

  it('gets, sets and unsets one, and prints JSON when asked to', async () => {
    const home = folder();
    expect(await weft(home, ['config', 'set', 'threads', '1'])).toBe(
      'threads is 1, from the next start of the daemon.\n',
    );
    expect(await weft(home, ['config', 'get', 'threads'])).toBe('1\n');
    expect(JSON.parse(await weft(home, ['config', 'get', 'threads', '--json']))).toMatchObject({
      from: 'files',
      name: 'threads',
      value: 1,
      source: 'file',
    });
    await weft(home, ['config', 'unset', 'threads']);
    expect(readFileSync(join(home, 'settings.json'), 'utf8')).toBe('{}\n');
    expect(await weft(home, ['config', 'path'])).toBe(`${join(home, 'settings.json')}\n`);
    const all = JSON.parse(await weft(home, ['config', '--json'])) as ConfigReport;
    expect(all.settings.map(({ name }) => name)).toContain('otlpEndpoint');
  });

  it('says when the environment hides what was set', async () => {
    const home = folder();
    const said = await weft(home, ['config', 'set', 'threads', '1'], { WEFT_THREADS: '2' });
    expect(said).toBe('threads is in settings.json, but WEFT_THREADS hides it: it stays 2.\n');
  });

  it('writes what a person would write into the file', async () => {
    const home = folder();
    for (const [name, value] of [
      ['threads', '1'],
      ['lenient', 'on'],
      ['offer', 'smollm2,minilm'],
      ['keepAlive', '60s'],
      ['name', '123'],
    ]) {
      await weft(home, ['config', 'set', String(name), String(value)]);
    }
    expect(JSON.parse(readFileSync(join(home, 'settings.json'), 'utf8'))).toEqual({
      threads: 1,
      lenient: true,
      offer: ['smollm2', 'minilm'],
      keepAlive: '60s',
      name: '123',
    });
  });

  it('refuses names and values that are none', async () => {
    const home = folder();
    await expect(weft(home, ['config', 'set', 'thread', '1'])).rejects.toMatchObject({
      remedy: 'Did you mean "threads"?',
    });
    await expect(weft(home, ['config', 'set', 'threads', 'x'])).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(weft(home, ['config', 'set', 'apiKey', 'x'])).rejects.toThrow(/may not hold "apiKey"/);
  });
});

describe('weft config with a daemon', () => {
  it('shows the daemon’s, its flags and what is wrong with the file', async () => {
    await using daemon = await fakeDaemon({ 'GET /api/v1/config': REPORT });
    await using home = await homeOf(daemon.url);
    const explained = await weft(home.folder, ['config', '--explain']);
    expect(explained).toMatch(/^threads +2 +flag --threads +--threads +WEFT_THREADS +4 at the next start$/m);
    expect(explained).toContain('These are the settings of the running daemon.');
    expect(explained).toContain('! /data/settings.json, line 3, column 1');
  });

  it('changes them through it', async () => {
    const sent: unknown[] = [];
    await using daemon = await fakeDaemon({
      'PATCH /api/v1/config': (body, response) => {
        sent.push(body);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(REPORT));
      },
    });
    await using home = await homeOf(daemon.url);
    expect(await weft(home.folder, ['config', 'set', 'keepAlive', '1m'])).toBe('keepAlive is 1m.\n');
    await weft(home.folder, ['config', 'unset', 'keepAlive']);
    expect(sent).toEqual([{ keepAlive: '1m' }, { keepAlive: null }]);
  });
});
