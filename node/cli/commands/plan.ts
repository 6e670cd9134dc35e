// `weft plan MODEL`: where a request would go now and why, without running it; with --replay where an earlier one would
// have gone under another policy.
import { type Command, InvalidArgumentError } from 'commander';
import type { ModelsAnswer, PlanAnswer, PlanRequest, ReplayAnswer } from '../../../protocol/api/control.ts';
import { DEADLINE_HEADER, DEADLINE_MS_MAX } from '../../../protocol/api/urgency.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { systemCode } from '../../config/files.ts';
import { parseDuration } from '../../config/units.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { formatMs, printable } from '../format.ts';
import { readInputFile } from '../input-file.ts';
import { ANSWER_MS_MAX, STDIN_BYTES_MAX } from '../limits.ts';
import { listed } from '../model-facts.ts';
import { nodeNames } from '../node-names.ts';
import { deadlineLine, planHeadline, planLines, replayLines } from '../plan-view.ts';
import { readingOptions } from '../reading-command.ts';
import { assignment, inputPorts, isType, portType, readTensors } from '../tensor-input.ts';

interface Options extends ReadingOptions {
  readonly input?: readonly string[];
  readonly shape?: readonly string[];
  readonly query?: string;
  readonly maxTokens?: number;
  readonly deadline?: number;
  readonly replay?: string;
  readonly policy?: string;
}

type ShapedTensor = NonNullable<PlanRequest['inputs']>[number];

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
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
    .option('--max-tokens <n>', 'of the answer, for a model that generates text', tokens)
    .option(
      '--deadline <time>',
      'say whether a request with this deadline would be taken, such as 500ms or 2s',
      deadline,
    )
    .option('--replay <request>', 'decide an earlier request again, by its x-request-id, on what was known then')
    .option('--policy <name>', "with --replay: the routing policy, such as prequal; Weft's own by default")
    .addHelpText('after', '\nNothing is run. `weft top` and `weft trace` show the ids of requests.')
    .action((model: string | undefined, options: Options) =>
      options.replay === undefined ? plan(model, options, context) : replay(model, options.replay, options, context),
    );
}

const gathered = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

async function plan(model: string | undefined, options: Options, context: CommandContext): Promise<void> {
  if (model === undefined)
    throw misused('No model is named.', 'Write weft plan MODEL --input TEXT, or weft plan --replay REQUEST.');
  if (options.policy !== undefined)
    throw misused('--policy goes with --replay.', 'Write weft plan --replay REQUEST --policy NAME.');
  const { client } = await connect(context, options);
  const request = await requestOf(client, model, options, context.signal);
  const { body } = await client
    .post<PlanAnswer>('/api/v1/plan', request, {
      signal: context.signal,
      timeoutMs: ANSWER_MS_MAX,
      headers: options.deadline === undefined ? {} : { [DEADLINE_HEADER]: String(options.deadline) },
    })
    .catch(advise(model));
  if (options.json) return printJson(context, body);
  const nameOf = await nodeNames(client, context);
  context.stdout.write(`${planHeadline(body)}\n\n${planLines(body.plan, nameOf)}${deadlineLine(body)}`);
}

async function replay(
  model: string | undefined,
  request: string,
  options: Options,
  context: CommandContext,
): Promise<void> {
  const others = [model, options.input, options.shape, options.query, options.maxTokens, options.deadline];
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
  const path = text.slice(1);
  let bytes: Buffer | undefined;
  try {
    bytes = await readInputFile(path, STDIN_BYTES_MAX, { signal });
  } catch (error) {
    if (signal.aborted) throw new WeftError({ code: 'cancelled', message: 'Ended while reading a file.' });
    const why = systemCode(error) ?? 'unknown error';
    throw misused(`The file ${path} can't be read (${why}).`, 'Name a text file behind the @.', error);
  }
  if (bytes !== undefined) return bytes.toString('utf8');
  throw misused(`The file ${path} is larger than a request may be.`, 'Name a smaller one.');
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

/** What doesn't fit the graph is best seen beside it. */
const advise = (model: string) => (error: unknown) => {
  if (!(error instanceof WeftError) || error.code !== 'tensor_invalid') throw error;
  const { code, message, facts } = error;
  const remedy = `Compare with \`weft show ${model}\`: it lists inputs with their types and shapes.`;
  throw new WeftError({ code, message, remedy, facts }, { cause: error.cause });
};

function misused(message: string, remedy: string, cause?: unknown): WeftError {
  return new WeftError({ code: 'bad_request', message, remedy }, { cause });
}

function tokens(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number of 1 or more.');
}

function deadline(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1 && ms <= DEADLINE_MS_MAX) return ms;
  throw new InvalidArgumentError('Write a time with its unit, 24h at most: 500ms, 2s or 1m30s.');
}
