// Rerankers: a query and a document → the token ids that a cross-encoder takes, the document cut to what the query leaves.
// The coordinator loads one per model.
import { WeftError } from '../../protocol/errors.ts';
import type { Manifest } from '../manifest.ts';
import { type EncodedText, loadVerifiedTokenizer } from './tokenizer.ts';

/** A pair of texts as the graph takes it. */
export interface EncodedPair {
  readonly ids: Int32Array;
  /** Tokens of the first segment: those before the document. */
  readonly firstLength: number;
}

export interface TextRankingTask {
  /** Token ids of a text by itself, without special ones. As in feature extraction, long texts belong in the prep process. */
  encode(text: string, tokensMax?: number): EncodedText;
  /** Puts a query and a document together. @param document at most as long as {@link documentTokensMax} says */
  pair(query: Int32Array, document: Int32Array): EncodedPair;
  /** Tokens that a document may have beside this query; below 1 the query is too long. */
  documentTokensMax(query: Int32Array): number;
  readonly contextLength: number;
}

/** Loads the tokenizer, verified against the manifest. @throws WeftError `model_corrupt` */
export async function loadTextRanking(folder: string, manifest: Manifest): Promise<TextRankingTask> {
  const { contextLength } = manifest;
  const tokenizer = await loadVerifiedTokenizer(folder, manifest);
  const around = tokenizer.aroundPair();
  if (around === undefined) {
    throw new WeftError({ code: 'model_corrupt', message: 'The tokenizer puts no two texts together.' });
  }
  const { before, between, after, firstBetween } = around;
  return {
    encode: (text, tokensMax = contextLength) =>
      tokenizer.encode(text, { tokensMax: Math.min(tokensMax, contextLength), specialTokens: false }),
    pair: (query, document) => ({
      ids: Int32Array.from([...before, ...query, ...between, ...document, ...after]),
      firstLength: before.length + query.length + firstBetween,
    }),
    documentTokensMax: (query) => contextLength - before.length - between.length - after.length - query.length,
    contextLength,
  };
}
