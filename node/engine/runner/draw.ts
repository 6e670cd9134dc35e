// From the logits of one position to the token that comes next: what every form of generation does alike. One for each
// generation; runs in a runner process.
import type { TokenRun } from '../../../protocol/codec.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { tokenLogprob } from '../logprobs.ts';
import { Penalties } from '../penalties.ts';
import { sample } from '../sampling.ts';
import type { TokenConstraint } from './constraint.ts';

/** A token that was drawn, and how it is sent. */
export interface Drawn {
  readonly id: number;
  readonly run: TokenRun;
}

/** From logits to tokens: all that a request asks for, in the order that node/engine/penalties.ts names. */
export class Draw {
  readonly #request: GenerateRequest;
  readonly #constraint: TokenConstraint | undefined;
  readonly #signal: AbortSignal;
  readonly #penalties: Penalties;
  /** The model's own logits, where they are reported on: the others are changed in place. */
  #raw: Float32Array | undefined;

  constructor(request: GenerateRequest, constraint: TokenConstraint | undefined, signal: AbortSignal) {
    const { sampling, ids, promptLength } = request;
    this.#request = request;
    this.#constraint = constraint;
    this.#signal = signal;
    this.#penalties = new Penalties(sampling, ids, promptLength);
    for (const id of ids.subarray(promptLength)) constraint?.accept(id);
  }

  /** @param logits of the generator's last step: they are this loop's to change until the next one */
  async next(logits: Float32Array, index: number): Promise<Drawn> {
    const { sampling, logprobs: top } = this.#request;
    if (top !== undefined) {
      this.#raw ??= new Float32Array(logits.length);
      this.#raw.set(logits);
    }
    this.#penalties.apply(logits);
    if (this.#constraint !== undefined) await orAborted(this.#constraint.mask(logits), this.#signal);
    const id = sample(logits, sampling, index);
    const run = { firstIndex: index, ids: [id] };
    if (top === undefined || this.#raw === undefined) return { id, run };
    return { id, run: { ...run, logprobs: [tokenLogprob(this.#raw, id, top)] } };
  }

  /** A token was drawn, and another one will be. */
  accept(id: number): void {
    this.#penalties.accept(id);
    this.#constraint?.accept(id);
  }
}

/** A mask may take long where a grammar is hard: whoever has cancelled doesn't hold the device for it. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
