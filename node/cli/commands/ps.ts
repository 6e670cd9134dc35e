// `weft ps`: the models that are in memory, here and on the nodes that are reached, and those that are quarantined.
import type { Command } from 'commander';
import type { PeersAnswer, PsAnswer, StatusAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from '../format.ts';
import { readingOptions } from '../reading-command.ts';

type Loaded = PsAnswer['models'][number];

/** A model in another node's memory, by what that node says of itself. */
interface LoadedElsewhere {
  readonly node: string;
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly sizeBytes: number;
  /** Of the whole node. */
  readonly requestsInFlight: number | undefined;
  readonly queuedMs: number | undefined;
}

interface Row {
  readonly id: string;
  readonly node: string;
  readonly state: string;
  readonly bytes: number;
  readonly here: Loaded | undefined;
  readonly queuedMs: number | undefined;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command).action(async (options: ReadingOptions) => {
    const { client } = await connect(context, options);
    const [{ models }, { peers }, status] = await Promise.all([
      client.get<PsAnswer>('/api/v1/ps', context),
      client.get<PeersAnswer>('/api/v1/peers', context),
      client.get<StatusAnswer>('/api/v1/status', context),
    ]);
    const elsewhere = loadedElsewhere(peers);
    if (options.json) return printJson(context, { models, elsewhere });
    const rows = [...models.map((model) => rowHere(model, status)), ...elsewhere.map(rowElsewhere)];
    if (rows.length > 0) context.stdout.write(table(COLUMNS, rows));
    else context.stderr.write('No model is loaded. A request loads one: try `weft run smollm2`.\n');
    for (const { id, reason } of models) {
      if (reason !== undefined) context.stdout.write(`\n${printable(id)} is quarantined: ${printable(reason)}\n`);
    }
  });
}

function loadedElsewhere(peers: PeersAnswer['peers']): LoadedElsewhere[] {
  return peers
    .filter(({ state }) => state !== 'gone')
    .flatMap(({ node, name, offers, load }) =>
      offers
        .filter(({ state }) => state !== 'disk')
        .map(({ model, state, sizeBytes }) => ({
          node,
          name,
          id: model.id,
          state,
          sizeBytes,
          requestsInFlight: load?.requestsInFlight,
          queuedMs: load?.queuedMs,
        })),
    );
}

const rowHere = (here: Loaded, { name, load }: StatusAnswer): Row => ({
  id: here.id,
  node: `${name} (here)`,
  state: here.state,
  bytes: here.residentBytes,
  here,
  queuedMs: load.queuedMs,
});

const rowElsewhere = ({ id, name, state, sizeBytes, queuedMs }: LoadedElsewhere): Row => ({
  id,
  node: name,
  state,
  bytes: sizeBytes,
  here: undefined,
  queuedMs,
});

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', value: ({ id }) => id },
  { title: 'NODE', value: ({ node }) => node },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'SIZE', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { title: 'PROCESSOR', value: ({ here }) => orDash(here, ({ provider }) => provider) },
  { title: 'RUNNING', value: ({ here }) => orDash(here, (model) => String(model.requestsInFlight)), align: 'right' },
  { title: 'QUEUE', value: ({ queuedMs }) => orDash(queuedMs, formatMs), align: 'right' },
  { title: 'PID', value: ({ here }) => orDash(here?.runnerPid, String), align: 'right' },
  { title: 'UNTIL', value: ({ here }) => orDash(here?.idleUntilMs, (ms) => `in ${formatMs(ms)}`) },
];
