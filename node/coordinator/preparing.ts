// Notes down what this node does to a request before it is placed. Used by text generation and embeddings.
import type { NodeId } from '../../protocol/ids.ts';
import type { RequestTrace } from '../core/trace.ts';

/** Does the work and notes it as the `prepare` span: model's tokenizer, template and token ids. A failure has no span. */
export async function prepare<T>(
  components: { readonly self: NodeId },
  trace: RequestTrace | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const startMs = trace?.elapsedMs() ?? 0;
  const prepared = await work();
  trace?.span({ name: 'prepare', node: components.self, startMs, durationMs: trace.elapsedMs() - startMs });
  return prepared;
}
