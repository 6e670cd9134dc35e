// `weft bench [MODEL]`: how fast the running node answers its clients, itself or by its peers.
import { type Command, InvalidArgumentError } from 'commander';
import type { ModelsAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type BenchComponents, benchChat, benchEmbeddings, type ChatFigures, type EmbeddingFigures } from '../bench.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { type Column, formatMs, orDash, printable, table } from '../format.ts';
import { BENCH_ANSWERS, BENCH_IN_FLIGHT, BENCH_SECONDS } from '../limits.ts';
import { listed, type ModelListing } from '../model-facts.ts';
import { nameNodes } from '../node-names.ts';
import { readingOptions } from '../reading-command.ts';
import { dimLine } from '../style.ts';

interface Options extends ReadingOptions {
  readonly seconds: number;
}

interface Results {
  readonly chat?: { readonly model: string; readonly runs: readonly ChatFigures[] };
  readonly embeddings?: { readonly model: string; readonly runs: readonly EmbeddingFigures[] };
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('[model]', 'measure this one; without it the first chat model and the first embedding model')
    .option('--seconds <n>', 'how long embeddings are measured, each time', seconds, BENCH_SECONDS.usual)
    .action(async (name: string | undefined, options: Options) => {
      const { client } = await connect(context, options);
      const { models } = await client.get<ModelsAnswer>('/api/v1/models', context);
      const chosen = choose(models, name);
      const { signal, stderr } = context;
      const components = { client, signal, now: () => performance.now() };
      const say = (text: string) => void stderr.write(dimLine(stderr, printable(text)));
      const results = await measure(components, chosen, options, say);
      if (options.json) return printJson(context, toJson(results));
      context.stdout.write(describe(results));
      const nodes = [...(results.chat?.runs ?? []), ...(results.embeddings?.runs ?? [])].flatMap((run) => run.nodes);
      say(`answered by ${await nameNodes(client, [...new Set(nodes)], { signal })}`);
    });
}

/** What is measured. @throws WeftError `model_not_found`, `unsupported` or `no_capable_node` */
function choose(models: readonly ModelListing[], name: string | undefined): readonly ModelListing[] {
  const measurable = models.filter(({ task }) => task === 'text-generation' || task === 'feature-extraction');
  if (name === undefined) {
    const firsts = measurable.filter((model, at) => measurable.findIndex(({ task }) => task === model.task) === at);
    if (firsts.length > 0) return firsts;
    throw new WeftError({ code: 'no_capable_node', message: 'No node offers a model for chat or embeddings now.' });
  }
  const model = listed(models, name);
  if (model === undefined)
    throw new WeftError({ code: 'model_not_found', message: `This mesh has no model "${name}".` });
  if (measurable.includes(model)) return [model];
  throw new WeftError({
    code: 'unsupported',
    message: `"${name}" is neither for chat nor for embeddings.`,
    remedy: 'Measure it with requests of your own: `weft infer`.',
  });
}

async function measure(
  components: BenchComponents,
  models: readonly ModelListing[],
  options: Options,
  say: (text: string) => void,
): Promise<Results> {
  let results: Results = {};
  for (const { id, task } of models) {
    say(`${id}: one request first, so that it is loaded`);
    if (task === 'text-generation') {
      await benchChat(components, id, { inFlight: 1, answers: 1 });
      const runs: ChatFigures[] = [];
      for (const inFlight of BENCH_IN_FLIGHT) {
        say(`${id}: answers, ${inFlight} in flight`);
        runs.push(await benchChat(components, id, { inFlight, answers: BENCH_ANSWERS }));
      }
      results = { ...results, chat: { model: id, runs } };
    } else {
      await benchEmbeddings(components, id, { inFlight: 1, durationMs: 0 });
      const runs: EmbeddingFigures[] = [];
      for (const inFlight of BENCH_IN_FLIGHT) {
        say(`${id}: embeddings, ${inFlight} in flight`);
        runs.push(await benchEmbeddings(components, id, { inFlight, durationMs: options.seconds * 1_000 }));
      }
      results = { ...results, embeddings: { model: id, runs } };
    }
  }
  return results;
}

function describe({ chat, embeddings }: Results): string {
  return [
    ...(chat === undefined ? [] : [`${printable(chat.model)}\n${table(CHAT, chat.runs)}`]),
    ...(embeddings === undefined ? [] : [`${printable(embeddings.model)}\n${table(EMBEDDINGS, embeddings.runs)}`]),
  ].join('\n');
}

const rate = (value: number): string => value.toFixed(1);

const CHAT: readonly Column<ChatFigures>[] = [
  { title: 'IN FLIGHT', value: ({ inFlight }) => String(inFlight), align: 'right' },
  { title: 'FIRST TOKEN', value: ({ ttftMs }) => orDash(ttftMs, formatMs), align: 'right' },
  { title: 'TOKENS/S EACH', value: (run) => orDash(run.decodeTokensPerSecond, rate), align: 'right' },
  { title: 'TOKENS/S IN ALL', value: ({ tokensPerSecond }) => rate(tokensPerSecond), align: 'right' },
  { title: 'ANSWERS', value: ({ answers }) => String(answers), align: 'right' },
  { title: 'FAILED', value: ({ failed }) => String(failed), align: 'right' },
];

const EMBEDDINGS: readonly Column<EmbeddingFigures>[] = [
  { title: 'IN FLIGHT', value: ({ inFlight }) => String(inFlight), align: 'right' },
  { title: 'EMBEDDINGS/S', value: ({ perSecond }) => rate(perSecond), align: 'right' },
  { title: 'P50', value: ({ p50Ms }) => orDash(p50Ms, formatMs), align: 'right' },
  { title: 'P95', value: ({ p95Ms }) => orDash(p95Ms, formatMs), align: 'right' },
  { title: 'ANSWERS', value: ({ answers }) => String(answers), align: 'right' },
  { title: 'FAILED', value: ({ failed }) => String(failed), align: 'right' },
];

/** The stable schema of `--json`; see docs/cli.md. */
function toJson({ chat, embeddings }: Results): object {
  const rounded = (value: number | undefined) => (value === undefined ? null : Math.round(value * 100) / 100);
  return {
    chat: chat && {
      model: chat.model,
      runs: chat.runs.map((run) => ({
        in_flight: run.inFlight,
        answers: run.answers,
        failed: run.failed,
        ttft_ms: rounded(run.ttftMs),
        decode_tokens_per_second: rounded(run.decodeTokensPerSecond),
        tokens_per_second: rounded(run.tokensPerSecond),
        nodes: run.nodes,
      })),
    },
    embeddings: embeddings && {
      model: embeddings.model,
      runs: embeddings.runs.map((run) => ({
        in_flight: run.inFlight,
        answers: run.answers,
        failed: run.failed,
        embeddings_per_second: rounded(run.perSecond),
        p50_ms: rounded(run.p50Ms),
        p95_ms: rounded(run.p95Ms),
        nodes: run.nodes,
      })),
    },
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= BENCH_SECONDS.max) return value;
  throw new InvalidArgumentError(`Write a number of seconds, up to ${BENCH_SECONDS.max}.`);
}
