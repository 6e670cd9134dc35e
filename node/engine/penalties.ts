// What a request changes in the logits before a token is drawn from them: biases, and penalties on tokens that were seen.
// One for each generation, kept by the token loop; every step costs as much as there are different tokens, never a pass
// over the vocabulary.
import type { Sampling } from '../../protocol/infer.ts';

/**
 * Biases and penalties of one generation, in the order of vLLM and llama.cpp: logit bias, repetition penalty, presence
 * and frequency penalties. The constraint's mask, temperature, top-k, min-p and top-p come after them.
 *
 * All of it follows from the settings and the ids, so that a stream which goes on elsewhere repeats itself.
 */
export class Penalties {
  readonly #sampling: Sampling;
  /** Different ids of the prompt and behind it; empty where nothing asks for them. */
  readonly #seen = new Set<number>();
  /** How often each id was generated; empty where nothing asks for it. */
  readonly #counts = new Map<number, number>();
  readonly #countsSeen: boolean;
  readonly #countsGenerated: boolean;

  /**
   * @param ids the prompt, and behind it what was generated already
   * @param promptLength how many of them are the prompt
   */
  constructor(sampling: Sampling, ids: Int32Array, promptLength: number) {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = sampling;
    this.#sampling = sampling;
    this.#countsSeen = repetitionPenalty !== 1;
    this.#countsGenerated = presencePenalty !== 0 || frequencyPenalty !== 0;
    if (this.#countsSeen) for (const id of ids.subarray(0, promptLength)) this.#seen.add(id);
    for (const id of ids.subarray(promptLength)) this.accept(id);
  }

  /** A token was generated. */
  accept(id: number): void {
    if (this.#countsSeen) this.#seen.add(id);
    if (this.#countsGenerated) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  /** @param logits float32 [vocabulary], changed in place; every id is below its length */
  apply(logits: Float32Array): void {
    const { logitBias = [], repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = this.#sampling;
    for (const { id, bias } of logitBias) logits[id] = (logits[id] as number) + bias;
    // Keskar et al., "CTRL" (2019), with the division of negative logits turned round as everyone does since.
    for (const id of this.#seen) {
      const logit = logits[id] as number;
      logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
    // As OpenAI's API defines them.
    for (const [id, count] of this.#counts) {
      logits[id] = (logits[id] as number) - presencePenalty - count * frequencyPenalty;
    }
  }
}
