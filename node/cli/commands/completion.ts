// `weft completion bash|zsh|fish`: a script for the shell, made from the table of commands. Needs no daemon.
import { Argument, type Command, type Option } from 'commander';
import {
  type CompletedCommand,
  type CompletedOption,
  completionScript,
  SHELLS,
  type Shell,
} from '../completion-scripts.ts';
import type { CommandContext } from '../context.ts';
import { wholeProgram } from '../program.ts';

export function define(command: Command, context: CommandContext): void {
  command
    .addArgument(new Argument('<shell>', 'whose script').choices(SHELLS))
    .addHelpText(
      'after',
      `
bash: source <(weft completion bash)     in ~/.bashrc
zsh:  source <(weft completion zsh)      in ~/.zshrc, below compinit
fish: weft completion fish > ~/.config/fish/completions/weft.fish`,
    )
    .action(async (shell: Shell) => {
      const { commands } = await wholeProgram(context);
      context.stdout.write(completionScript(shell, commands.map(describe)));
    });
}

/** What completion needs to know of a command, as commander has it. */
export function describe(command: Command): CompletedCommand {
  const [first] = command.registeredArguments;
  const name = first?.name();
  return {
    name: command.name(),
    summary: command.description(),
    options: [...command.options.filter(({ hidden }) => !hidden).map(describeOption), HELP],
    argument: name === 'model' || name === 'member' ? name : 'other',
    choices: first?.argChoices ?? [],
    commands: command.commands.map(describe),
  };
}

const HELP: CompletedOption = { flags: ['--help', '-h'], summary: 'show help', takesValue: false, choices: [] };

function describeOption(option: Option): CompletedOption {
  return {
    flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
    summary: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}
