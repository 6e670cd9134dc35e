// `weft list`: which models the mesh has, and where.
import type { Command } from 'commander';
import type { ModelsAnswer } from '../../../protocol/api/control.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatBytes, table } from '../format.ts';
import { defineReading } from '../reading-command.ts';

type ModelListing = ModelsAnswer['models'][number];

export function define(command: Command, context: CommandContext): void {
  defineReading<ModelsAnswer>(command, context, {
    path: '/api/v1/models',
    print: ({ models }) => {
      if (models.length > 0) context.stdout.write(table(COLUMNS, models));
      else
        context.stderr.write('No node of this mesh offers a model now. `weft peers` shows which nodes are missing.\n');
    },
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
