// The commands that only show what the daemon says: one GET, printed for people, or with --json as it came.
import type { Command } from 'commander';
import { type Connection, connect } from './connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from './context.ts';

export interface Reading<Answer> {
  /** Of the control API, such as `/api/v1/ps`. */
  readonly path: string;
  /** Prints it for people. */
  readonly print: (answer: Answer, connection: Connection) => void;
  /** What --json prints. @default the answer as it came */
  readonly toJson?: (answer: Answer, connection: Connection) => unknown;
}

/** Gives a command its options and its action. */
export function defineReading<Answer>(command: Command, context: CommandContext, reading: Reading<Answer>): void {
  const { path, print, toJson = (answer: Answer) => answer } = reading;
  readingOptions(command).action(async (options: ReadingOptions) => {
    const connection = await connect(context, options);
    const answer = await connection.client.get<Answer>(path, context);
    if (options.json) printJson(context, toJson(answer, connection));
    else print(answer, connection);
  });
}

/** The options that every command has which asks a daemon and prints what it says. */
export function readingOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)');
}
