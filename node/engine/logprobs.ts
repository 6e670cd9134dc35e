// What the model itself thinks of a token: natural logarithms of the softmax over its logits, before any setting of the
// request changes them. Pure; called by the runner's token loop where a request asks for it.
import type { TokenLogprob } from '../../protocol/infer.ts';

/** Stands for a probability too small to be told from none: JSON has no word for -Infinity. OpenAI reports the same. */
const LOGPROB_MIN = -9999;

/**
 * The log probability of a token, and those of the likeliest beside it.
 * @param logits float32 [vocabulary], one at least finite, none NaN
 * @param id the token
 * @param top how many alternatives are reported; fewer where the vocabulary is smaller
 */
export function tokenLogprob(logits: Float32Array, id: number, top: number): TokenLogprob {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const normalizer = max + Math.log(sum);
  const logprob = (token: number): number => Math.max(LOGPROB_MIN, (logits[token] as number) - normalizer);
  return {
    logprob: logprob(id),
    top: likeliest(logits, top).map((token) => ({ id: token, logprob: logprob(token) })),
  };
}

/**
 * The tokens of the k largest logits, best first, of equal ones the first. A heap of the best so far, the worst of them
 * on top: most logits cost one comparison, and only the k are sorted in the end.
 */
function likeliest(logits: Float32Array, k: number): number[] {
  const heap: number[] = [];
  const isWorse = (a: number, b: number): boolean => {
    const of = logits[a] as number;
    const than = logits[b] as number;
    return of < than || (of === than && a > b);
  };
  const sink = (token: number, from: number): void => {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && isWorse(heap[child + 1] as number, heap[child] as number)) child++;
      if (child >= heap.length || !isWorse(heap[child] as number, token)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = token;
  };
  const size = Math.min(k, logits.length);
  for (let token = 0; token < size; token++) heap.push(token);
  for (let at = (size >> 1) - 1; at >= 0; at--) sink(heap[at] as number, at);
  for (let token = size; size > 0 && token < logits.length; token++) {
    // Of equal logits the first token stays.
    if ((logits[token] as number) > (logits[heap[0] as number] as number)) sink(token, 0);
  }
  return heap.sort((a, b) => (isWorse(a, b) ? 1 : -1));
}
