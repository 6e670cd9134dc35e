// A quick benchmark of the running daemon, as its clients see it: for `weft bench`. Requests are real and differ, so that
// nothing is answered from a cache.
import { WeftError } from '../../protocol/errors.ts';
import { type ChatReading, streamChat } from './chat-stream.ts';
import type { Client } from './client.ts';
import { ANSWER_MS_MAX, BENCH_TOKENS } from './limits.ts';

export interface BenchComponents {
  readonly client: Client;
  readonly signal: AbortSignal;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
}

/** Of one model with so many requests under way at a time. Times are medians. */
export interface ChatFigures {
  readonly inFlight: number;
  readonly answers: number;
  /** Answers that were refused or broke off. */
  readonly failed: number;
  readonly ttftMs: number | undefined;
  /** Of one answer, from its first text on. */
  readonly decodeTokensPerSecond: number | undefined;
  /** Of all answers together, over the whole time. */
  readonly tokensPerSecond: number;
  readonly nodes: readonly string[];
}

export interface EmbeddingFigures {
  readonly inFlight: number;
  readonly answers: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
  readonly nodes: readonly string[];
}

/**
 * Streams so many answers in each lane, the lanes side by side.
 * @throws WeftError when no answer came at all, or `cancelled`
 */
export async function benchChat(
  components: BenchComponents,
  model: string,
  init: { readonly inFlight: number; readonly answers: number },
): Promise<ChatFigures> {
  const { client, signal, now } = components;
  const { inFlight, answers } = init;
  const readings: ChatReading[] = [];
  const errors: WeftError[] = [];
  const startedAt = now();
  await lanes(inFlight, async (lane) => {
    for (let turn = 0; turn < answers; turn += 1) {
      const content = `Tell a long story about lighthouse number ${lane * answers + turn + 1}.`;
      const reading = await attempt(errors, signal, () =>
        streamChat(client, {
          model,
          messages: [{ role: 'user', content }],
          settings: { maxTokens: BENCH_TOKENS, temperature: 0 },
          signal,
          onText: () => undefined,
          now,
        }),
      );
      if (reading !== undefined) readings.push(reading);
    }
  });
  const seconds = (now() - startedAt) / 1_000;
  if (readings.length === 0) throw errors[0] ?? nothingMeasured();
  const tokens = readings.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return {
    inFlight,
    answers: readings.length,
    failed: errors.length,
    ttftMs: quantile(
      readings.map(({ ttftMs }) => ttftMs),
      0.5,
    ),
    decodeTokensPerSecond: quantile(
      readings.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []),
      0.5,
    ),
    tokensPerSecond: tokens / seconds,
    nodes: unique(readings.flatMap(({ nodes }) => nodes)),
  };
}

/**
 * Embeds one text of about 16 tokens at a time in each lane, for so long.
 * @throws WeftError when no answer came at all, or `cancelled`
 */
export async function benchEmbeddings(
  components: BenchComponents,
  model: string,
  init: { readonly inFlight: number; readonly durationMs: number },
): Promise<EmbeddingFigures> {
  const { client, signal, now } = components;
  const times: number[] = [];
  const nodes: string[] = [];
  const errors: WeftError[] = [];
  const startedAt = now();
  await lanes(init.inFlight, async (lane) => {
    // At least one each, however slow it is; and a lane that is refused again and again has seen enough.
    for (let turn = 0; turn === 0 || now() - startedAt < init.durationMs; turn += 1) {
      const input = `Boat ${lane} carries ${turn} red apples over the wide river to the old town`;
      const begunAt = now();
      const answer = await attempt(errors, signal, () =>
        client.post<{ readonly weft: { readonly nodes: readonly string[] } }>(
          '/v1/embeddings',
          { model, input },
          { signal, timeoutMs: ANSWER_MS_MAX },
        ),
      );
      if (answer === undefined) break;
      times.push(now() - begunAt);
      for (const node of answer.body.weft.nodes) if (!nodes.includes(node)) nodes.push(node);
    }
  });
  const seconds = (now() - startedAt) / 1_000;
  if (times.length === 0) throw errors[0] ?? nothingMeasured();
  return {
    inFlight: init.inFlight,
    answers: times.length,
    failed: errors.length,
    perSecond: times.length / seconds,
    p50Ms: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    nodes,
  };
}

/** The value below which this share of the sorted values lies; undefined without values. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

async function lanes(count: number, work: (lane: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, lane) => work(lane)));
}

/** A failure of one request is counted; an end that was asked for ends it all. */
async function attempt<Result>(
  errors: WeftError[],
  signal: AbortSignal,
  request: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await request();
  } catch (error) {
    if (signal.aborted || !(error instanceof WeftError)) throw error;
    errors.push(error);
    return undefined;
  }
}

const unique = (values: readonly string[]): readonly string[] => [...new Set(values)];

const nothingMeasured = () => new WeftError({ code: 'internal', message: 'Nothing was measured.' });
