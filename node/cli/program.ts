// The table of commands, and the way from a command line to one of them. Imports commander and nothing else, so that
// `weft --help` is there at once: a command's own file is loaded when the command is named.
import { Command, CommanderError } from 'commander';
import type { CommandContext } from './context.ts';

/** A command's file exports `define`: it adds arguments, options and the action. */
interface CommandFile {
  define(command: Command, context: CommandContext): void;
}

interface CommandEntry {
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<CommandFile>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    group: 'This node:',
    summary: 'start this node and keep it serving',
    load: () => import('./commands/serve.ts'),
  },
  status: {
    group: 'This node:',
    summary: 'show who this node is, where it answers, what it offers',
    load: () => import('./commands/status.ts'),
  },
  ps: {
    group: 'This node:',
    summary: 'list the models that are loaded here',
    load: () => import('./commands/ps.ts'),
  },
  run: {
    group: 'Models:',
    summary: 'ask a model: one prompt, a pipe, or a chat at the terminal',
    load: () => import('./commands/run.ts'),
  },
  embed: {
    group: 'Models:',
    summary: 'turn texts into vectors',
    load: () => import('./commands/embed.ts'),
  },
  list: {
    group: 'Models:',
    summary: 'list the models of the mesh and the nodes that offer them',
    load: () => import('./commands/list.ts'),
  },
  peers: {
    group: 'Mesh:',
    summary: 'list the other nodes: hardware, models, load, RTT, goodput',
    load: () => import('./commands/peers.ts'),
  },
  invite: {
    group: 'Mesh:',
    summary: 'print a ticket with which one more machine can join',
    load: () => import('./commands/invite.ts'),
  },
  join: {
    group: 'Mesh:',
    summary: 'join a mesh with a ticket from `weft invite`',
    load: () => import('./commands/join.ts'),
  },
};

const DESCRIPTION = 'Weft joins your machines into one private inference mesh.';

const FOOTER = `
Begin with:
  weft serve                     start a node here
  weft run smollm2 "Hello!"      ask a model, wherever in the mesh it runs
  weft invite                    on the first machine: get a ticket
  weft serve --join TICKET       on the next machine: join, and serve

Settings: flag > environment (WEFT_HOME, WEFT_HOST, …) > settings.json > default`;

/**
 * Runs one command line to its end.
 * @returns normally after `--help` and `--version` too
 * @throws CommanderError for a command line that can't be understood, its message already printed; whatever the command
 *   throws
 */
export async function runProgram(args: readonly string[], context: CommandContext, version: string): Promise<void> {
  const program = new Command('weft')
    .description(DESCRIPTION)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', FOOTER)
    .showHelpAfterError('Run `weft --help` to see what there is.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error:/, 'weft:')),
    });
  const wanted = commandOf(args);
  for (const [name, { group, summary, load }] of Object.entries(COMMANDS)) {
    const command = program
      .command(name)
      .summary(summary)
      .description(`${capitalised(summary)}.`)
      .helpGroup(group);
    command.showHelpAfterError(`Run \`weft ${name} --help\` to see how it is used.`);
    if (name === wanted) (await load()).define(command, context);
  }
  if (args.length === 0) return program.outputHelp();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return; // help or version, printed
    throw error;
  }
}

/** The command that a command line names, `weft help NAME` included. */
function commandOf(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
