// POST /v1/embeddings.
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { type EmbeddingList, EmbeddingRequest } from '../../protocol/api/openai.ts';
import type { Coordinator, EmbedAnswer } from '../core/coordinator.ts';
import type { Endpoint } from './exchange.ts';
import { type NameOf, placementHeaders, planSummary } from './placement.ts';

export interface EmbeddingsComponents {
  readonly coordinator: Coordinator;
  readonly nameOf: NameOf;
}

/** Numbers that are written as text at a time: a few milliseconds, so that other answers go on between. */
const NUMBERS_PER_SLICE = 16_384;

/** The endpoint. */
export function embeddings({ coordinator, nameOf }: EmbeddingsComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/embeddings',
    traced: true,
    async handle(exchange) {
      const body = await exchange.readParameters(EmbeddingRequest);
      const { model, input: inputs, dimensions } = body;
      const answer = await coordinator.embed(
        dimensions === undefined ? { model, inputs } : { model, inputs, dimensions },
        exchange,
      );
      exchange.reply
        .headers(placementHeaders(answer.nodes.at(-1), nameOf))
        .header('content-type', 'application/json; charset=utf-8');
      if (answer.truncated > 0) exchange.reply.header('x-weft-truncated', String(answer.truncated));
      const slices = answerSlices(answer, body.encoding_format ?? 'float');
      if (answer.embeddings.length <= NUMBERS_PER_SLICE) return [...slices].join('');
      return Readable.from(yielding(slices), { objectMode: false });
    },
  };
}

/** The answer as JSON text, in slices; they concatenate to one {@link EmbeddingList}. */
function* answerSlices(answer: EmbedAnswer, format: 'float' | 'base64'): Generator<string> {
  const { embeddings: numbers, dimensions, promptTokens } = answer;
  const rows = numbers.length / dimensions;
  const rowsPerSlice = Math.max(1, Math.floor(NUMBERS_PER_SLICE / dimensions));
  let text = '{"object":"list","data":[';
  for (let index = 0; index < rows; index += 1) {
    const row = numbers.subarray(index * dimensions, (index + 1) * dimensions);
    const embedding = format === 'base64' ? base64(row) : [...row];
    if (index > 0) text += ',';
    text += JSON.stringify({ object: 'embedding', index, embedding } satisfies EmbeddingList['data'][number]);
    if ((index + 1) % rowsPerSlice === 0) {
      yield text;
      text = '';
    }
  }
  const rest: Omit<EmbeddingList, 'object' | 'data'> = {
    model: answer.model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    weft: { nodes: [...answer.nodes], plan: planSummary(answer.plan) },
  };
  yield `${text}],${JSON.stringify(rest).slice(1)}`;
}

/** Little-endian float32, as every platform that Weft runs on stores it. */
function base64(row: Float32Array): string {
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString('base64');
}

async function* yielding(slices: Iterable<string>): AsyncGenerator<string> {
  for (const slice of slices) {
    yield slice;
    await setImmediate();
  }
}
