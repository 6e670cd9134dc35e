// `weft rm MODEL`: deletes an installed model's files from this node.
import type { Command } from 'commander';
import type { ModelAnswer, RemoveAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { confirm } from '../ask.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { formatBytes, printable } from '../format.ts';
import { REMOVE_MS_MAX } from '../limits.ts';
import { modelPath } from '../model-facts.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly yes?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<model>', 'short name or hub id; of several forms one by OWNER/NAME:q4')
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, options: Options) => {
      const { client } = await connect(context, options);
      const { id, digest, sizeBytes } = await client.get<ModelAnswer>(modelPath(name), context);
      if (!options.yes && !(await agreed(context, `Delete ${printable(id)} (${formatBytes(sizeBytes)})?`))) {
        return void context.stderr.write('Nothing was deleted.\n');
      }
      const { body } = await client.post<RemoveAnswer>(
        '/api/v1/models/remove',
        // What was shown is what goes, whichever form the id alone would have meant.
        { model: digest },
        { signal: context.signal, timeoutMs: REMOVE_MS_MAX },
      );
      if (options.json) printJson(context, body);
      else context.stdout.write(`Deleted ${printable(body.id)}: ${formatBytes(body.freedBytes)} freed.\n`);
    });
}

/** @throws WeftError `bad_request` where there is nobody to ask */
function agreed(context: CommandContext, question: string): Promise<boolean> {
  if (context.stdin.isTTY) return confirm(context, question);
  throw new WeftError({
    code: 'bad_request',
    message: 'Deleting needs a yes, and there is no terminal to ask at.',
    remedy: 'Add --yes.',
  });
}
