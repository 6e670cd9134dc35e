// Lets members use this node's engine: the other end of RemoteEngine. The composition root calls it before the mesh starts.
import { toWeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import { type AnyMethod, PEER_METHODS } from '../../protocol/methods.ts';
import type { CallContext } from '../core/calls.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Policy } from '../core/policy.ts';
import { executorParts, type RequestTrace, type Traces } from '../core/trace.ts';

export interface ServeEngineComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly engine: Engine;
  readonly policy: Policy;
  /** Where this node's part of a peer's request is noted down. */
  readonly traces?: Pick<Traces, 'begin'>;
}

/** Answers `run`, `encode` and `generate` from the engine, for callers whom the policy allows the model. */
export function serveEngine(components: ServeEngineComponents): void {
  const { mesh, engine, policy, traces } = components;

  const serve = async <Item, Result extends { readonly timing: Timing }>(
    method: AnyMethod,
    model: ModelRef,
    context: CallContext<Item>,
    work: (options: WorkOptions) => Promise<Result>,
  ): Promise<Result> => {
    const { signal, requestId, budgetMs, caller } = context;
    policy.authorize(caller, { method: method.name, model: model.id });
    const trace = traces?.begin({ requestId, name: method.name, caller, traceParent: context.traceParent });
    trace?.model(model.id);
    const traceParent = trace?.traceParent ?? context.traceParent;
    try {
      const result = await work({
        signal,
        requestId,
        ...(budgetMs > 0 ? { budgetMs } : {}),
        ...(traceParent === undefined ? {} : { traceParent }),
      });
      if (trace !== undefined) noteParts(trace, engine.node, result.timing);
      trace?.end({ status: 'ok' });
      return result;
    } catch (error) {
      const { code } = toWeftError(error);
      trace?.end({ status: code === 'cancelled' ? 'cancelled' : 'error', code });
      throw error;
    }
  };

  mesh.handle(PEER_METHODS.run, (request, context) =>
    serve(PEER_METHODS.run, request.model, context, (options) => engine.run(request, options)),
  );
  mesh.handle(PEER_METHODS.encode, (request, context) =>
    serve(PEER_METHODS.encode, request.model, context, (options) => engine.encode(request, options)),
  );
  mesh.handle(PEER_METHODS.generate, (request, context) =>
    serve(PEER_METHODS.generate, request.model, context, (options) =>
      engine.generate(request, options, (firstIndex, ids, logprobs) => {
        // Tokens drawn after the caller has left go nowhere; the engine hears of it by the signal.
        if (context.signal.aborted) return;
        context.item(logprobs === undefined ? { firstIndex, ids } : { firstIndex, ids, logprobs });
      }),
    ),
  );
}

/** This node's part, as the caller will hear of it too. */
function noteParts(trace: RequestTrace, node: string, timing: Timing): void {
  let startMs = 0;
  for (const { name, durationMs } of executorParts(timing)) {
    if (durationMs > 0) trace.span({ name, node, startMs, durationMs });
    startMs += durationMs;
  }
}
