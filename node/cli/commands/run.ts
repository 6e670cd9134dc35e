// `weft run MODEL [PROMPT…]`: one answer for an argument or a pipe, else a chat at the terminal.
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { ModelsAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { homeFolder } from '../../config/home.ts';
import { chatLoop } from '../chat-repl.ts';
import { type ChatSettings, PARAMETERS, type Parameter, parseParameter, readFormat } from '../chat-settings.ts';
import { type ChatReading, type Message, streamChat } from '../chat-stream.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson, readPipe } from '../context.ts';
import { formatMs, printable, printableLines } from '../format.ts';
import { HISTORY_FILE, LineHistory } from '../line-history.ts';
import { type LocalityOptions, localityHeaders, rawOption } from '../locality-options.ts';
import { allListed, taskName } from '../model-facts.ts';
import { nameNodes } from '../node-names.ts';
import { offerPull } from '../offer-pull.ts';
import { gathered } from '../option-values.ts';
import { dimLine } from '../style.ts';
import { type UrgencyOptions, urgencyHeaders, urgencyOptions } from '../urgency-options.ts';
import { describeFacts, readModel } from './show.ts';

interface Options
  extends ClientOptions,
    UrgencyOptions,
    Pick<LocalityOptions, 'raw'>,
    Omit<ChatSettings, 'responseFormat'> {
  readonly json?: true;
  readonly system?: string;
  readonly format?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<model>', 'short name or hub id, such as smollm2; a terminal offers to pull one that nobody has')
    .argument('[prompt...]', 'what to ask; without it the prompt comes from a pipe, or a chat begins')
    .option('--system <text>', 'instructions that stand before the chat');
  for (const parameter of PARAMETERS) command.option(parameter.flag, parameter.summary, numberFor(parameter));
  command
    .option('--stop <text>', 'end the answer before this text; up to four times', gathered)
    .option('--format <format>', 'json: answer in JSON; @schema.json: by the JSON schema in that file');
  rawOption(urgencyOptions(command))
    .option('--json', 'print one JSON object when the answer is whole')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .addHelpText('after', '\nIn a chat: """ begins and ends several lines, /set changes these settings, /bye leaves.')
    .action((model: string, words: readonly string[], options: Options) => run(model, words, options, context));
}

async function run(name: string, words: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const settings = await settingsOf(options);
  if (words.length === 0 && context.stdin.isTTY && !options.json) {
    const client = async () => (await connect(context, options)).client;
    const model = await chatModel(await client(), name, options, context);
    return chatLoop({
      connect: client,
      model,
      settings,
      headers: { ...urgencyHeaders(options), ...localityHeaders(options) },
      system: options.system,
      context,
      history: await openHistory(options, context),
      summary: async (reading, signal) => summaryOf(await client())(reading, signal),
      describe: async (signal) => describeFacts(await readModel(await client(), model, { signal })),
    });
  }
  const prompt = words.length > 0 ? words.join(' ') : context.stdin.isTTY ? '' : await readPipe(context);
  if (prompt.trim() === '') {
    throw new WeftError({
      code: 'bad_request',
      message: 'There is no prompt.',
      remedy: 'Write it behind the model, or send it through a pipe.',
    });
  }
  const { client } = await connect(context, options);
  const answer = (model: string): Promise<void> => answerOnce({ client, model, prompt, settings, options, context });
  await answer(name).catch(async (error: unknown) => {
    if (!(error instanceof WeftError) || error.code !== 'model_not_found') throw error;
    return answer(await offerPull({ client, name, failure: error, options, context }));
  });
}

/**
 * Before anybody types a question: that there is such a model now, and that it chats. One that nobody offers may be
 * brought here first.
 * @returns the name by which it can be asked for
 * @throws WeftError `model_not_found`, `unsupported`, or what a pull fails with
 */
async function chatModel(client: Client, name: string, options: Options, context: CommandContext): Promise<string> {
  const found = await chats(client, name, context);
  if (found) return name;
  const message = `No node that is reached now offers a model "${name}".`;
  const failure = new WeftError({ code: 'model_not_found', message });
  const id = await offerPull({ client, name, failure, options, context });
  if (await chats(client, id, context)) return id;
  throw failure;
}

/** False where no node offers it. @throws WeftError `unsupported` for one that doesn't chat */
async function chats(client: Client, name: string, { signal }: { readonly signal: AbortSignal }): Promise<boolean> {
  const { models } = await client.get<ModelsAnswer>('/api/v1/models', { signal });
  const named = allListed(models, name);
  if (named.some(({ task }) => task === 'text-generation')) return true;
  const [other] = named;
  if (other === undefined) return false;
  throw new WeftError({
    code: 'unsupported',
    message: `${other.id} does not chat: it is for ${taskName(other.task)}.`,
    remedy: `Run \`weft ${other.task === 'feature-extraction' ? 'embed' : 'infer'} --help\` to see how it is used.`,
  });
}

async function settingsOf(options: Options): Promise<ChatSettings> {
  const {
    home: _home,
    json: _json,
    system: _system,
    deadline: _deadline,
    priority: _priority,
    format,
    ...settings
  } = options;
  return format === undefined ? settings : { ...settings, responseFormat: await readFormat(format) };
}

function openHistory(options: Options, { env, stderr }: CommandContext): Promise<LineHistory> {
  return LineHistory.open({
    path: join(homeFolder({ env, asked: options.home }), HISTORY_FILE),
    onProblem: ({ message }) =>
      void stderr.write(dimLine(stderr, printable(`Lines of this chat are not kept for the next. ${message}`))),
  });
}

async function answerOnce(init: {
  readonly client: Client;
  readonly model: string;
  readonly prompt: string;
  readonly settings: ChatSettings;
  readonly options: Options;
  readonly context: CommandContext;
}): Promise<void> {
  const { client, model, prompt, settings, options, context } = init;
  const messages: Message[] = [
    ...(options.system === undefined ? [] : [{ role: 'system' as const, content: options.system }]),
    { role: 'user', content: prompt },
  ];
  const { stdout, stderr, signal } = context;
  let open = false; // a line has been begun that isn't ended
  const onText = (text: string) => {
    if (options.json) return;
    open = true;
    stdout.write(stdout.isTTY ? printableLines(text) : text);
  };
  try {
    const headers = { ...urgencyHeaders(options), ...localityHeaders(options) };
    const reading = await streamChat(client, { model, messages, settings, headers, signal, onText, now: monotonic });
    if (options.json) return printJson(context, toJson(reading));
    stdout.write('\n');
    open = false;
    stderr.write(dimLine(stderr, await summaryOf(client)(reading, signal)));
  } finally {
    if (open) stdout.write('\n');
  }
}

const monotonic = () => performance.now();

/** `laptop (here) · first token 210 ms · 71.3 tokens/s · 24 tokens` */
function summaryOf(client: Client): (reading: ChatReading, signal: AbortSignal) => Promise<string> {
  return async (reading, signal) => {
    const parts = [await nameNodes(client, reading.nodes, { signal }), `first token ${formatMs(reading.ttftMs)}`];
    if (reading.tokensPerSecond !== undefined) parts.push(`${reading.tokensPerSecond.toFixed(1)} tokens/s`);
    parts.push(`${reading.completionTokens} tokens${reading.finishReason === 'length' ? ', cut at the limit' : ''}`);
    return parts.join(' · ');
  };
}

/** The stable schema of `--json`; see docs/cli.md. */
function toJson(reading: ChatReading): object {
  const rounded = (value: number) => Math.round(value * 100) / 100;
  return {
    model: reading.model,
    text: reading.text,
    finish_reason: reading.finishReason,
    usage: {
      prompt_tokens: reading.promptTokens,
      completion_tokens: reading.completionTokens,
      total_tokens: reading.promptTokens + reading.completionTokens,
    },
    nodes: reading.nodes,
    ttft_ms: rounded(reading.ttftMs),
    total_ms: rounded(reading.totalMs),
    tokens_per_second: reading.tokensPerSecond === undefined ? null : rounded(reading.tokensPerSecond),
  };
}

const numberFor = (parameter: Parameter) => (text: string) => {
  const value = parseParameter(parameter, text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError(parameter.isInteger ? 'Write a whole number.' : 'Write a number.');
};
