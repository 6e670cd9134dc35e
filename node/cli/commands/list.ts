// `weft list`: which models the mesh has, and where.
import type { Command } from 'commander';
import type { ModelsAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { type Column, formatBytes, isPlainWord, table } from '../format.ts';
import { describeNode, type ModelListing, taskName } from '../model-facts.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly names?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .option('--names', 'print names alone, one a line, for scripts')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const answer = await client.get<ModelsAnswer>('/api/v1/models', context);
      const { models } = answer;
      if (options.json) printJson(context, answer);
      else if (options.names) context.stdout.write(names(models));
      else if (models.length > 0) context.stdout.write(table(COLUMNS, models));
      else
        context.stderr.write('No node of this mesh offers a model now. `weft peers` shows which nodes are missing.\n');
    });
}

const COLUMNS: readonly Column<ModelListing>[] = [
  { title: 'NAME', value: (model) => model.aliases[0] ?? model.id },
  { title: 'ID', value: (model) => model.id },
  { title: 'TASK', value: (model) => taskName(model.task) },
  { title: 'SIZE', value: (model) => formatBytes(model.sizeBytes), align: 'right' },
  { title: 'NODES', value: (model) => model.nodes.map(describeNode).join(', ') },
];

/**
 * Every name under which a model can be asked for, short ones first. Scripts and completion put them into command lines:
 * a name that a shell would take for more than a name is left out.
 */
function names(models: readonly ModelListing[]): string {
  return models
    .flatMap(({ id, aliases }) => [...aliases, id])
    .filter(isPlainWord)
    .map((name) => `${name}\n`)
    .join('');
}
