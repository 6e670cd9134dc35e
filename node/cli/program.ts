// The way from a command line to one of the commands of command-table.ts. Imports commander and nothing else, so that
// `weft --help` is there at once.
import { Command, CommanderError } from 'commander';
import { COMMANDS } from './command-table.ts';
import type { CommandContext } from './context.ts';
import { helpScreen } from './help-screen.ts';

/**
 * Runs one command line to its end.
 * @returns normally after `--help` and `--version` too
 * @throws CommanderError for a command line that can't be understood, its message already printed; whatever the command
 *   throws
 */
export async function runProgram(args: readonly string[], context: CommandContext, version: string): Promise<void> {
  const program = createProgram(context, version);
  const wanted = commandOf(args);
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const command = addCommand(program, name);
    if (name === wanted) (await load()).define(command, context);
  }
  // After the commands, which would inherit it as their own help.
  program.configureHelp({ formatHelp: helpScreen });
  if (args.length === 0) return program.outputHelp();
  try {
    // Help for a command that there isn't: said as for that command itself, with the nearest one.
    const isHelpForNone =
      args[0] === 'help' && wanted !== undefined && wanted !== 'help' && !Object.hasOwn(COMMANDS, wanted);
    await program.parseAsync(isHelpForNone ? [wanted] : args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return; // help or version, printed
    throw error;
  }
}

/** The program with every command defined, for who describes it: completion scripts, the documentation's test. */
export async function wholeProgram(context: CommandContext): Promise<Command> {
  const program = createProgram(context, '');
  for (const [name, { load }] of Object.entries(COMMANDS)) (await load()).define(addCommand(program, name), context);
  return program;
}

function createProgram(context: CommandContext, version: string): Command {
  return new Command('weft')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showHelpAfterError('Run `weft --help` to see what there is.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error:/, 'weft:')),
    });
}

function addCommand(program: Command, name: string): Command {
  return program
    .command(name)
    .description(COMMANDS[name]?.description ?? '')
    .showHelpAfterError(`Run \`weft ${name} --help\` to see how it is used.`);
}

/** The command that a command line names, `weft help NAME` included. */
function commandOf(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}
