import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HISTORY_LINE_LENGTH_MAX, HISTORY_LINES_MAX } from '../../../node/cli/limits.ts';
import { LineHistory } from '../../../node/cli/line-history.ts';
import type { WeftError } from '../../../protocol/errors.ts';

async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), 'weft-history-'));
  const problems: WeftError[] = [];
  const path = join(folder, 'chat-history');
  return {
    folder,
    path,
    problems,
    open: () => LineHistory.open({ path, onProblem: (error) => problems.push(error) }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

describe('LineHistory', () => {
  it('gives the lines of earlier chats, newest first', async () => {
    await using home = await temporary();
    const first = await home.open();
    expect(first.lines).toEqual([]);
    for (const line of ['one', 'two', 'three']) first.add(line);
    await first.close();
    expect((await home.open()).lines).toEqual(['three', 'two', 'one']);
    expect(home.problems).toEqual([]);
  });

  it('loses nothing of two chats at once', async () => {
    await using home = await temporary();
    const [a, b] = [await home.open(), await home.open()];
    a.add('from a');
    await a.close();
    b.add('from b');
    await b.close();
    a.add('from a again');
    await a.close();
    expect((await home.open()).lines).toEqual(['from a again', 'from b', 'from a']);
  });

  it('leaves out empty lines, repetitions and very long ones', async () => {
    await using home = await temporary();
    const history = await home.open();
    for (const line of ['one', '  ', '', 'one', 'x'.repeat(HISTORY_LINE_LENGTH_MAX + 1), 'two']) history.add(line);
    await history.close();
    expect(await readFile(home.path, 'utf8')).toBe('one\ntwo\n');
  });

  it('keeps a file of a bounded number of lines', async () => {
    await using home = await temporary();
    await writeFile(home.path, Array.from({ length: 2 * HISTORY_LINES_MAX }, (_, at) => `old ${at}\n`).join(''));
    const history = await home.open();
    expect(history.lines.length).toBe(HISTORY_LINES_MAX);
    history.add('new');
    await history.close();
    const lines = (await readFile(home.path, 'utf8')).trimEnd().split('\n');
    expect(lines.length).toBe(HISTORY_LINES_MAX);
    expect(lines.at(-1)).toBe('new');
    expect((await stat(home.path)).mode & 0o777).toBe(0o600);
  });

  it('takes rights away from others that an older file gave them', async () => {
    await using home = await temporary();
    await writeFile(home.path, 'old\n', { mode: 0o644 });
    const history = await home.open();
    history.add('new');
    await history.close();
    expect((await stat(home.path)).mode & 0o777).toBe(0o600);
  });

  it('tells once why lines are not kept, and goes on without', async () => {
    await using home = await temporary();
    await mkdir(home.path);
    const history = await home.open();
    history.add('one');
    history.add('two');
    await history.close();
    expect(home.problems.map(({ code }) => code)).toEqual(['home_unwritable']);
  });
});
