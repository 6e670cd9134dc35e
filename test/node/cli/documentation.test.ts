// docs/cli.md against the commands that there are.
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { PARAMETERS } from '../../../node/cli/chat-settings.ts';
import { COMMANDS } from '../../../node/cli/command-table.ts';
import { describe as describeCommand } from '../../../node/cli/commands/completion.ts';
import { wholeProgram } from '../../../node/cli/program.ts';
import { recordedContext } from './fake-daemon.ts';

const text = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

/** Their JSON stands in the page that is about them. */
const ELSEWHERE = ['doctor', 'config', 'key', 'service', 'demo'];

describe('docs/cli.md', () => {
  it.each(Object.keys(COMMANDS))('has %s in its table of commands', (name) => {
    expect(text).toMatch(new RegExp(`^\\| \`weft ${name}\\b`, 'm'));
  });

  it('has the fields of everything that is printed as JSON', async () => {
    const { commands } = await wholeProgram(recordedContext());
    const reading = commands
      .map(describeCommand)
      .filter(({ options }) => options.some(({ flags }) => flags.includes('--json')))
      .map(({ name }) => name)
      .filter((name) => !ELSEWHERE.includes(name));
    expect(reading.length).toBeGreaterThan(15);
    for (const name of reading) expect(text).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
  });

  it.each(PARAMETERS.map(({ flag }) => flag.replace(/ .*/, '')))('names %s of weft run', (flag) => {
    expect(text).toContain(`\`${flag}\``);
  });
});
