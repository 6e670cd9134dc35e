// `weft ps`: the models that are in memory, here and on the nodes that are reached, and those that are quarantined.
import type { Command } from 'commander';
import type { PeersAnswer, PsAnswer, StatusAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { type LoadedElsewhere, psText } from '../ps-view.ts';
import { readingOptions } from '../reading-command.ts';

export function define(command: Command, context: CommandContext): void {
  readingOptions(command).action(async (options: ReadingOptions) => {
    const { client } = await connect(context, options);
    const [{ models }, { peers }, { name }] = await Promise.all([
      client.get<PsAnswer>('/api/v1/ps', context),
      client.get<PeersAnswer>('/api/v1/peers', context),
      client.get<StatusAnswer>('/api/v1/status', context),
    ]);
    const elsewhere = loadedElsewhere(peers);
    const { stdout, stderr } = context;
    if (options.json) printJson(context, { models, elsewhere });
    else if (models.length + elsewhere.length > 0) stdout.write(psText({ name, models, elsewhere }, stdout.columns));
    else stderr.write('No model is loaded. A request loads one: try `weft run smollm2`.\n');
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
