// Embeddings: a text → the token ids that the graph takes, cut to its positions. The coordinator loads one per model.
import { WeftError } from '../../protocol/errors.ts';
import type { EncodingSpec, Manifest } from '../manifest.ts';
import { type EncodedText, loadVerifiedTokenizer } from './tokenizer.ts';

export interface FeatureExtractionTask {
  /**
   * Token ids of a text with the special ones around it. A longer text is cut before the last special token.
   * On the caller's thread: texts beyond TEXT_CHARS_INLINE_MAX belong in the prep process.
   * @param tokensMax @default the graph's positions, which are also the most that it can be
   */
  encode(text: string, tokensMax?: number): EncodedText;
  /** Ids of tokens are below this. */
  readonly vocabularySize: number;
  /** Positions of the graph. What tokenizer.json says about truncation doesn't count. */
  readonly contextLength: number;
  /** How the graph's output becomes a vector. */
  readonly encoding: EncodingSpec;
}

/** Loads the tokenizer, verified against the manifest. @throws WeftError `model_corrupt` */
export async function loadFeatureExtraction(folder: string, manifest: Manifest): Promise<FeatureExtractionTask> {
  const { encoding, contextLength } = manifest;
  if (encoding === undefined) {
    throw new WeftError({ code: 'model_corrupt', message: 'The manifest says nothing about embeddings.' });
  }
  const tokenizer = await loadVerifiedTokenizer(folder, manifest);
  return {
    encode: (text, tokensMax = contextLength) =>
      tokenizer.encode(text, { tokensMax: Math.min(tokensMax, contextLength), specialTokens: true }),
    vocabularySize: tokenizer.vocabularySize,
    contextLength,
    encoding,
  };
}
