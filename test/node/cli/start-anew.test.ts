// A process that begins anew: what of it the new one is started with, and what becomes of the old one.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Host, startAnew } from '../../../node/cli/start-anew.ts';
import { temporaryFolder } from '../../models/temporary.ts';

const MODULE = new URL('../../../node/cli/start-anew.ts', import.meta.url).href;

/** A program that begins anew twice, and says each time who it is and what it was given. */
const program = (platform: string): string => `
import { startAnew } from ${JSON.stringify(MODULE)};
console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2), exec: process.execArgv, count: process.env.COUNT }));
const count = Number(process.env.COUNT);
if (count < 2) {
  process.env.COUNT = String(count + 1);
  Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} });
  await startAnew(process);
} else process.exitCode = 7;
`;

async function run(platform: string) {
  const path = join(await temporaryFolder(), 'program.mjs');
  await writeFile(path, program(platform));
  const child = spawn(process.execPath, ['--no-warnings', path, 'serve', '--name', 'two words'], {
    env: { ...process.env, COUNT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly pid: number; readonly count: string });
  return { pid: child.pid, code, lines };
}

const given = { args: ['serve', '--name', 'two words'], exec: ['--no-warnings'] };

describe('startAnew', () => {
  it.skipIf(process.platform === 'win32')('keeps the process, its command line and its environment', async () => {
    const { pid, code, lines } = await run('linux');
    expect(lines).toEqual(['0', '1', '2'].map((count) => ({ pid, ...given, count })));
    expect(code).toBe(7);
  });

  it('where a process cannot be replaced it waits for the new one, and ends as that ends', async () => {
    const { pid, code, lines } = await run('win32');
    expect(lines).toMatchObject(['0', '1', '2'].map((count) => ({ ...given, count })));
    expect(lines[0]?.pid).toBe(pid);
    expect(new Set(lines.map((line) => line.pid)).size).toBe(3);
    expect(code).toBe(7);
  });

  it('ends with a failure where nothing can be started', async () => {
    const ended = Promise.withResolvers<number>();
    const host = Object.assign(new EventEmitter(), {
      execPath: join(await temporaryFolder(), 'gone'),
      execArgv: [],
      argv: ['node', 'weft', 'serve'],
      env: {},
      platform: 'win32' as const,
      execve: undefined,
      exit: (code: number) => ended.resolve(code),
    });
    void startAnew(host as unknown as Host);
    expect(await ended.promise).toBe(1);
  });
});
