// `weft show MODEL`: what a model is, and where it runs. Of one that is not installed here only what its nodes tell.
import type { Command } from 'commander';
import type { CutsAnswer, ModelAnswer, ModelsAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { cutPointsOf } from '../cut-points.ts';
import { cutsSvg } from '../cuts-svg.ts';
import { cutsText } from '../cuts-view.ts';
import { asArgument, type Column, factSheet, formatBytes, orDash, table } from '../format.ts';
import { ANSWER_MS_MAX } from '../limits.ts';
import { describeNode, installedModel, listed, type ModelListing, taskName } from '../model-facts.ts';
import { writeOrRefuse } from '../output-file.ts';
import { profileText } from '../profile-view.ts';
import { readingOptions } from '../reading-command.ts';
import { dimLine } from '../style.ts';

interface ShowOptions extends ReadingOptions {
  readonly profile?: boolean;
  readonly cuts?: boolean;
  readonly again?: boolean;
  readonly svg?: string;
}

/** What both tell of the model. */
type Known = Pick<ModelAnswer, 'id' | 'aliases' | 'contextLength' | 'dimensions' | 'sizeBytes'> & {
  readonly task: string;
};

export interface ShownModel {
  readonly known: Known;
  /** Where it is installed here. */
  readonly details: ModelAnswer | undefined;
  /** Nodes that offer it now. */
  readonly nodes: ModelListing['nodes'];
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('<model>', 'short name or hub id, such as minilm')
    .option('--profile', 'show how fast it is here: measured, observed, and told to peers')
    .option('--cuts', 'show where its graph can be cut, what crosses there, and what both sides take')
    .option('--again', 'with --cuts: measure it anew')
    .option('--svg <file>', 'with --cuts: draw it into a file as well')
    .action(async (name: string, options: ShowOptions) => {
      checkOptions(options);
      const { client } = await connect(context, options);
      if (options.cuts) return showCuts(client, name, options, context);
      const model = await readModel(client, name, context);
      if (options.json) printJson(context, toJson(model));
      else context.stdout.write(options.profile ? describeProfile(model) : describeModel(model));
    });
}

function checkOptions({ cuts, again, svg, profile }: ShowOptions): void {
  if (cuts && profile) throw misused('--cuts and --profile are two pages.', 'Leave one of them out.');
  if (!cuts && (again || svg !== undefined)) {
    throw misused('--again and --svg go with --cuts.', 'Write weft show MODEL --cuts.');
  }
}

const misused = (message: string, remedy: string): WeftError => new WeftError({ code: 'bad_request', message, remedy });

/** A graph that was never measured is measured first. */
async function showCuts(client: Client, name: string, options: ShowOptions, context: CommandContext): Promise<void> {
  const { signal } = context;
  const query = `model=${encodeURIComponent(name)}${options.again ? '&again=true' : ''}`;
  const answer = await client.get<CutsAnswer>(`/api/v1/cuts?${query}`, { signal, timeoutMs: ANSWER_MS_MAX });
  if (options.svg !== undefined) {
    await writeOrRefuse(options.svg, cutsSvg(answer));
    context.stderr.write(dimLine(context.stderr, `drawn into ${asArgument(options.svg)}`));
  }
  if (options.json) return printJson(context, { ...answer, cuts: cutPointsOf(answer) });
  context.stdout.write(cutsText(answer));
}

/** @throws WeftError `model_not_found`; what {@link Client} throws */
export async function readModel(
  client: Client,
  name: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<ShownModel> {
  const [details, { models }] = await Promise.all([
    installedModel(client, name, { signal }),
    client.get<ModelsAnswer>('/api/v1/models', { signal }),
  ]);
  const listing = listed(models, details?.id ?? name);
  const known = details ?? listing;
  if (known === undefined) {
    throw new WeftError({ code: 'model_not_found', message: `This mesh has no model "${name}".` });
  }
  return { known, details, nodes: listing?.nodes ?? [] };
}

function toJson({ known, details, nodes }: ShownModel): object {
  const { id, aliases, task, contextLength, dimensions, sizeBytes } = known;
  const installed = details !== undefined;
  return { id, aliases, task, contextLength, dimensions, sizeBytes, installed, ...details, nodes };
}

/** Its facts alone, for people; ends in a line feed. */
export function describeFacts({ known, details, nodes }: ShownModel): string {
  const facts: [string, string][] = [
    ['Name', known.aliases.length === 0 ? '-' : known.aliases.join(', ')],
    ['Id', known.id],
    ['Task', taskName(known.task)],
    ...(known.contextLength > 0 ? [['Context', `${known.contextLength} tokens`] satisfies [string, string]] : []),
    ...(known.dimensions > 0 ? [['Vectors', `${known.dimensions} values`] satisfies [string, string]] : []),
    ['Size', formatBytes(known.sizeBytes)],
    ['Installed', describeInstalled(details)],
    ['Runs on', nodes.length === 0 ? 'no node that is reached now' : nodes.map(describeNode).join(', ')],
  ];
  if (details?.decoder !== undefined) facts.push(['Decoder', describeDecoder(details)]);
  if (details !== undefined) facts.push(['Licence', orDash(details.licence, String)], ['Digest', details.digest]);
  return factSheet(facts);
}

/** Facts, files, inputs and outputs, for people; ends in a line feed. */
function describeModel(model: ShownModel): string {
  const { details } = model;
  if (details === undefined) return describeFacts(model);
  const { files, inputs, outputs } = details;
  const parts = [
    describeFacts(model),
    table(FILES, files),
    ...(inputs.length === 0 ? [] : [table(portColumns('INPUT'), foldSeries(inputs))]),
    ...(outputs.length === 0 ? [] : [table(portColumns('OUTPUT'), foldSeries(outputs))]),
  ];
  return parts.join('\n');
}

/** @throws WeftError `model_not_found` where this node doesn't offer it */
function describeProfile(model: ShownModel): string {
  const { details, known } = model;
  if (details?.profile !== undefined) return [describeFacts(model), profileText(details, details.profile)].join('\n');
  throw new WeftError({
    code: 'model_not_found',
    message: `This node does not offer ${known.id}, so it has no profile of it.`,
    remedy: 'Ask a node that does: `weft show` says which ones they are.',
  });
}

type Port = ModelAnswer['inputs'][number];

/**
 * Ports that differ in one number of their names alone, in one line: each layer of a language model has its own, by the
 * dozen. `past.0.key`, `past.1.key`, `past.2.key` → `past.{0…2}.key`.
 */
function foldSeries(ports: readonly Port[]): Port[] {
  const series = Map.groupBy(ports, ({ name, type, dims }) => JSON.stringify([name.replace(/\d+/, '#'), type, dims]));
  return [...series.values()].flatMap((members) => {
    const numbers = members.map(({ name }) => Number(/\d+/.exec(name)?.[0]));
    const [first] = members;
    const isRow = numbers.every((number, at) => number === (numbers[0] ?? 0) + at);
    if (first === undefined || members.length < FOLDED_MIN || !isRow) return members;
    return [{ ...first, name: first.name.replace(/\d+/, `{${numbers[0]}…${numbers.at(-1)}}`) }];
  });
}

/** Fewer of a series are all shown. */
const FOLDED_MIN = 3;

function describeInstalled(details: ModelAnswer | undefined): string {
  if (details === undefined) return 'not here';
  const notes = [...(details.bundled ? ['came with Weft'] : []), ...(details.offered ? [] : ['not offered'])];
  return ['here', ...notes].join(', ');
}

function describeDecoder({ decoder, decoderReason }: ModelAnswer): string {
  if (decoder === 'rewritten') return 'rewritten: conversations share steps, and the cache stays where it is';
  return `as it was exported: ${decoderReason ?? 'its graph could not be rewritten.'}`;
}

const FILES: readonly Column<ModelAnswer['files'][number]>[] = [
  { title: 'FILE', value: ({ path }) => path },
  { title: 'SIZE', value: ({ sizeBytes }) => formatBytes(sizeBytes), align: 'right' },
  { title: 'SHA256', value: ({ sha256 }) => sha256 },
];

const portColumns = (title: string): readonly Column<ModelAnswer['inputs'][number]>[] => [
  { title, value: ({ name }) => name },
  { title: 'TYPE', value: ({ type }) => type },
  // A name or -1: each request chooses.
  { title: 'SHAPE', value: ({ dims }) => `[${dims.map((dim) => (dim === -1 ? '?' : dim)).join(', ')}]` },
];
