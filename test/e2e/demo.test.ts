// `weft demo` as a person runs it. What it promises is asserted, not how long it takes: it ends itself after 85 s.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runWeft } from '../support/daemon.ts';
import { isAlive, until } from '../support/wait.ts';

interface Outcome {
  readonly ok: boolean;
  readonly machines: readonly { readonly name: string; readonly offer: string; readonly pid: number }[];
  readonly requests: readonly {
    readonly what: string;
    readonly ran_on: readonly string[];
    readonly parts_ms: Readonly<Record<string, number | null>>;
    readonly why: readonly (readonly string[])[];
  }[];
  readonly recovery: {
    readonly killed: string;
    readonly continued_by: string;
    readonly tokens: number;
    readonly same_text: boolean;
  };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-demo-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));

/** Where the system makes temporary folders, by the name of every system. */
const temporary = () => ({ TMPDIR: folder, TEMP: folder, TMP: folder });

const leftFolders = async () => (await readdir(folder)).filter((name) => name.startsWith('weft-demo'));

it('runs requests where they can run, loses a node in the middle of an answer, and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await runWeft(['demo', '--json'], temporary());
  expect(code, stderr).toBe(0);
  const outcome = JSON.parse(stdout) as Outcome;
  expect(outcome.ok).toBe(true);
  const offers = new Map(outcome.machines.map(({ name, offer }) => [name, offer]));
  expect([...offers.values()].sort()).toEqual(['minilm', 'minilm', 'none', 'smollm2', 'smollm2']);

  for (const { what, ran_on } of outcome.requests) {
    const offer = /embed|batch/.test(what) ? 'minilm' : 'smollm2';
    expect(
      ran_on.map((name) => offers.get(name)),
      what,
    ).toEqual(ran_on.map(() => offer));
  }
  const chats = outcome.requests.filter(({ what }) => /^chat/.test(what)).flatMap(({ ran_on }) => ran_on);
  expect(new Set(chats).size, 'chats at once ran on both').toBe(2);
  for (const { what, parts_ms, why } of outcome.requests) {
    expect(parts_ms.compute, what).toBeGreaterThan(0);
    expect(why.flat().join('\n'), what).toMatch(/not laptop: /);
  }

  const { killed, continued_by, tokens, same_text } = outcome.recovery;
  expect(outcome.requests.at(-1)?.ran_on).toEqual([killed, continued_by]);
  // One placement before the loss and one after it; more where a node declined, or a second one was asked as well.
  expect(outcome.requests.at(-1)?.why.length).toBeGreaterThanOrEqual(2);
  expect(tokens).toBeGreaterThan(16);
  expect(same_text).toBe(true);

  for (const { pid } of outcome.machines) expect(await isAlive(pid)).toBe(false);
  expect(await leftFolders()).toEqual([]);
});

it('cleans up at Ctrl-C, and prints plain text where there is no terminal', async () => {
  const bin = fileURLToPath(new URL('../../bin/weft.js', import.meta.url));
  const child = spawn(process.execPath, [bin, 'demo'], {
    env: { ...process.env, ...temporary() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await until('the first question', () => /asks/.test(output), 60_000);
  const pids = [...output.matchAll(/ (\d+)$/gm)].map(([, pid]) => Number(pid));
  expect(pids.length).toBe(5);
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  expect(code).toBe(130);
  for (const pid of pids) expect(await isAlive(pid)).toBe(false);
  expect(await leftFolders()).toEqual([]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(output).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
});
