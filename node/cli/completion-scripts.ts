// Completion scripts for bash, zsh and fish, made from a description of the commands. Pure; for `weft completion`.
// Names come from peers: the scripts never let a shell expand them.
import { isPlainWord } from './format.ts';

export interface CompletedOption {
  /** With their dashes: `--json`, `-f`. */
  readonly flags: readonly string[];
  readonly summary: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** What its first argument is; `other` is left to the shell, which knows files. */
  readonly argument: 'model' | 'member' | 'other';
  readonly choices: readonly string[];
  readonly commands: readonly CompletedCommand[];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The command that prints the names of an argument's kind, one a line. */
const NAMES = { model: 'list --names', member: 'members --names' } as const;

/** The whole script. */
export function completionScript(shell: Shell, commands: readonly CompletedCommand[]): string {
  return { bash, zsh, fish }[shell](commands);
}

/** Commands and, behind them, theirs: `config`, `config set`. */
function paths(commands: readonly CompletedCommand[], before = ''): { path: string; command: CompletedCommand }[] {
  return commands.flatMap((command) => {
    const path = before === '' ? command.name : `${before} ${command.name}`;
    return [{ path, command }, ...paths(command.commands, path)];
  });
}

const flagsOf = ({ options }: CompletedCommand): readonly string[] => options.flatMap(({ flags }) => flags);

// ── bash ────────────────────────────────────────────────────────────────────────────────────────

function bash(commands: readonly CompletedCommand[]): string {
  const all = paths(commands);
  const nested = all.filter(({ command }) => command.commands.length > 0).map(({ path }) => path);
  const cases = all.map(({ path, command }) => {
    const words = [...command.commands.map(({ name }) => name), ...command.choices].filter(isPlainWord);
    return `    '${path}')
      flags='${flagsOf(command).join(' ')}'
      words='${words.join(' ')}'
      names='${command.argument === 'other' ? '' : NAMES[command.argument]}'
      ;;`;
  });
  const values = all.flatMap(({ path, command }) =>
    command.options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, choices }) => {
        const patterns = flags.map((flag) => `'${path} ${flag}'`).join('|');
        return `    ${patterns}) words='${choices.join(' ')}'; value=1 ;;`;
      }),
  );
  return `# TAB completion of weft for bash. In ~/.bashrc:  source <(weft completion bash)
_weft() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  local path='' flags='' words='' names='' value='' word='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    [[ $word == -* ]] && continue
    if [[ -z $path ]]; then path=$word
    else
      case "$path" in
        ${nested.length === 0 ? "''" : nested.map((path) => `'${path}'`).join('|')}) path="$path $word" ;;
      esac
      break
    fi
  done
  case "$path" in
    '') words='${[...commands.map(({ name }) => name), 'help'].join(' ')}'; flags='--help --version' ;;
    'help') words='${commands.map(({ name }) => name).join(' ')}' ;;
${cases.join('\n')}
  esac
  case "$path $before" in
${values.join('\n')}
  esac
  [[ -n $value && -z $words ]] && return
  if [[ $cur == -* && -z $value ]]; then words=$flags
  elif [[ -n $names && -z $value ]]; then
    # Line by line, and compared as text: nothing in a name is expanded.
    while IFS= read -r word; do
      [[ $word =~ ^[A-Za-z0-9_][A-Za-z0-9_.,:/@+-]*$ && $word == "$cur"* ]] && COMPREPLY+=("$word")
    done < <("$1" $names 2>/dev/null)
  fi
  for word in $words; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
  done
}
complete -o default -F _weft weft
`;
}

// ── zsh ─────────────────────────────────────────────────────────────────────────────────────────

function zsh(commands: readonly CompletedCommand[]): string {
  return `#compdef weft
# TAB completion of weft for zsh. In ~/.zshrc, below compinit:  source <(weft completion zsh)
_weft_names() {
  local -a names
  names=(\${(f)"$(weft "$@" --names 2>/dev/null)"})
  compadd -a names
}
${zshLevel('_weft', commands)}
if [[ $funcstack[1] == _weft ]]; then _weft "$@"; else compdef _weft weft; fi
`;
}

/** A function that completes one level of commands, and calls those of the levels below. */
function zshLevel(name: string, commands: readonly CompletedCommand[]): string {
  const described = commands.map(
    (command) => `      ${quoted(`${command.name}:${command.summary.replaceAll(':', '\\:')}`)}`,
  );
  const cases = commands.map((command) =>
    command.commands.length > 0
      ? `        ${command.name}) ${name}_${command.name} ;;`
      : `        ${command.name}) _arguments -s ${zshArguments(command).join(' ')} ;;`,
  );
  const inner = commands
    .filter((command) => command.commands.length > 0)
    .map((command) => zshLevel(`${name}_${command.name}`, command.commands));
  return `${inner.join('')}${name}() {
  local curcontext="$curcontext" state line
  local -a commands
  _arguments -C '1: :->command' '*:: :->rest'
  case $state in
    command)
      commands=(
${described.join('\n')}
      )
      _describe command commands ;;
    rest)
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}
`;
}

function zshArguments(command: CompletedCommand): string[] {
  const options = command.options.flatMap(({ flags, summary, takesValue, choices }) =>
    flags.map((flag) => {
      const values = choices.length === 0 ? '_default' : `(${choices.join(' ')})`;
      return quoted(`*${flag}[${summary.replace(/[[\]\\]/g, '\\$&')}]${takesValue ? `:value:${values}` : ''}`);
    }),
  );
  if (command.choices.length > 0) return [...options, quoted(`1:choice:(${command.choices.join(' ')})`)];
  // The space keeps zsh from putting arguments of its own before these.
  const action = { model: ' _weft_names list', member: ' _weft_names members', other: '_default' }[command.argument];
  return [...options, quoted(`1:${command.argument}:${action}`), quoted('*:more:_default')];
}

// ── fish ────────────────────────────────────────────────────────────────────────────────────────

function fish(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name);
  const lines = commands.flatMap((command) => {
    const seen = `__fish_seen_subcommand_from ${command.name}`;
    const inner = command.commands.map(({ name }) => name);
    return [
      fishLine('__fish_use_subcommand', ['-f', '-a', command.name, '-d', quoted(command.summary)]),
      ...fishInside(seen, command),
      ...command.commands.flatMap((nested) => [
        fishLine(`${seen}; and not __fish_seen_subcommand_from ${inner.join(' ')}`, [
          '-f',
          '-a',
          nested.name,
          '-d',
          quoted(nested.summary),
        ]),
        ...fishInside(`${seen}; and __fish_seen_subcommand_from ${nested.name}`, nested),
      ]),
    ];
  });
  return `# TAB completion of weft for fish: weft completion fish > ~/.config/fish/completions/weft.fish
${fishLine('__fish_use_subcommand', ['-f', '-a', 'help', '-d', quoted('Say more about a command.')])}
${fishLine('__fish_seen_subcommand_from help', ['-f', '-a', quoted(names.join(' '))])}
${lines.join('\n')}
`;
}

function fishInside(condition: string, command: CompletedCommand): string[] {
  const options = command.options.map(({ flags, summary, takesValue, choices }) => {
    const spelled = flags.flatMap((flag) => (flag.startsWith('--') ? ['-l', flag.slice(2)] : ['-s', flag.slice(1)]));
    const values = !takesValue ? [] : choices.length === 0 ? ['-r'] : ['-x', '-a', quoted(choices.join(' '))];
    return fishLine(condition, [...spelled, ...values, '-d', quoted(summary)]);
  });
  if (command.choices.length > 0)
    return [...options, fishLine(condition, ['-f', '-a', quoted(command.choices.join(' '))])];
  if (command.argument === 'other') return options;
  return [...options, fishLine(condition, ['-f', '-a', quoted(`(weft ${NAMES[command.argument]} 2>/dev/null)`)])];
}

const fishLine = (condition: string, rest: readonly string[]): string =>
  `complete -c weft -n ${quoted(condition)} ${rest.join(' ')}`;

/** One word for zsh and fish, whatever stands in the text: both read what is quoted so in the same way. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
