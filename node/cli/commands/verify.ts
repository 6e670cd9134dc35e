// `weft verify [MODEL]`: hashes what is installed here against its manifests, and brings what is damaged anew.
import type { Command } from 'commander';
import type { TransferState, VerifyAnswer, VerifyRequest } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { verifyLine } from '../pull-summary.ts';
import { readingOptions } from '../reading-command.ts';
import { watchTransfer } from '../watch-transfer.ts';

interface Options extends ReadingOptions {
  readonly repair: boolean;
  readonly quiet?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('[model]', 'short name or hub id; all models that are installed here by default')
    .option('--no-repair', 'bring nothing anew')
    .option('-q, --quiet', 'print no progress')
    .action((name: string | undefined, options: Options) => verify(name, options, context));
}

async function verify(name: string | undefined, options: Options, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const request: VerifyRequest = { repair: options.repair, ...(name === undefined ? {} : { model: name }) };
  const isWanted = ({ kind }: TransferState): boolean => kind === 'repair';
  const watch = watchTransfer({ context, options, isWanted });
  try {
    await watch.watching;
    const call = { signal: context.signal, timeoutMs: Number.POSITIVE_INFINITY };
    const { body } = await client.post<VerifyAnswer>('/api/v1/models/verify', request, call);
    watch.end();
    if (options.json) printJson(context, body);
    else if (body.models.length === 0) context.stderr.write('No model is installed here.\n');
    else context.stdout.write(body.models.map((model) => `${verifyLine(model)}\n`).join(''));
    failIfDamaged(body);
  } finally {
    watch.end();
  }
}

/** @throws WeftError `model_corrupt` when something is damaged and was not repaired */
function failIfDamaged({ models }: VerifyAnswer): void {
  const damaged = models.filter((model) => model.damaged.length > 0 && !model.repaired);
  if (damaged.length === 0) return;
  const names = damaged.map(({ id }) => id).join(', ');
  throw new WeftError({
    code: 'model_corrupt',
    message: `${damaged.length} of ${models.length} models ${damaged.length === 1 ? 'is' : 'are'} damaged: ${names}.`,
    remedy:
      'Try `weft verify` again when a node that has it, or the hub, can be reached; or `weft rm` it and pull it anew.',
  });
}
