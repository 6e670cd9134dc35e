// Texts → vectors: tokenised and cut to the graph's positions, sent in requests of bounded size, put back in order.
// Called by TextCoordinator.
import { TEXT_CHARS_INLINE_MAX } from '../../models/limits.ts';
import type { FeatureExtractionTask } from '../../models/tasks/feature-extraction.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import { assert } from '../core/assert.ts';
import { toAbortError } from '../core/calls.ts';
import type { EmbedAnswer, EmbedRequest, RequestOptions } from '../core/coordinator.ts';
import type { Dispatcher, Placement } from '../core/dispatcher.ts';
import type { Prep } from '../core/prep.ts';
import { CHARS_PER_TURN_MAX, ENCODE_TOKENS_MAX, ENCODES_IN_FLIGHT_MAX, INPUTS_MAX } from './limits.ts';
import type { ModelResolver, Resolved } from './model-resolver.ts';
import { nextTurn } from './waiting.ts';

export interface EmbedComponents {
  readonly dispatcher: Pick<Dispatcher, 'encode'>;
  readonly prep: Pick<Prep, 'tokenize'>;
  readonly resolver: Pick<ModelResolver, 'featureExtraction'>;
}

/** @throws WeftError `bad_request`, `model_not_found`, or the work's own failure */
export async function embed(
  components: EmbedComponents,
  request: EmbedRequest,
  options: RequestOptions,
): Promise<EmbedAnswer> {
  check(request.inputs);
  const model = await components.resolver.featureExtraction(request.model, options.signal);
  const { texts, truncated } = await tokenize(components, model, request.inputs, options.signal);
  const requests = group(texts).map((some) => encodeRequest(model, some));
  const results = await encodeAll(components.dispatcher, requests, options);

  const [first] = results;
  assert(first !== undefined, 'there is at least one text');
  const { dimensions } = first;
  const embeddings = results.length === 1 ? first.embeddings : new Float32Array(texts.length * dimensions);
  if (results.length > 1) {
    let offset = 0;
    for (const result of results) {
      assert(result.dimensions === dimensions, 'one model has one length of vectors');
      embeddings.set(result.embeddings, offset);
      offset += result.embeddings.length;
    }
  }
  return {
    model: model.ref.id,
    embeddings,
    dimensions,
    promptTokens: texts.reduce((sum, ids) => sum + ids.length, 0),
    truncated,
    nodes: [...new Set(results.flatMap((result) => result.nodes))],
    plan: first.plan,
  };
}

function check(inputs: readonly string[]): void {
  if (inputs.length === 0) throw refusal('"input" is an empty list.', 'input');
  if (inputs.length > INPUTS_MAX)
    throw refusal(`"input" has ${inputs.length} texts; ${INPUTS_MAX} are taken.`, 'input');
  const empty = inputs.indexOf('');
  if (empty >= 0) throw refusal('An empty text has no embedding.', position(inputs, empty));
}

const refusal = (message: string, param: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param } });

/** The field of a request that holds this text. */
const position = (inputs: readonly string[], index: number): string =>
  inputs.length === 1 ? 'input' : `input[${index}]`;

/** Ids of every text. Long ones go to Prep; between short ones the event loop gets its turns. */
async function tokenize(
  components: EmbedComponents,
  model: Resolved<FeatureExtractionTask>,
  inputs: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly texts: readonly Int32Array[]; readonly truncated: number }> {
  const { task, folder } = model;
  const texts: Int32Array[] = [];
  let truncated = 0;
  let chars = 0;
  for (const [index, input] of inputs.entries()) {
    if (signal.aborted) throw toAbortError(signal);
    const long = input.length > TEXT_CHARS_INLINE_MAX;
    if (!long && chars + input.length > CHARS_PER_TURN_MAX) {
      await nextTurn();
      chars = 0;
    }
    chars += long ? 0 : input.length;
    const tokenized = long
      ? await components.prep.tokenize(folder, input, {
          tokensMax: task.contextLength,
          specialTokens: true,
          signal,
        })
      : task.encode(input);
    // A tokenizer that puts nothing around a text leaves nothing of one of white space.
    if (tokenized.ids.length === 0) throw refusal('The text has no tokens.', position(inputs, index));
    texts.push(tokenized.ids);
    if (tokenized.truncated) truncated++;
  }
  return { texts, truncated };
}

/** Consecutive texts whose tokens fit one request together. */
function group(texts: readonly Int32Array[]): Int32Array[][] {
  const groups: Int32Array[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const ids of texts) {
    if (tokens + ids.length > ENCODE_TOKENS_MAX) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(ids);
    tokens += ids.length;
  }
  return groups;
}

function encodeRequest(model: Resolved<FeatureExtractionTask>, texts: readonly Int32Array[]): EncodeRequest {
  const lengths = Int32Array.from(texts, (ids) => ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const text of texts) {
    ids.set(text, offset);
    offset += text.length;
  }
  const { pooling, normalize } = model.task.encoding;
  return { model: model.ref, ids, lengths, pooling, normalize };
}

/** Results in the order of the requests. The first failure ends the others. */
async function encodeAll(
  dispatcher: Pick<Dispatcher, 'encode'>,
  requests: readonly EncodeRequest[],
  options: RequestOptions,
): Promise<readonly (EncodeResult & Placement)[]> {
  const [only] = requests;
  if (only !== undefined && requests.length === 1) return [await dispatcher.encode(only, options)];
  const controller = new AbortController();
  const follow = (): void => controller.abort(options.signal.reason);
  options.signal.addEventListener('abort', follow, { once: true });
  if (options.signal.aborted) follow();
  const results: (EncodeResult & Placement)[] = [];
  const waiting = requests.entries();
  const worker = async (): Promise<void> => {
    // Workers share one iterator: each takes the next request that nobody has.
    for (const [index, request] of waiting) {
      // An id of its own for each part: an engine that loses two at once shall not take them for one that failed twice.
      const requestId = `${options.requestId}.${index}`;
      results[index] = await dispatcher.encode(request, { ...options, requestId, signal: controller.signal });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(ENCODES_IN_FLIGHT_MAX, requests.length) }, worker));
    return results;
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    options.signal.removeEventListener('abort', follow);
  }
}
