// How well documents answer a query: each pair tokenised and cut to the graph's positions, sent in requests of bounded
// size that nodes share, put back in order and ranked. Called by TextCoordinator.
import type { EncodedPair, TextRankingTask } from '../../models/tasks/text-ranking.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest } from '../../protocol/infer.ts';
import { assert } from '../core/assert.ts';
import type { RequestOptions, RerankAnswer, RerankRequest } from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import { encodePieces } from './encode-pieces.ts';
import type { EncodeRequests } from './feature-extraction.ts';
import { DOCUMENTS_MAX, ENCODE_TOKENS_MAX } from './limits.ts';
import type { ModelResolver, Resolved } from './model-resolver.ts';
import { prepare } from './preparing.ts';
import { position, refusal } from './refusal.ts';
import { Tokenizing, type TokenizingComponents } from './tokenizing.ts';

export interface RerankComponents extends TokenizingComponents {
  readonly dispatcher: Pick<Dispatcher, 'encode'>;
  readonly resolver: Pick<ModelResolver, 'textRanking'>;
  readonly self: NodeId;
}

/** @throws WeftError `bad_request`, `context_too_long`, `model_not_found`, or the work's own failure */
export async function rerank(
  components: RerankComponents,
  request: RerankRequest,
  options: RequestOptions,
): Promise<RerankAnswer> {
  const { model, requests, promptTokens, truncated } = await rankRequests(components, request, options);
  const answers = await encodePieces(components.dispatcher, requests, options);
  const [first] = answers;
  assert(first !== undefined, 'there is at least one document');
  const scores = answers.flatMap(({ embeddings, dimensions }) => scoresOf(embeddings, dimensions));
  const results = scores
    .map((score, index) => ({ index, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, request.topN ?? scores.length);
  return {
    model: model.ref.id,
    results,
    promptTokens,
    truncated,
    nodes: [...new Set(answers.flatMap(({ nodes }) => nodes))],
    plan: first.plan,
  };
}

/** The work of a request, checked and tokenised. @throws WeftError `bad_request`, `context_too_long`, `model_not_found` */
export async function rankRequests(
  components: Omit<RerankComponents, 'dispatcher'>,
  request: RerankRequest,
  options: RequestOptions,
): Promise<EncodeRequests<TextRankingTask>> {
  check(request);
  const { model, pairs, truncated } = await prepare(components, options.trace, async () => {
    const found = await components.resolver.textRanking(request.model, options.signal);
    options.trace?.model(found.ref.id);
    return { model: found, ...(await tokenize(components, found, request, options.signal)) };
  });
  const promptTokens = pairs.reduce((sum, { ids }) => sum + ids.length, 0);
  options.trace?.usage({ promptTokens });
  return { model, requests: group(pairs).map((some) => encodeRequest(model, some)), promptTokens, truncated };
}

/**
 * The logistic function of each logit, as sentence-transformers' CrossEncoder and Hugging Face's text-embeddings-inference
 * make scores of a single label; Cohere's and Jina's have the same range.
 */
function scoresOf(logits: Float32Array, dimensions: number): readonly number[] {
  if (dimensions !== 1) throw new WeftError({ code: 'internal', message: 'A reranker gave several values of a text.' });
  return Array.from(logits, (logit) => {
    // Where a score is no number there is no order either.
    if (Number.isNaN(logit)) throw new WeftError({ code: 'internal', message: 'A score is not a number.' });
    return 1 / (1 + Math.exp(-logit));
  });
}

function check({ query, documents, topN }: RerankRequest): void {
  if (query === '') throw refusal('The query is empty.', 'query');
  if (documents.length === 0) throw refusal('"documents" is an empty list.', 'documents');
  if (documents.length > DOCUMENTS_MAX) {
    throw refusal(`"documents" has ${documents.length} texts; ${DOCUMENTS_MAX} are taken.`, 'documents');
  }
  const empty = documents.indexOf('');
  if (empty >= 0) throw refusal('An empty document answers nothing.', position('documents', documents, empty));
  if (topN !== undefined && !(Number.isInteger(topN) && topN >= 1)) {
    throw refusal('top_n must be a whole number of 1 or more.', 'top_n');
  }
}

/** The query whole, each document as far as there is room beside it. */
async function tokenize(
  components: TokenizingComponents,
  { task, folder }: Resolved<TextRankingTask>,
  { query, documents }: RerankRequest,
  signal: AbortSignal,
): Promise<{ readonly pairs: readonly EncodedPair[]; readonly truncated: number }> {
  const upTo = (tokensMax: number): Tokenizing =>
    new Tokenizing(components, {
      folder,
      tokensMax,
      specialTokens: false,
      encode: (text) => task.encode(text, tokensMax),
    });
  const asked = await upTo(task.contextLength).encode(query, signal);
  if (asked.ids.length === 0) throw refusal('The query has no tokens.', 'query');
  const tokensMax = task.documentTokensMax(asked.ids);
  if (asked.truncated || tokensMax < 1) {
    throw new WeftError({
      code: 'context_too_long',
      message: `The query leaves no room for a document among the ${task.contextLength} tokens that the model takes.`,
      remedy: 'Send a shorter query.',
      facts: { param: 'query', limit: String(task.contextLength) },
    });
  }
  const tokenizing = upTo(tokensMax);
  const pairs: EncodedPair[] = [];
  let truncated = 0;
  for (const document of documents) {
    const { ids, truncated: cut } = await tokenizing.encode(document, signal);
    pairs.push(task.pair(asked.ids, ids));
    if (cut) truncated++;
  }
  return { pairs, truncated };
}

/** Consecutive pairs whose tokens fit one request together. */
function group(pairs: readonly EncodedPair[]): EncodedPair[][] {
  const groups: EncodedPair[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const pair of pairs) {
    if (tokens + pair.ids.length > ENCODE_TOKENS_MAX) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(pair);
    tokens += pair.ids.length;
  }
  return groups;
}

function encodeRequest(model: Resolved<TextRankingTask>, pairs: readonly EncodedPair[]): EncodeRequest {
  const lengths = Int32Array.from(pairs, ({ ids }) => ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const pair of pairs) {
    ids.set(pair.ids, offset);
    offset += pair.ids.length;
  }
  const firstLengths = Int32Array.from(pairs, ({ firstLength }) => firstLength);
  return { model: model.ref, ids, lengths, firstLengths, pooling: 'logits', normalize: false };
}
