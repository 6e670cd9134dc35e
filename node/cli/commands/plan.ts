// `weft plan MODEL`: where a request would go now and why, without running it; with --replay where an earlier one would
// have gone under another policy.
import type { Command } from 'commander';
import type {
  InferAnswer,
  ModelsAnswer,
  PlanAnswer,
  PlanRequest,
  ReplayAnswer,
  RequestAnswer,
} from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { consideredText, leftText, ranText } from '../cuts-view.ts';
import { formatMs, printable } from '../format.ts';
import { readFileForRequest } from '../input-file.ts';
import { ANSWER_MS_MAX, STDIN_BYTES_MAX } from '../limits.ts';
import { type LocalityOptions, localityHeaders, localityOptions } from '../locality-options.ts';
import { listed } from '../model-facts.ts';
import { type NameOf, nodeNames } from '../node-names.ts';
import { gathered, positiveInteger } from '../option-values.ts';
import { deadlineLine, planHeadline, planLines, replayLines, spanTable } from '../plan-view.ts';
import { readingOptions } from '../reading-command.ts';
import { adviseInputs, assignment, inputPorts, isType, portType, readTensors } from '../tensor-input.ts';
import { deadlineOption, type UrgencyOptions, urgencyHeaders } from '../urgency-options.ts';
import { requestOf as inferRequest } from './infer.ts';

interface Options extends ReadingOptions, Pick<UrgencyOptions, 'deadline'>, LocalityOptions {
  readonly input?: readonly string[];
  readonly shape?: readonly string[];
  readonly query?: string;
  readonly maxTokens?: number;
  readonly replay?: string;
  readonly policy?: string;
  readonly run?: true;
}

type ShapedTensor = NonNullable<PlanRequest['inputs']>[number];

export function define(command: Command, context: CommandContext): void {
  localityOptions(readingOptions(command))
    .argument('[model]', 'short name or hub id, such as smollm2')
    .option(
      '-i, --input <text>',
      'a prompt, a text or a document, or @file that holds it; tensors as `weft infer` takes them; repeatable',
      gathered,
    )
    .option(
      '-s, --shape <name=dims>',
      'a tensor by its shape, such as x=1,3,224,224 or x=int64[1,8]; repeatable',
      gathered,
    )
    .option('-q, --query <text>', 'what the texts are to answer, for a model that ranks them')
    .option('--max-tokens <n>', 'of the answer, for a model that generates text', positiveInteger)
    .addOption(deadlineOption('say whether a request with this deadline would be taken, such as 500ms or 2s'))
    .option('--replay <request>', 'decide an earlier request again, by its x-request-id, on what was known then')
    .option('--policy <name>', "with --replay: the routing policy, such as prequal; Weft's own by default")
    .option('--run', 'with --cut or --raw: run it as well, and show what each part took beside what was predicted')
    .addHelpText('after', '\nNothing is run without --run. `weft top` and `weft trace` show the ids of requests.')
    .action((model: string | undefined, options: Options) =>
      options.replay === undefined ? plan(model, options, context) : replay(model, options.replay, options, context),
    );
}

async function plan(model: string | undefined, options: Options, context: CommandContext): Promise<void> {
  if (model === undefined)
    throw misused('No model is named.', 'Write weft plan MODEL --input TEXT, or weft plan --replay REQUEST.');
  if (options.policy !== undefined)
    throw misused('--policy goes with --replay.', 'Write weft plan --replay REQUEST --policy NAME.');
  if (options.run && options.cut === undefined && options.raw === undefined)
    throw misused('--run goes with --cut or --raw.', 'Write weft plan MODEL --input NAME=@file.npy --cut auto --run.');
  const { client } = await connect(context, options);
  const request = await requestOf(client, model, options, context.signal);
  const { body } = await client
    .post<PlanAnswer>('/api/v1/plan', request, {
      signal: context.signal,
      timeoutMs: ANSWER_MS_MAX,
      headers: { ...urgencyHeaders(options), ...localityHeaders(options) },
    })
    .catch(adviseInputs(model));
  const refused = body.cut?.refused !== undefined;
  const ran = options.run && !refused ? await runIt(client, model, options, context) : undefined;
  if (options.json) return printJson(context, ran === undefined ? body : { ...body, ran });
  const nameOf = await nodeNames(client, context);
  const cut = body.cut === undefined ? '' : `\n${consideredText(body.cut, nameOf)}`;
  context.stdout.write(`${planHeadline(body)}\n\n${planLines(body.plan, nameOf)}${deadlineLine(body)}${cut}`);
  if (ran !== undefined) context.stdout.write(`\n${ranLines(ran, nameOf)}`);
  else if (options.run)
    throw new WeftError({ code: 'no_capable_node', message: 'It was not run: no plan keeps to the rule.' });
}

/** Runs the request as it was planned. @returns its way, as the node has noted it down */
async function runIt(
  client: Client,
  model: string,
  options: Options,
  { signal }: CommandContext,
): Promise<RequestAnswer> {
  const { input = [], shape = [] } = options;
  if (shape.length > 0) throw misused('--run needs the tensors themselves.', 'Name them with --input, not --shape.');
  const inputs = await readTensors(client, model, input, signal);
  const { headers } = await client
    .post<InferAnswer>('/api/v1/infer', inferRequest(model, inputs, []), {
      signal,
      timeoutMs: ANSWER_MS_MAX,
      headers: { ...urgencyHeaders(options), ...localityHeaders(options) },
    })
    .catch(adviseInputs(model));
  const id = headers.get('x-request-id') ?? '';
  return client.get<RequestAnswer>(`/api/v1/requests/${encodeURIComponent(id)}`, { signal });
}

function ranLines({ requestId, durationMs, plans, spans }: RequestAnswer, nameOf: NameOf): string {
  const head = `ran in ${formatMs(durationMs)} · ${printable(requestId)}\n\n`;
  const last = plans.at(-1);
  return (
    head + (last?.kind === 'cut' ? ranText(last, spans, nameOf) : spanTable(spans, nameOf)) + leftText(spans, nameOf)
  );
}

async function replay(
  model: string | undefined,
  request: string,
  options: Options,
  context: CommandContext,
): Promise<void> {
  const { input, shape, query: asked, maxTokens, deadline, cut, raw, run } = options;
  const others = [model, input, shape, asked, maxTokens, deadline, cut, raw, run];
  if (others.some((value) => value !== undefined)) {
    throw misused('--replay takes a request as it was.', 'Leave out the model and its input, or leave out --replay.');
  }
  const { client } = await connect(context, options);
  const query = options.policy === undefined ? '' : `?policy=${encodeURIComponent(options.policy)}`;
  const answer = await client.get<ReplayAnswer>(
    `/api/v1/requests/${encodeURIComponent(request)}/replay${query}`,
    context,
  );
  if (options.json) return printJson(context, answer);
  const { requestId, model: name, status, durationMs } = answer;
  const head = [requestId, ...(name === undefined ? [] : [name]), status, formatMs(durationMs)].join(' · ');
  const nameOf = await nodeNames(client, context);
  const lines = answer.placements.length === 0 ? 'It was never placed.\n' : replayLines(answer, nameOf);
  context.stdout.write(`${printable(head)}\n\n${lines}`);
}

async function requestOf(
  client: Client,
  model: string,
  { input = [], shape = [], query, maxTokens }: Options,
  signal: AbortSignal,
): Promise<PlanRequest> {
  if (input.length === 0 && shape.length === 0) {
    throw misused('There is nothing to plan.', 'Name a text with --input, or a tensor with --shape.');
  }
  if (shape.length > 0 || input.every(isTensorFile) || (await takesTensors(client, model, signal))) {
    const shaped = await shapesOf(client, model, shape, signal);
    const read = await readTensors(client, model, input, signal);
    return {
      model,
      inputs: [...read.map(({ name, type, dims }) => ({ name, dtype: type, shape: [...dims] })), ...shaped],
    };
  }
  const texts = await Promise.all(input.map((text) => textOf(text, signal)));
  return {
    model,
    input: texts,
    ...(query !== undefined && { query }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
  };
}

const isTensorFile = (text: string): boolean => /^[^\s=@]+=@.+\.(npy|json)$/i.test(text);

async function takesTensors(client: Client, model: string, signal: AbortSignal): Promise<boolean> {
  const { models } = await client.get<ModelsAnswer>('/api/v1/models', { signal });
  return listed(models, model)?.task === 'tensor';
}

/** A text, or that of `@file`. */
async function textOf(text: string, signal: AbortSignal): Promise<string> {
  if (!text.startsWith('@')) return text;
  const remedy = 'Name a text file behind the @.';
  return (await readFileForRequest(text.slice(1), { bytesMax: STDIN_BYTES_MAX, signal, remedy })).toString('utf8');
}

/** `x=1,3,224,224`, `x=[1,3]` or `x=int64[1,8]`: without a type the graph's own, or float32 where that isn't known. */
async function shapesOf(
  client: Client,
  model: string,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<ShapedTensor[]> {
  if (texts.length === 0) return [];
  const ports = await inputPorts(client, model, signal);
  return texts.map((text) => {
    const { name, value } = assignment(text, '--shape', '1,3,224,224');
    const [, type = '', inner = ''] = /^([a-z]\w*)?\[?([\d,\s]*)\]?$/.exec(value) ?? [];
    const dims = inner.split(',').map((dim) => dim.trim());
    const named = type === '' ? (portType(ports, name) ?? 'float32') : type;
    const isScalar = inner === '' && value.endsWith('[]');
    if (!isType(named) || (!isScalar && !dims.every((dim) => /^\d{1,15}$/.test(dim)))) {
      throw misused(`--shape ${text} is no shape.`, `Write --shape ${name}=1,3,224,224 or ${name}=int64[1,8].`);
    }
    return { name, dtype: named, shape: isScalar ? [] : dims.map(Number) };
  });
}

function misused(message: string, remedy: string): WeftError {
  return new WeftError({ code: 'bad_request', message, remedy });
}
