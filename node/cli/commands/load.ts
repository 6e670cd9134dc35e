// `weft load MODEL`: brings a model into this node's memory, and shows how far that is.
import type { Command } from 'commander';
import type { ControlEvent, LoadAnswer, ModelAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { followEvents } from '../follow-events.ts';
import { formatBytes, printable } from '../format.ts';
import { LOAD_MS_MAX } from '../limits.ts';
import { modelPath } from '../model-facts.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly pin?: true;
}

/** The phases of a load in words of this command. */
const PHASES: Readonly<Record<string, string>> = {
  room: 'making room',
  start: 'starting its process',
  verify: 'verifying its files',
  load: 'reading its graph',
  check: 'checking the rewritten graph',
  warm: 'warming up',
};

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<model>', 'short name or hub id; of several forms one by OWNER/NAME:q4')
    .option('--pin', 'keep it in memory until it is unloaded, or the node ends')
    .action((name: string, options: Options) => load(name, options, context));
}

async function load(name: string, options: Options, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const { id, digest } = await client.get<ModelAnswer>(modelPath(name), context);
  const shown = options.json !== true && context.stderr.isTTY === true ? showProgress(id, options, context) : undefined;
  try {
    await shown?.watching;
    const request = options.pin ? { model: digest, pin: true } : { model: digest };
    const init = { signal: context.signal, timeoutMs: LOAD_MS_MAX };
    const { body } = await client.post<LoadAnswer>('/api/v1/models/load', request, init);
    shown?.end();
    if (options.json) return printJson(context, body);
    const state = body.wasLoaded ? 'was loaded already' : 'is loaded';
    const pinned = body.pinned ? ', pinned' : '';
    context.stdout.write(`${printable(body.id)} ${state}: ${formatBytes(body.residentBytes)}${pinned}.\n`);
  } finally {
    shown?.end();
  }
}

/** One line that changes, for as long as the load takes. A lost stream of events costs the line, not the load. */
function showProgress(
  id: string,
  options: Options,
  context: CommandContext,
): { readonly watching: Promise<void>; end(): void } {
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const { promise: watching, resolve: watch } = Promise.withResolvers<void>();
  const { stderr } = context;
  const follow = async (): Promise<void> => {
    const init = { connect: () => connect(context, options), types: ['model'] as const, signal };
    for await (const event of followEvents({ ...init, onOpen: async () => watch() })) {
      const line = progressLine(id, event);
      if (line !== undefined && !ending.signal.aborted) stderr.write(`\r\x1b[K${line}`);
    }
  };
  follow().catch(() => watch());
  return {
    watching,
    end() {
      if (ending.signal.aborted) return;
      ending.abort();
      stderr.write('\r\x1b[K');
    },
  };
}

function progressLine(id: string, event: ControlEvent): string | undefined {
  if (event.type !== 'model' || event.data.id !== id || event.data.phase === undefined) return undefined;
  const { phase, fraction } = event.data;
  const percent = fraction === undefined ? '' : ` ${Math.round(100 * fraction)} %`;
  return `${printable(id)}: ${PHASES[phase] ?? printable(phase)}${percent}`;
}
