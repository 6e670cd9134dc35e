// Another node's engine, as dispatch sees it: the calls of the Engine interface, carried to a peer.
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import { packTensors, unpackTensors } from './block-tensors.ts';

export class RemoteEngine implements Engine {
  readonly node: NodeId;
  readonly #mesh: Pick<Mesh, 'call'>;

  constructor(components: { readonly mesh: Pick<Mesh, 'call'> }, init: { readonly node: NodeId }) {
    this.#mesh = components.mesh;
    this.node = init.node;
  }

  async run(request: RunRequest, options: WorkOptions): Promise<RunResult> {
    const { blocks = [], inputs } = request;
    const sent = packTensors(inputs, blocks);
    const wire = { ...request, inputs: sent.tensors, packed: sent.packed, blocks };
    const result = await this.#mesh.call(this.node, PEER_METHODS.run, wire, options);
    const { outputs, timing, packed: given = [] } = result;
    if (given.some(({ name }) => !blocks.includes(name))) throw unasked();
    if (request.part !== undefined) checkOutputs(result, request.outputs, request.part);
    const packed = [...sent.packed, ...given];
    return {
      outputs: unpackTensors(outputs, given),
      timing,
      node: this.node,
      ...(packed.length > 0 && { packed }),
    };
  }

  async encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    const result = await this.#mesh.call(this.node, PEER_METHODS.encode, request, options);
    if (result.embeddings.length !== request.lengths.length * result.dimensions) {
      throw new WeftError({ code: 'frame_invalid', message: 'The peer answered with another number of embeddings.' });
    }
    return { ...result, node: this.node };
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    let next = request.ids.length - request.promptLength;
    const result = await this.#mesh.call(this.node, PEER_METHODS.generate, request, {
      ...options,
      onItem: ({ firstIndex, ids, logprobs }) => {
        if (firstIndex !== next) {
          throw new WeftError({ code: 'frame_invalid', message: `Token ${next} is missing from the peer's answer.` });
        }
        next += ids.length;
        onTokens(firstIndex, ids, logprobs);
      },
    });
    if (result.generated !== next) {
      throw new WeftError({ code: 'frame_invalid', message: "The end of the peer's answer is missing." });
    }
    return { ...result, node: this.node };
  }
}

const unasked = (): WeftError =>
  new WeftError({ code: 'frame_invalid', message: 'The peer answered with blocks where it was to give floats.' });

/** What a part gives goes into the next one: it must be exactly what was asked for. */
function checkOutputs({ outputs }: RunResult, asked: readonly string[], part: GraphPart): void {
  const missing = new Set(asked.length > 0 ? asked : part.outputs);
  const wanted = missing.size;
  for (const { name } of outputs) missing.delete(name);
  if (missing.size === 0 && outputs.length === wanted) return;
  throw new WeftError({ code: 'frame_invalid', message: "The peer answered with other tensors than the part's." });
}
