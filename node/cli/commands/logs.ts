// `weft logs`: the last lines of the node's log, whatever level it prints itself; with -f also those that follow.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LogsAnswer } from '../../../protocol/api/control.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import type { ClientOptions, CommandContext } from '../context.ts';
import { followEvents } from '../follow-events.ts';
import { LOG_LINES_REMEMBERED_MAX } from '../limits.ts';
import { formatLogLine, type LogLine } from '../log-lines.ts';
import { dimLine } from '../style.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

interface Options extends ClientOptions {
  readonly json?: true;
  readonly follow?: true;
  readonly level?: (typeof LEVELS)[number];
  readonly lines?: number;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('-f, --follow', 'go on with the lines that follow, until Ctrl-C')
    .option('-n, --lines <n>', 'how many of the last lines', count)
    .addOption(new Option('--level <level>', 'lines of this level and above').choices(LEVELS))
    .option('--json', 'print each line as one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      if (options.follow) return follow(options, context);
      const { client } = await connect(context, options);
      for (const line of await lastLines(client, options, context)) print(line, options, context);
    });
}

async function lastLines(client: Client, options: Options, { signal }: CommandContext): Promise<readonly LogLine[]> {
  const query = new URLSearchParams();
  if (options.level !== undefined) query.set('level', options.level);
  if (options.lines !== undefined) query.set('limit', String(options.lines));
  const path = query.size === 0 ? '/api/v1/logs' : `/api/v1/logs?${query}`;
  return (await client.get<LogsAnswer>(path, { signal })).lines;
}

async function follow(options: Options, context: CommandContext): Promise<void> {
  // The stream is open before the last lines are read, so that nothing falls between; what stands in both is left out.
  const printed = new Map<string, number>();
  let isFirst = true;
  const onOpen = async (client: Client): Promise<void> => {
    if (!isFirst) return;
    isFirst = false;
    for (const line of await lastLines(client, options, context)) {
      print(line, options, context);
      const text = JSON.stringify(line);
      if (printed.size < LOG_LINES_REMEMBERED_MAX) printed.set(text, (printed.get(text) ?? 0) + 1);
    }
  };
  const least = LEVELS.indexOf(options.level ?? 'debug');
  const events = followEvents({
    connect: () => connect(context, options),
    types: ['log'],
    signal: context.signal,
    onOpen,
  });
  for await (const event of events) {
    if (event.type === 'reset') {
      context.stderr.write(dimLine(context.stderr, 'Some lines were missed here.'));
    } else if (event.type === 'log' && LEVELS.indexOf(event.data.level) >= least) {
      const text = JSON.stringify(event.data);
      const times = printed.get(text) ?? 0;
      if (times === 0) print(event.data, options, context);
      else printed.set(text, times - 1);
    }
  }
}

function print(line: LogLine, options: Options, { stdout }: CommandContext): void {
  stdout.write(options.json ? `${JSON.stringify(line)}\n` : `${formatLogLine(line, Date.now())}\n`);
}

function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= LOG_LINES_REMEMBERED_MAX) return Number(text);
  throw new InvalidArgumentError(`Write a number from 1 to ${LOG_LINES_REMEMBERED_MAX}.`);
}
