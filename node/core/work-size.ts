// What a piece of work weighs, for its price: the same figures wherever it is priced, at the node that places it and at the
// one that is asked whether it would be done in time.
import type { EncodeRequest, GenerateRequest, RunRequest } from '../../protocol/infer.ts';

/** What the price of a piece of work depends on, beside the node. */
export interface WorkSize {
  /** Tokens (or items) that go in. */
  readonly inputTokens: number;
  /** Tokens that are expected to be generated; 0 where nothing is. */
  readonly outputTokens: number;
  /** Bytes that cross the link to a peer. */
  readonly requestBytes: number;
  /** Bytes that come back, embeddings left out. */
  readonly answerBytes: number;
  /** Embeddings that come back: float32 [rows × the offer's dimensions]. */
  readonly answerRows: number;
}

/**
 * Tensors in, tensors out.
 * @param answerBytes known of a part of a graph that was measured. @default as large as the question, for want of anything
 *   better known of any graph
 */
export function sizeOfRun({ inputs }: RunRequest, answerBytes?: number): WorkSize {
  const bytes = inputs.reduce((sum, input) => sum + input.data.byteLength, 0);
  return { inputTokens: 1, outputTokens: 0, requestBytes: bytes, answerBytes: answerBytes ?? bytes, answerRows: 0 };
}

/** Token ids of texts in, one vector each out. */
export function sizeOfEncode({ ids, lengths, firstLengths }: EncodeRequest): WorkSize {
  return {
    inputTokens: ids.length,
    outputTokens: 0,
    requestBytes: ids.byteLength + lengths.byteLength + (firstLengths?.byteLength ?? 0),
    answerBytes: 0,
    answerRows: lengths.length,
  };
}

/**
 * Token ids in, further ids out.
 * @param request what another node has generated already included: it is replayed token by token, at the price of
 *   generating it
 * @param expectedTokens how many further tokens are expected; its bound on new tokens holds all the same
 */
export function sizeOfGenerate(request: GenerateRequest, expectedTokens: number): WorkSize {
  const { ids, promptLength, maxNewTokens, features } = request;
  const resumed = ids.length - promptLength;
  const further = Math.min(Math.max(0, maxNewTokens - resumed), expectedTokens);
  return {
    inputTokens: promptLength,
    outputTokens: resumed + further,
    requestBytes: ids.byteLength + (features?.data.byteLength ?? 0),
    answerBytes: 0,
    answerRows: 0,
  };
}
