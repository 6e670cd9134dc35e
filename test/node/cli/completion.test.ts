// Completion scripts: bash's is run by bash; those of shells that are not installed are checked as text, and skipped as
// programs.
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../node/cli/command-table.ts';
import { SHELLS, type Shell } from '../../../node/cli/completion-scripts.ts';
import { runProgram } from '../../../node/cli/program.ts';
import { recordedContext } from './fake-daemon.ts';

/** The script; no daemon runs where these tests run. */
async function script(shell: Shell): Promise<string> {
  const context = recordedContext({ env: { WEFT_HOME: '/no/such/folder' } });
  await runProgram(['completion', shell], context, '0.0.0');
  return context.out();
}

const installed = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** Names that would run a command, or look like an option, where a shell expanded them. */
const HOSTILE_NAMES = ['$(touch owned)', '`touch owned`', ';touch owned', '-rf', '*', "a'b"];

describe('weft completion', () => {
  it.each(SHELLS)('has every command and its options for %s', async (shell) => {
    const text = await script(shell);
    for (const name of Object.keys(COMMANDS)) expect(text).toMatch(new RegExp(`\\b${name}\\b`));
    expect(text).toMatch(/repeat-penalty/);
    expect(text).toContain('list --names'.split(' ')[1]);
  });

  it('refuses other shells, and says which there are', async () => {
    const context = recordedContext();
    await expect(runProgram(['completion', 'tcsh'], context, '0.0.0')).rejects.toMatchObject({
      code: 'commander.invalidArgument',
    });
    expect(context.err()).toContain('bash, zsh, fish');
  });

  it.each(SHELLS.map((shell) => [shell] as const).filter(([shell]) => installed(shell)))(
    'is a script that %s can read',
    async (shell) => {
      const { status, stderr } = spawnSync(shell, ['-n'], { input: await script(shell) });
      expect(stderr.toString()).toBe('');
      expect(status).toBe(0);
    },
  );

  it.skipIf(installed('zsh'))('is not read by zsh here, which is not installed', ({ skip }) => skip());
  it.skipIf(installed('fish'))('is not read by fish here, which is not installed', ({ skip }) => skip());
});

describe.skipIf(!installed('bash'))('completion in bash', () => {
  /** What bash offers behind each of these words, the last of them begun; `weft` is a program that says these names. */
  async function offered(lines: readonly (readonly string[])[], names: readonly string[] = ['smollm2', 'org/minilm']) {
    const folder = await mkdtemp(join(tmpdir(), 'weft-completion-'));
    try {
      await writeFile(join(folder, 'names'), names.map((name) => `${name}\n`).join(''));
      await writeFile(join(folder, 'weft'), `#!/bin/sh\ncat "${folder}/names"\n`);
      await chmod(join(folder, 'weft'), 0o755);
      const tries = lines.map((words) => {
        const quoted = words.map((word) => `'${word}'`).join(' ');
        return `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _weft weft; (IFS='|'; echo "\${COMPREPLY[*]}")`;
      });
      const { stdout, stderr } = spawnSync('bash', ['--norc'], {
        cwd: folder,
        input: `${await script('bash')}\n${tries.join('\n')}\n`,
        env: { PATH: [folder, process.env.PATH].join(delimiter) },
      });
      expect(stderr.toString()).toBe('');
      return {
        words: stdout
          .toString()
          .trimEnd()
          .split('\n')
          .map((line) => line.split('|')),
        files: await readdir(folder),
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  it.each<[readonly string[], readonly string[]]>([
    [
      ['weft', 'st'],
      ['stop', 'status'],
    ],
    [['weft', 'help', 'mem'], ['members']],
    [['weft', 'list', '--j'], ['--json']],
    [['weft', 'run', 's'], ['smollm2']],
    [['weft', 'run', '--top-k', '4', 'org'], ['org/minilm']],
    [['weft', 'logs', '--level', 'w'], ['warn']],
    [['weft', 'embed', 'minilm', '--priority', 'b'], ['batch']],
    [['weft', 'infer', 'm', '--dead'], ['--deadline']],
    [
      ['weft', 'completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['weft', 'run', 'smollm2', '--seed', ''], ['']],
    [['weft', 'revoke', 's'], ['smollm2']],
  ])('offers behind "%s"', async (line, words) => {
    expect((await offered([line])).words).toEqual([words]);
  });

  it('offers every command', async () => {
    expect((await offered([['weft', '']])).words[0]?.toSorted()).toEqual([...Object.keys(COMMANDS), 'help'].toSorted());
  });

  it('neither runs nor offers a name that is more than a name', async () => {
    const { words, files } = await offered([['weft', 'run', '']], [...HOSTILE_NAMES, 'smollm2']);
    expect(words).toEqual([['smollm2']]);
    expect(files.toSorted()).toEqual(['names', 'weft']);
  });

  it('would run it as the usual way to complete does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-completion-'));
    try {
      spawnSync('bash', ['--norc'], { cwd: folder, input: `names='${HOSTILE_NAMES[0]}'; compgen -W "$names" -- ''` });
      expect(await readdir(folder)).toEqual(['owned']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
