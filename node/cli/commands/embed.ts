// `weft embed MODEL TEXT…`: texts as vectors, in short for people and whole with --json.
import type { Command } from 'commander';
import { WeftError } from '../../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions, readPipe } from '../context.ts';
import { formatMs, printable } from '../format.ts';
import { ANSWER_MS_MAX, EMBED_CHARS_MAX, EMBED_TEXTS_MAX, EMBED_WATCHED_MIN } from '../limits.ts';
import { type LocalityOptions, localityHeaders, rawOption } from '../locality-options.ts';
import { nameNodes } from '../node-names.ts';
import { positiveInteger } from '../option-values.ts';
import { dimLine } from '../style.ts';
import { type UrgencyOptions, urgencyHeaders, urgencyOptions } from '../urgency-options.ts';
import { type BatchWatch, watchBatch } from '../watch-batch.ts';

interface Options extends ReadingOptions, UrgencyOptions, Pick<LocalityOptions, 'raw'> {
  readonly dimensions?: number;
}

/** The parts that are read of OpenAI's list of embeddings. */
interface EmbeddingList {
  readonly model: string;
  readonly data: readonly { readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number };
  readonly weft: { readonly nodes: readonly string[] };
}

/** Values of a vector that people are shown. */
const VALUES_SHOWN = 4;
/** Characters of a text that people are shown. */
const TEXT_SHOWN = 40;

export function define(command: Command, context: CommandContext): void {
  rawOption(urgencyOptions(command))
    .argument('<model>', 'short name or hub id, such as minilm')
    .argument('[text...]', 'texts; without any, each line of a pipe is one')
    .option('--dimensions <n>', 'cut vectors to so many values, and normalise them again', positiveInteger)
    .option('--json', 'print one JSON object with the whole vectors')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (model: string, texts: readonly string[], options: Options) => {
      const inputs = texts.length > 0 ? texts : await linesOfPipe(context);
      const { client } = await connect(context, options);
      const startedAt = performance.now();
      const isLong = inputs.length >= EMBED_WATCHED_MIN;
      const watch = isLong ? watchBatch({ context, options, total: inputs.length }) : undefined;
      const { signal } = context;
      const answer = await embed(client, { model, inputs, options, watch, signal }).finally(() => watch?.end());
      const totalMs = performance.now() - startedAt;
      if (options.json) {
        return printJson(context, {
          model: answer.model,
          embeddings: answer.embeddings,
          prompt_tokens: answer.promptTokens,
          truncated: answer.truncated,
          nodes: answer.nodes,
          total_ms: Math.round(totalMs * 100) / 100,
        });
      }
      inputs.forEach((text, at) => {
        context.stdout.write(`${describe(answer.embeddings[at] ?? [])}  ${shorten(text)}\n`);
      });
      const where = await nameNodes(client, answer.nodes, context);
      const cut = answer.truncated === 0 ? '' : `, ${answer.truncated} cut to the model's length`;
      context.stderr.write(
        dimLine(context.stderr, `${where} · ${answer.promptTokens} tokens${cut} · ${formatMs(totalMs)}`),
      );
    });
}

async function linesOfPipe(context: CommandContext): Promise<string[]> {
  const lines = context.stdin.isTTY ? [] : (await readPipe(context)).split(/\r?\n/).filter((line) => line !== '');
  if (lines.length === 0) {
    throw new WeftError({
      code: 'bad_request',
      message: 'There is no text to embed.',
      remedy: 'Write texts behind the model, or send lines through a pipe.',
    });
  }
  return lines;
}

/** Embeds any number of texts, in requests of a bounded size. */
async function embed(
  client: Client,
  init: {
    readonly model: string;
    readonly inputs: readonly string[];
    readonly options: Options;
    readonly watch: BatchWatch | undefined;
    readonly signal: AbortSignal;
  },
) {
  const { model, inputs: texts, options, watch, signal } = init;
  const { dimensions } = options;
  await watch?.watching;
  const startedAt = performance.now();
  const embeddings: (readonly number[])[] = [];
  const nodes = new Set<string>();
  let promptTokens = 0;
  let truncated = 0;
  let id = model;
  for (const input of requestsOf(texts)) {
    const { body, headers } = await client.post<EmbeddingList>(
      '/v1/embeddings',
      { model, input, dimensions },
      {
        signal,
        timeoutMs: ANSWER_MS_MAX,
        headers: {
          ...watch?.headers,
          ...urgencyHeaders(options, performance.now() - startedAt),
          ...localityHeaders(options),
        },
      },
    );
    embeddings.push(...body.data.map(({ embedding }) => embedding));
    for (const node of body.weft.nodes) nodes.add(node);
    promptTokens += body.usage.prompt_tokens;
    truncated += Number(headers.get('x-weft-truncated') ?? 0);
    id = body.model;
    watch?.answered(headers.get('x-request-id') ?? '', embeddings.length);
  }
  return { model: id, embeddings, promptTokens, truncated, nodes: [...nodes] };
}

/** Consecutive texts that fit one request together. A text that is too long for one is the node's to refuse. */
function* requestsOf(texts: readonly string[]): Generator<readonly string[]> {
  let some: string[] = [];
  let chars = 0;
  for (const text of texts) {
    if (some.length > 0 && (some.length === EMBED_TEXTS_MAX || chars + text.length > EMBED_CHARS_MAX)) {
      yield some;
      some = [];
      chars = 0;
    }
    some.push(text);
    chars += text.length;
  }
  yield some;
}

/** `384 values [-0.0224, 0.0236, 0.0042, 0.0098, …]` */
function describe(vector: readonly number[]): string {
  const first = vector.slice(0, VALUES_SHOWN).map((value) => value.toFixed(4));
  return `${vector.length} values [${[...first, ...(vector.length > VALUES_SHOWN ? ['…'] : [])].join(', ')}]`;
}

function shorten(text: string): string {
  const characters = [...printable(text)];
  return characters.length > TEXT_SHOWN ? `${characters.slice(0, TEXT_SHOWN - 1).join('')}…` : characters.join('');
}
