// `weft list`: which models the mesh has, and where.
import type { Command } from 'commander';
import type { ModelsAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { type Column, formatBytes, table } from '../format.ts';

type ModelListing = ModelsAnswer['models'][number];

interface Options extends ClientOptions {
  readonly json?: true;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const answer = await client.get<ModelsAnswer>('/api/v1/models', context);
      if (options.json) return printJson(context, answer);
      if (answer.models.length === 0) {
        context.stderr.write('No node of this mesh offers a model now. `weft peers` shows which nodes are missing.\n');
        return;
      }
      context.stdout.write(table(COLUMNS, answer.models));
    });
}

const TASKS: Readonly<Record<string, string>> = {
  'text-generation': 'chat',
  'feature-extraction': 'embeddings',
};

const COLUMNS: readonly Column<ModelListing>[] = [
  { title: 'NAME', value: (model) => model.aliases[0] ?? model.id },
  { title: 'ID', value: (model) => model.id },
  { title: 'TASK', value: (model) => TASKS[model.task] ?? model.task },
  { title: 'SIZE', value: (model) => formatBytes(model.sizeBytes), align: 'right' },
  { title: 'NODES', value: (model) => model.nodes.map(describeNode).join(', ') },
];

function describeNode({ name, state, self }: ModelListing['nodes'][number]): string {
  const notes = [...(self ? ['here'] : []), ...(state === 'disk' ? [] : [state])];
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}
