// `weft list`: which models the mesh has, and where.
import type { Command } from 'commander';
import type { MeshModelsAnswer, ModelsAnswer } from '../../../protocol/api/control.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { type Column, formatBytes, isPlainWord, table } from '../format.ts';
import { meshTable } from '../mesh-models-view.ts';
import { describeNode, type ModelListing, taskName } from '../model-facts.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly names?: true;
  readonly mesh?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .option('--names', 'print names alone, one a line, for scripts')
    .option('--mesh', 'list all that lies on a disk of the mesh, offered or not, and how much of it where')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      if (options.mesh) return listMesh(client, options, context);
      const answer = await client.get<ModelsAnswer>('/api/v1/models', context);
      const { models } = answer;
      if (options.json) printJson(context, answer);
      else if (options.names) context.stdout.write(names(models));
      else if (models.length > 0) context.stdout.write(table(COLUMNS, models.flatMap(rows)));
      else
        context.stderr.write('No node of this mesh offers a model now. `weft peers` shows which nodes are missing.\n');
    });
}

async function listMesh(client: Client, options: Options, context: CommandContext): Promise<void> {
  const answer = await client.get<MeshModelsAnswer>('/api/v1/models/mesh', context);
  if (options.json) printJson(context, answer);
  else if (answer.models.length > 0) context.stdout.write(meshTable(answer.models));
  else context.stderr.write('No node that is reached now has files of a model. `weft pull MODEL` brings one.\n');
}

type Row = Pick<ModelListing, 'id' | 'aliases' | 'task' | 'sizeBytes' | 'nodes'>;

/** One row a model; where it has several forms, one for each under the name that asks for it. */
function rows(model: ModelListing): readonly Row[] {
  const forms = model.forms ?? [];
  if (forms.length === 0) return [model];
  return forms.map(({ form, sizeBytes, nodes }) => ({
    id: `${model.id}:${form}`,
    aliases: model.aliases.map((alias) => `${alias}:${form}`),
    task: model.task,
    sizeBytes,
    nodes,
  }));
}

const COLUMNS: readonly Column<Row>[] = [
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
    .flatMap((model) => (model.forms === undefined ? [model] : [model, ...rows(model)]))
    .flatMap(({ id, aliases }) => [...aliases, id])
    .filter(isPlainWord)
    .map((name) => `${name}\n`)
    .join('');
}
