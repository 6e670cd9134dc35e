// `weft import FILE|FOLDER`: makes a model of files on this machine's disk. `weft pull` of a path does the same.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ImportAnswer, ImportRequest } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { formatBytes, printable } from '../format.ts';
import { taskName } from '../model-facts.ts';
import { printWarnings } from '../pull-summary.ts';
import { readingOptions } from '../reading-command.ts';
import { watchTransfer } from '../watch-transfer.ts';

interface Options extends ReadingOptions {
  readonly quiet?: true;
  readonly id?: string;
  readonly task?: string;
  readonly licence?: string;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<path>', 'an .onnx file, or a folder in the layout of the hub')
    .option('--id <owner/name>', 'what it is called; local/ and the name of the file by default')
    .option('--task <task>', 'what it is for, where its inputs do not tell')
    .option('--licence <spdx>', 'SPDX identifier of its licence, where no file tells')
    .option('-q, --quiet', 'print no progress')
    .action((path: string, options: Options) => importPath(path, options, context));
}

/** Imports what lies at a path of this machine, seen from where the command runs. */
export async function importPath(path: string, options: Options, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const { id, task, licence } = options;
  const request: ImportRequest = {
    path: resolve(path),
    ...(id === undefined ? {} : { id }),
    ...(task === undefined ? {} : { task }),
    ...(licence === undefined ? {} : { licence }),
  };
  const isWanted = ({ kind }: { readonly kind: string }, isNew: boolean): boolean => kind === 'import' && isNew;
  const watch = watchTransfer({ context, options, isWanted });
  try {
    await watch.watching;
    const init = { signal: context.signal, timeoutMs: Number.POSITIVE_INFINITY };
    const { body } = await client.post<ImportAnswer>('/api/v1/models/import', request, init);
    watch.end();
    if (options.json) return printJson(context, body);
    context.stdout.write(summary(body));
    printWarnings(context, body.warnings);
  } finally {
    watch.end();
  }
}

function summary({ id, task, reason, sizeBytes, wasHere }: ImportAnswer): string {
  const state = wasHere ? 'was here already' : 'is here';
  return `${printable(id)} ${state}: ${formatBytes(sizeBytes)}, for ${printable(taskName(task))}.\n${printable(reason)}\n`;
}
