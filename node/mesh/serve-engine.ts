// Lets members use this node's engine: the other end of RemoteEngine. The composition root calls it before the mesh starts.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { RunRequest, RunResult, Timing } from '../../protocol/infer.ts';
import { type AnyMethod, PEER_METHODS } from '../../protocol/methods.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { CallContext } from '../core/calls.ts';
import type { Engine, Priority, WorkOptions } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Policy } from '../core/policy.ts';
import { executorParts, type RequestTrace, type Traces } from '../core/trace.ts';
import { sizeOfEncode, sizeOfGenerate, sizeOfRun, type WorkSize } from '../core/work-size.ts';
import { packTensors, unpackTensors } from './block-tensors.ts';
import { EXPECTED_TOKENS_UNTOLD } from './limits.ts';

export interface ServeEngineComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly engine: Engine;
  readonly policy: Policy;
  /** Where this node's part of a peer's request is noted down. */
  readonly traces?: Pick<Traces, 'begin'>;
  /**
   * Predicted milliseconds of work that arrives now, queue and load included; undefined = not offered, or not known. Asked
   * for requests with a condition only; must be cheap, because whoever is declined has paid nothing.
   * @param part only this of the model's graph @default nothing is declined
   */
  readonly quote?: (model: ModelRef, size: WorkSize, priority: Priority, part?: GraphPart) => number | undefined;
  /** Whether peers may have parts of this model run here, which may have to be fetched first. @default of any */
  readonly takesParts?: (model: ModelRef) => boolean;
  /** False while the owner wants nothing done here for others. @default always */
  readonly shares?: () => boolean;
}

/** What a method of work needs of a call. */
interface Served<Item, Result> {
  readonly method: AnyMethod;
  readonly model: ModelRef;
  readonly part?: GraphPart | undefined;
  readonly context: CallContext<Item>;
  readonly size: () => WorkSize;
  readonly work: (options: WorkOptions) => Promise<Result>;
}

/** Answers `run`, `encode` and `generate` from the engine, for callers whom the policy allows the model. */
export function serveEngine(components: ServeEngineComponents): void {
  const { mesh, engine, policy, traces } = components;

  const serve = async <Item, Result extends { readonly timing: Timing }>(
    served: Served<Item, Result>,
  ): Promise<Result> => {
    const { method, model, context, work } = served;
    const { signal, requestId, budgetMs, caller, priority = 'interactive' } = context;
    policy.authorize(caller, { method: method.name, model: model.id });
    // Its adverts offer nothing; this is for who has not heard yet.
    if (components.shares?.() === false) throw sharesNothing();
    if (served.part !== undefined && components.takesParts?.(model) === false) throw takesNoParts();
    // Before anything is noted down: a member that asks for quotes without end fills no ring and no queue.
    declineIfLate(components, served, priority);
    const trace = traces?.begin({ requestId, name: method.name, caller, traceParent: context.traceParent });
    trace?.model(model.id);
    const traceParent = trace?.traceParent ?? context.traceParent;
    try {
      const result = await work({
        signal,
        requestId,
        caller,
        priority,
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
    serve({
      method: PEER_METHODS.run,
      model: request.model,
      part: request.part,
      context,
      size: () => sizeOfRun(request),
      work: (options) => runUnpacked(engine, request, options),
    }),
  );
  mesh.handle(PEER_METHODS.encode, (request, context) =>
    serve({
      method: PEER_METHODS.encode,
      model: request.model,
      context,
      size: () => sizeOfEncode(request),
      work: (options) => engine.encode(request, options),
    }),
  );
  mesh.handle(PEER_METHODS.generate, (request, context) =>
    serve({
      method: PEER_METHODS.generate,
      model: request.model,
      context,
      // By what the caller expects, which its condition was made of.
      size: () => sizeOfGenerate(request, request.expectedTokens ?? EXPECTED_TOKENS_UNTOLD),
      work: (options) =>
        engine.generate(request, options, (firstIndex, ids, logprobs) => {
          // Tokens drawn after the caller has left go nowhere; the engine hears of it by the signal.
          if (context.signal.aborted) return;
          context.item(logprobs === undefined ? { firstIndex, ids } : { firstIndex, ids, logprobs });
        }),
    }),
  );
}

/** The engine's run of a request that may have come as blocks, and may be answered as them. */
async function runUnpacked(engine: Engine, request: RunRequest, options: WorkOptions): Promise<RunResult> {
  const { packed = [], blocks = [], ...plain } = request;
  const { outputs, ...result } = await engine.run({ ...plain, inputs: unpackTensors(plain.inputs, packed) }, options);
  const given = packTensors(outputs, blocks);
  return { ...result, outputs: given.tensors, ...(given.packed.length > 0 && { packed: given.packed }) };
}

/** @throws WeftError `declined` with the fact `quotedMs`, where the call has a condition that this node can't keep */
function declineIfLate<Item>(
  { quote }: Pick<ServeEngineComponents, 'quote'>,
  { model, part, context, size }: Pick<Served<Item, unknown>, 'model' | 'part' | 'context' | 'size'>,
  priority: Priority,
): void {
  const { withinMs } = context;
  if (withinMs === undefined || quote === undefined) return;
  const quotedMs = quote(model, size(), priority, part);
  if (quotedMs === undefined || !(quotedMs > withinMs)) return;
  throw new WeftError({
    code: 'declined',
    message: `It would take about ${Math.ceil(quotedMs)} ms here, longer than the ${withinMs} ms that were asked for.`,
    facts: { quotedMs: String(Math.ceil(quotedMs)) },
  });
}

export const sharesNothing = (): WeftError =>
  new WeftError({
    code: 'model_not_found',
    message: 'The owner of this node has paused sharing, or lends it to nobody.',
    remedy: 'Ask another node, or resume sharing there.',
  });

const takesNoParts = (): WeftError =>
  new WeftError({
    code: 'model_not_found',
    message: 'The setting `offer` of this node leaves out the model that a part of was asked for.',
    remedy: 'Ask another node, or set `offer` there.',
  });

/** This node's part, as the caller will hear of it too. */
function noteParts(trace: RequestTrace, node: string, timing: Timing): void {
  let startMs = 0;
  for (const { name, durationMs } of executorParts(timing)) {
    if (durationMs > 0) trace.span({ name, node, startMs, durationMs });
    startMs += durationMs;
  }
}
