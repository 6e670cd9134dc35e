// `weft logs`: the last lines of the node's log, whatever level it prints itself; with -f also those that follow.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LogsAnswer } from '../../../protocol/api/control.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import type { ClientOptions, CommandContext } from '../context.ts';
import { apiOf, followEvents } from '../follow-events.ts';
import { LOG_LINES_REMEMBERED_MAX } from '../limits.ts';
import { formatLogLine, type LogLine } from '../log-lines.ts';
import { nodeNamed } from '../node-names.ts';
import { dimLine } from '../style.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

interface Options extends ClientOptions {
  readonly json?: true;
  readonly follow?: true;
  readonly level?: (typeof LEVELS)[number];
  readonly lines?: number;
  readonly node?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('-f, --follow', 'go on with the lines that follow, until Ctrl-C')
    .option('-n, --lines <n>', 'how many of the last lines', count)
    .addOption(new Option('--level <level>', 'lines of this level and above').choices(LEVELS))
    .option('--node <node>', 'of another node that this one may manage: its name, its id, or the end of it')
    .option('--json', 'print each line as one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      if (options.follow) return follow(options, context);
      const { client } = await connect(context, options);
      const node = await otherNode(client, options, context);
      for (const line of await lastLines(client, node, options, context)) print(line, options, context);
    });
}

/** Id of the node that is meant; undefined: the daemon's own. */
async function otherNode(client: Client, options: Options, { signal }: CommandContext): Promise<string | undefined> {
  return options.node === undefined ? undefined : nodeNamed(client, options.node, { signal });
}

async function lastLines(
  client: Client,
  node: string | undefined,
  options: Options,
  { signal }: CommandContext,
): Promise<readonly LogLine[]> {
  const query = new URLSearchParams();
  if (options.level !== undefined) query.set('level', options.level);
  if (options.lines !== undefined) query.set('limit', String(options.lines));
  const path = query.size === 0 ? `${apiOf(node)}/logs` : `${apiOf(node)}/logs?${query}`;
  return (await client.get<LogsAnswer>(path, { signal })).lines;
}

async function follow(options: Options, context: CommandContext): Promise<void> {
  const shown = new ShownLines();
  const show = (line: LogLine): void => {
    print(line, options, context);
    shown.add(line);
  };
  const node = await otherNode((await connect(context, options)).client, options, context);
  let client: Client | undefined;
  const catchUp = async (): Promise<void> => {
    if (client === undefined) return;
    const lines = shown.unseen(await lastLines(client, node, options, context));
    lines.forEach(show);
    shown.expect(lines);
  };
  let resumes = false; // an event has come: the stream goes on behind it, or says that it can't
  const events = followEvents({
    connect: () => connect(context, options),
    node,
    types: ['log'],
    signal: context.signal,
    // The stream is open before the last lines are read, so that nothing falls between; what stands in both is left out.
    onOpen: async (opened) => {
      client = opened;
      if (!resumes) await catchUp();
    },
  });
  const least = LEVELS.indexOf(options.level ?? 'debug');
  for await (const event of events) {
    resumes = true;
    if (event.type === 'reset') {
      context.stderr.write(dimLine(context.stderr, 'Some lines were missed here.'));
      await catchUp();
    } else if (event.type === 'log' && LEVELS.indexOf(event.data.level) >= least && !shown.wasExpected(event.data)) {
      show(event.data);
    }
  }
}

/** Which lines have been printed, so that none is twice. Two lines may be the same to the last letter. */
class ShownLines {
  /** Lines that were read and may come as events too, and how often. */
  readonly #expected = new Map<string, number>();
  #newestMs = Number.NEGATIVE_INFINITY;
  /** Those of the newest millisecond. */
  readonly #newest = new Set<string>();

  add(line: LogLine): void {
    if (line.atMs > this.#newestMs) this.#newest.clear();
    this.#newestMs = Math.max(this.#newestMs, line.atMs);
    if (line.atMs === this.#newestMs && this.#newest.size < LOG_LINES_REMEMBERED_MAX) {
      this.#newest.add(JSON.stringify(line));
    }
  }

  /** Those behind the last one that was printed. */
  unseen(lines: readonly LogLine[]): readonly LogLine[] {
    return lines.filter(
      (line) => line.atMs > this.#newestMs || (line.atMs === this.#newestMs && !this.#newest.has(JSON.stringify(line))),
    );
  }

  /** These were read, while the stream was open already. */
  expect(lines: readonly LogLine[]): void {
    this.#expected.clear();
    for (const line of lines.slice(-LOG_LINES_REMEMBERED_MAX)) {
      const text = JSON.stringify(line);
      this.#expected.set(text, (this.#expected.get(text) ?? 0) + 1);
    }
  }

  /** True for an event that was read before; once for each time. */
  wasExpected(line: LogLine): boolean {
    const text = JSON.stringify(line);
    const times = this.#expected.get(text) ?? 0;
    if (times > 0) this.#expected.set(text, times - 1);
    return times > 0;
  }
}

function print(line: LogLine, options: Options, { stdout }: CommandContext): void {
  stdout.write(options.json ? `${JSON.stringify(line)}\n` : `${formatLogLine(line, Date.now())}\n`);
}

function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= LOG_LINES_REMEMBERED_MAX) return Number(text);
  throw new InvalidArgumentError(`Write a number from 1 to ${LOG_LINES_REMEMBERED_MAX}.`);
}
