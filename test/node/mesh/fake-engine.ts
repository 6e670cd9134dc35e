// An engine without a runtime: its tokens and vectors follow from the request, so that both ends of a wire can be compared.
import type { Engine, WorkOptions } from '../../../node/core/engine.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../../protocol/infer.ts';

const timing = { queueMs: 1, loadMs: 2, computeMs: 3, prefillMs: 4 };
const DIMENSIONS = 4;

export class FakeEngine implements Engine {
  readonly node: string;
  readonly seen: { readonly options: WorkOptions }[] = [];
  /** Called before each token; throws to fail, or waits. */
  beforeToken: (index: number) => Promise<void> = async () => undefined;

  constructor(node: string) {
    this.node = node;
  }

  async run({ inputs }: RunRequest, options: WorkOptions): Promise<RunResult> {
    this.seen.push({ options });
    return { outputs: inputs, node: this.node, timing };
  }

  async encode({ ids, lengths }: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    this.seen.push({ options });
    const embeddings = new Float32Array(lengths.length * DIMENSIONS);
    let from = 0;
    for (const [row, length] of lengths.entries()) {
      embeddings.fill(
        ids.subarray(from, from + length).reduce((sum, id) => sum + id, 0),
        row * DIMENSIONS,
        (row + 1) * DIMENSIONS,
      );
      from += length;
    }
    return { embeddings, dimensions: DIMENSIONS, node: this.node, timing };
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    this.seen.push({ options });
    let index = request.ids.length - request.promptLength;
    for (; index < request.maxNewTokens; index++) {
      await this.beforeToken(index);
      if (options.signal.aborted) throw options.signal.reason;
      const id = tokenAt(request, index);
      onTokens(index, [id]);
      if (request.stopIds.includes(id)) return { finish: 'stop', generated: index + 1, node: this.node, timing };
    }
    return { finish: 'length', generated: index, node: this.node, timing };
  }
}

/** What the engine draws at an index. */
export function tokenAt(request: GenerateRequest, index: number): number {
  return ((request.ids[0] ?? 0) * 31 + index * 7) % 1_000;
}

export function failing(code: 'model_not_found' | 'runner_lost'): Engine {
  const fail = async (): Promise<never> => {
    throw new WeftError({ code, message: 'It fails.' });
  };
  return { node: 'failing', run: fail, encode: fail, generate: fail };
}
