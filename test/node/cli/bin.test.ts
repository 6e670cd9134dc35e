// The bin as a person starts it: on Nodes old and new, with next to nothing loaded for its help.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fakeDaemon, homeOf } from './fake-daemon.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'bin', 'weft.js');
const OLD_NODE = oldNode();

/** A Node on the PATH that is too old for Weft, if there is one. */
function oldNode(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((path) => {
      const [, major, minor] = /^v(\d+)\.(\d+)/.exec(spawnSync(path, ['--version']).stdout?.toString() ?? '') ?? [];
      return major !== undefined && (Number(major) < 24 || (Number(major) === 24 && Number(minor) < 15));
    });
}

async function result(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    child.stdout === null || child.stdout.destroyed ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

const run = (node: string, args: readonly string[]) => result(spawn(node, args, { stdio: ['ignore', 'pipe', 'pipe'] }));

describe('bin/weft.js', () => {
  it('prints its version and its help', async () => {
    const version = await run(process.execPath, [BIN, '--version']);
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' });
    const help = await run(process.execPath, [BIN]);
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('weft [help] COMMAND'), stderr: '' });
  });

  it('gives a command line that can not be understood the exit code of usage errors', async () => {
    expect(await run(process.execPath, [BIN, 'nonsense'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('names the nearest command also where help was asked for one that there is not', async () => {
    const asked = await run(process.execPath, [BIN, 'help', 'rn']);
    expect(asked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining("unknown command 'rn'") });
  });

  it.skipIf(!existsSync('/dev/full'))('says in two lines that the disk is full', async () => {
    await using daemon = await fakeDaemon({ 'GET /api/v1/models': { models: [] } });
    await using home = await homeOf(daemon.url);
    await using full = await open('/dev/full', 'w');
    const list = spawn(process.execPath, [BIN, 'list', '--json', '--home', home.folder], {
      stdio: ['ignore', full.fd, 'pipe'],
    });
    const { code, stderr } = await result(list);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^weft: The answer can't be written \(ENOSPC\)\.\n {2}do: {2}.*\n$/);
  });

  it('ends without a trace when nobody reads what it prints', async () => {
    const child = spawn(process.execPath, [BIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    expect(await result(child)).toMatchObject({ code: 141, stderr: '' });
  });
});

describe.skipIf(OLD_NODE === undefined)('bin/weft.js on a Node that is too old', () => {
  const node = OLD_NODE ?? '';

  it('goes on with the packaged one', async () => {
    expect(await run(node, [BIN, '--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\./) });
  });

  it('passes the exit code on', async () => {
    expect(await run(node, [BIN, 'nonsense'])).toMatchObject({ code: 2 });
  });

  it('passes signals on', async () => {
    const asked = Promise.withResolvers<void>();
    await using daemon = await fakeDaemon({ 'POST /v1/chat/completions': () => asked.resolve() });
    await using home = await homeOf(daemon.url);
    const child = spawn(node, [BIN, 'run', 'smollm2', 'Hi', '--home', home.folder], { stdio: 'pipe' });
    const ended = result(child);
    await asked.promise;
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: 143, stdout: '', stderr: '' });
  });

  it('says in one line what is missing where there is no packaged one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-bin-'));
    try {
      await copyFile(BIN, join(folder, 'weft.mjs'));
      const { code, stderr } = await run(node, [join(folder, 'weft.mjs'), 'serve']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^weft: this is Node .*npm ci.*\n$/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** Files that a program loads, by their path below the repository; Node's own modules are left out. */
async function filesLoaded(entry: string, ...args: readonly string[]): Promise<string[]> {
  const recorder = fileURLToPath(new URL('./import-recorder.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', recorder, entry, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const recorded = child.stdio[3];
  const urls = recorded instanceof Object && 'read' in recorded ? await text(recorded) : '';
  return urls
    .split('\n')
    .filter((url) => url.startsWith('file:'))
    .map((url) => fileURLToPath(url).slice(ROOT.length));
}

describe('weft --help', () => {
  it('loads commander, and of Weft what the table of commands needs', async () => {
    const files = await filesLoaded(join(ROOT, 'node/cli/main.ts'), '--help');
    const own = ['main', 'program', 'command-table', 'help-screen', 'signals', 'limits', 'version'].map(
      (name) => `node/cli/${name}.ts`,
    );
    const others = files.filter((file) => !file.startsWith('node_modules/commander/'));
    expect(others.sort()).toEqual([...own, 'package.json'].sort());
  });

  it.skipIf(!existsSync(join(ROOT, 'dist', 'cli.js')))('loads little of the bundle', async () => {
    const files = (await filesLoaded(BIN, '--help')).filter((file) => file.startsWith('dist/'));
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(ROOT, file))).size));
    expect(files).toContain('dist/cli.js');
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000);
  });
});
