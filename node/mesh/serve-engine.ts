// Lets members use this node's engine: the other end of RemoteEngine. The composition root calls it before the mesh starts.
import type { ModelRef } from '../../protocol/ids.ts';
import { type AnyMethod, PEER_METHODS } from '../../protocol/methods.ts';
import type { CallContext } from '../core/calls.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Policy } from '../core/policy.ts';

/** Answers `run`, `encode` and `generate` from the engine, for callers whom the policy allows the model. */
export function serveEngine(components: {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly engine: Engine;
  readonly policy: Policy;
}): void {
  const { mesh, engine, policy } = components;

  const admit = <Item>(method: AnyMethod, model: ModelRef, context: CallContext<Item>): WorkOptions => {
    policy.authorize(context.caller, { method: method.name, model: model.id });
    const { signal, requestId, budgetMs } = context;
    return budgetMs > 0 ? { signal, requestId, budgetMs } : { signal, requestId };
  };

  mesh.handle(PEER_METHODS.run, async (request, context) =>
    engine.run(request, admit(PEER_METHODS.run, request.model, context)),
  );
  mesh.handle(PEER_METHODS.encode, async (request, context) =>
    engine.encode(request, admit(PEER_METHODS.encode, request.model, context)),
  );
  mesh.handle(PEER_METHODS.generate, async (request, context) =>
    engine.generate(request, admit(PEER_METHODS.generate, request.model, context), (firstIndex, ids) => {
      // Tokens drawn after the caller has left go nowhere; the engine hears of it by the signal.
      if (context.signal.aborted) return;
      context.item({ firstIndex, ids });
    }),
  );
}
