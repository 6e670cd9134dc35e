import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import { fakeDaemon, homeOf, KEY, recordedContext } from './fake-daemon.ts';

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
  return context.out() + context.err();
}

describe('weft key', () => {
  it('says where the key lies, and prints it only when asked to', async () => {
    const home = folder();
    writeFileSync(join(home, 'api-key'), `${KEY}\n`);
    for (const args of [['key'], ['key', '--json']]) {
      const said = await weft(home, args);
      expect(said).toContain(join(home, 'api-key'));
      expect(said).not.toContain(KEY);
    }
    expect(await weft(home, ['key', '--show'])).toBe(`${KEY}\n`);
    expect(JSON.parse(await weft(home, ['key', '--show', '--json']))).toEqual({
      file: join(home, 'api-key'),
      key: KEY,
    });
  });

  it('says when there is none, and when the environment has it', async () => {
    const home = folder();
    await expect(weft(home, ['key'])).rejects.toMatchObject({ code: 'not_found' });
    const said = await weft(home, ['key'], { WEFT_API_KEY: 'sk-1' });
    expect(said).toContain('WEFT_API_KEY');
    expect(said).not.toContain('sk-1');
  });
});

describe('weft key new', () => {
  it('replaces the file where no daemon runs', async () => {
    const home = folder();
    writeFileSync(join(home, 'api-key'), `${KEY}\n`, { mode: 0o644 });
    const said = await weft(home, ['key', 'new']);
    const key = readFileSync(join(home, 'api-key'), 'utf8').trim();
    expect(key).toMatch(/^weft_[\w-]{43}$/);
    expect(said).not.toContain(key);
    expect(statSync(join(home, 'api-key')).mode & 0o777).toBe(0o600);
    await expect(weft(home, ['key', 'new'], { WEFT_API_KEY: 'sk-1' })).rejects.toMatchObject({
      code: 'config_invalid',
    });
  });

  it('asks the daemon where one runs: it must know the new key', async () => {
    await using daemon = await fakeDaemon({ 'POST /api/v1/key': { key: 'weft_fresh' } });
    await using home = await homeOf(daemon.url);
    expect(await weft(home.folder, ['key', 'new', '--show'])).toBe('weft_fresh\n');
    expect(daemon.requests).toEqual(['POST /api/v1/key']);
    expect(readFileSync(join(home.folder, 'api-key'), 'utf8')).toBe(`${KEY}\n`);
  });
});
