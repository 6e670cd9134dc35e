// What `weft` alone prints: every command on one screen of 24 lines and 80 columns. Called by program.ts.
import { COMMANDS, type CommandGroup, HELP_COLUMNS } from './command-table.ts';

const HEAD = `Weft, a private inference mesh. Usage: weft [help] COMMAND [options]
`;

const FOOT = `
Begin:  weft serve     start a node here, then: weft run smollm2 "Hello!"
Join:   weft invite    print a ticket; next machine: weft serve --join TICKET
`;

/** The whole screen, its last line ended. */
export function helpScreen(): string {
  const [left = [], right = []] = HELP_COLUMNS.map(linesOf);
  const width = Math.max(...left.map((line) => line.length)) + 2;
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, at) =>
    `${(left[at] ?? '').padEnd(width)}${right[at] ?? ''}`.trimEnd(),
  );
  return `${HEAD}${rows.join('\n')}\n${FOOT}`;
}

function linesOf(groups: readonly CommandGroup[]): string[] {
  const width = Math.max(...groups.flatMap(({ commands }) => commands.map((name) => name.length))) + 2;
  return groups.flatMap(({ title, commands }, at) => [
    ...(at === 0 ? [] : ['']),
    title,
    ...commands.map((name) => `  ${name.padEnd(width)}${COMMANDS[name]?.summary ?? ''}`),
  ]);
}
