// `weft pull MODEL`: brings a model to this node, from peers and the hub at once, and shows how far that is.
import type { Command } from 'commander';
import type { PullAnswer } from '../../../protocol/api/control.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { asArgument, formatBytes } from '../format.ts';
import { namesSameModel, pathOf } from '../model-argument.ts';
import { printWarnings, pullSummary } from '../pull-summary.ts';
import { readingOptions } from '../reading-command.ts';
import { type TransferWatch, watchTransfer } from '../watch-transfer.ts';
import { importPath } from './import.ts';

interface Options extends ReadingOptions {
  readonly quiet?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<model>', 'OWNER/NAME of the hub, a short name, or a file or folder')
    .option('-q, --quiet', 'print no progress')
    .addHelpText(
      'after',
      `
OWNER/NAME:q4 or OWNER/NAME:onnx/model_q4.onnx chooses among several graphs, OWNER/NAME@REVISION a revision.
What has come is kept when it is interrupted: the same command goes on from there.`,
    )
    .action(async (name: string, options: Options) => {
      const path = pathOf(name);
      if (path !== undefined) return importPath(path, options, context);
      const { client } = await connect(context, options);
      const answer = await pullModel({ client, name, options, context });
      if (options.json) return printJson(context, answer);
      context.stdout.write(pullSummary(answer));
      printWarnings(context, answer.warnings);
    });
}

/**
 * Brings a model, and shows on stderr how far that is unless it is to be quiet.
 * @throws WeftError what the daemon says; `cancelled` after Ctrl-C, when stderr has how to go on
 */
export async function pullModel(init: {
  readonly client: Client;
  readonly name: string;
  readonly options: ClientOptions & { readonly json?: true; readonly quiet?: true };
  readonly context: CommandContext;
}): Promise<PullAnswer> {
  const { client, name, options, context } = init;
  const { signal, stderr } = context;
  const isWanted = ({ kind, model }: { readonly kind: string; readonly model: string }): boolean =>
    kind === 'pull' && namesSameModel(model, name);
  const watch = watchTransfer({ context, options, isWanted });
  try {
    await watch.watching;
    const call = { signal, timeoutMs: Number.POSITIVE_INFINITY };
    return (await client.post<PullAnswer>('/api/v1/models/pull', { model: name }, call)).body;
  } catch (error) {
    watch.end();
    if (signal.aborted) stderr.write(howToGoOn(name, watch));
    throw error;
  } finally {
    watch.end();
  }
}

function howToGoOn(name: string, { last }: TransferWatch): string {
  const come =
    last === undefined || last.doneBytes === 0
      ? 'What has come is kept'
      : `${formatBytes(last.doneBytes)} of ${formatBytes(last.totalBytes)} have come, and are kept`;
  return `${come}: \`weft pull ${asArgument(name)}\` goes on from there.\n`;
}
