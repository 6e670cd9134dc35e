// Texts → vectors: tokenised and cut to the graph's positions, sent in requests of bounded size, put back in order.
// Called by TextCoordinator.
import type { FeatureExtractionTask } from '../../models/tasks/feature-extraction.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest } from '../../protocol/infer.ts';
import { assert } from '../core/assert.ts';
import type { EmbedAnswer, EmbedRequest, RequestOptions } from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { Tokenized } from '../core/prep.ts';
import { encodePieces } from './encode-pieces.ts';
import { ENCODE_TOKENS_MAX, INPUTS_MAX } from './limits.ts';
import type { ModelResolver, Resolved } from './model-resolver.ts';
import { prepare } from './preparing.ts';
import { position, refusal } from './refusal.ts';
import { checkTokenIds, Tokenizing, type TokenizingComponents } from './tokenizing.ts';

export interface EmbedComponents extends TokenizingComponents {
  readonly dispatcher: Pick<Dispatcher, 'encode'>;
  readonly resolver: Pick<ModelResolver, 'featureExtraction'>;
  readonly self: NodeId;
}

/** @throws WeftError `bad_request`, `model_not_found`, or the work's own failure */
export async function embed(
  components: EmbedComponents,
  request: EmbedRequest,
  options: RequestOptions,
): Promise<EmbedAnswer> {
  const { model, requests, promptTokens, truncated } = await embedRequests(components, request, options);
  const results = await encodePieces(components.dispatcher, requests, options);

  const [first] = results;
  assert(first !== undefined, 'there is at least one text');
  const whole = first.dimensions;
  const embeddings = results.length === 1 ? first.embeddings : new Float32Array(request.inputs.length * whole);
  if (results.length > 1) {
    let offset = 0;
    for (const result of results) {
      assert(result.dimensions === whole, 'one model has one length of vectors');
      embeddings.set(result.embeddings, offset);
      offset += result.embeddings.length;
    }
  }
  const dimensions = Math.min(request.dimensions ?? whole, whole);
  const { normalize } = model.task.encoding;
  return {
    model: model.ref.id,
    embeddings: dimensions < whole ? shortened(embeddings, whole, dimensions, normalize) : embeddings,
    dimensions,
    promptTokens,
    truncated,
    nodes: [...new Set(results.flatMap((result) => result.nodes))],
    plan: first.plan,
  };
}

/** A request for encoding in pieces of bounded size. */
export interface EncodeRequests<Task> {
  readonly model: Resolved<Task>;
  readonly requests: readonly EncodeRequest[];
  /** Tokens that the graph sees, special tokens included. */
  readonly promptTokens: number;
  /** How many texts were cut. */
  readonly truncated: number;
}

/** The work of a request, checked and tokenised. @throws WeftError `bad_request`, `model_not_found` */
export async function embedRequests(
  components: Omit<EmbedComponents, 'dispatcher'>,
  request: EmbedRequest,
  options: RequestOptions,
): Promise<EncodeRequests<FeatureExtractionTask>> {
  const { inputs } = request;
  checkInputs(inputs);
  const { model, texts, truncated } = await prepare(components, options.trace, async () => {
    const found = await components.resolver.featureExtraction(request.model, options.signal);
    options.trace?.model(found.ref.id);
    checkDimensions(request.dimensions, found);
    return { model: found, ...(await tokenize(components, found, inputs, options.signal)) };
  });
  const promptTokens = texts.reduce((sum, ids) => sum + ids.length, 0);
  options.trace?.usage({ promptTokens });
  return { model, requests: group(texts).map((some) => encodeRequest(model, some)), promptTokens, truncated };
}

function checkInputs(inputs: EmbedRequest['inputs']): void {
  if (inputs.length === 0) throw refusal('"input" is an empty list.', 'input');
  if (inputs.length > INPUTS_MAX)
    throw refusal(`"input" has ${inputs.length} texts; ${INPUTS_MAX} are taken.`, 'input');
  const empty = inputs.indexOf('');
  if (empty >= 0) throw refusal('An empty text has no embedding.', position('input', inputs, empty));
}

function checkDimensions(dimensions: number | undefined, { ref, task }: Resolved<FeatureExtractionTask>): void {
  const own = task.encoding.dimensions;
  if (dimensions === undefined || (Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= own)) return;
  throw refusal(
    `${ref.id} makes vectors of ${own} values: dimensions must be a whole number from 1 to ${own}.`,
    'dimensions',
  );
}

/** Ids of every input, in their order. Ids from outside are taken as they are, but for those beyond the positions. */
async function tokenize(
  components: TokenizingComponents,
  model: Resolved<FeatureExtractionTask>,
  inputs: EmbedRequest['inputs'],
  signal: AbortSignal,
): Promise<{ readonly texts: readonly Int32Array[]; readonly truncated: number }> {
  const { task, folder } = model;
  const tokenizing = new Tokenizing(components, {
    folder,
    tokensMax: task.contextLength,
    specialTokens: true,
    encode: (text) => task.encode(text),
  });
  const texts: Int32Array[] = [];
  let truncated = 0;
  for (const [index, input] of inputs.entries()) {
    const param = position('input', inputs, index);
    const tokenized = typeof input === 'string' ? await tokenizing.encode(input, signal) : cut(input, task, param);
    // A tokenizer that puts nothing around a text leaves nothing of one of white space.
    if (tokenized.ids.length === 0) throw refusal('The text has no tokens.', param);
    texts.push(tokenized.ids);
    if (tokenized.truncated) truncated++;
  }
  return { texts, truncated };
}

function cut(ids: Int32Array, task: FeatureExtractionTask, param: string): Tokenized {
  checkTokenIds(ids, task.vocabularySize, param);
  return { ids: ids.subarray(0, task.contextLength), truncated: ids.length > task.contextLength };
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

/**
 * The first values of every vector, divided by their length again where the model's own are: what models that were
 * trained for it (Kusupati et al., Matryoshka Representation Learning, 2022) put first.
 */
function shortened(vectors: Float32Array, from: number, to: number, normalize: boolean): Float32Array {
  const rows = vectors.length / from;
  const short = new Float32Array(rows * to);
  for (let row = 0; row < rows; row++) {
    const values = vectors.subarray(row * from, row * from + to);
    let squares = 0;
    for (const value of values) squares += value * value;
    const divisor = normalize && squares > 0 ? Math.sqrt(squares) : 1;
    for (let index = 0; index < to; index++) short[row * to + index] = (values[index] as number) / divisor;
  }
  return short;
}
