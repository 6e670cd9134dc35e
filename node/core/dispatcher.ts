// Places work on a node and sees it through: the coordinator's only way to an engine.
import type { ModelOffer, ModelState } from '../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import type { WorkOptions } from './engine.ts';
import type { RequestTrace } from './trace.ts';

/** What became of a piece of work, beside its result. */
export interface Placement {
  /** The plan that was carried out last. */
  readonly plan: Plan;
  /** Every node that worked on it, in order; more than one after a recovery. */
  readonly nodes: readonly NodeId[];
}

export interface PlacedOptions extends WorkOptions {
  /** Called for each plan before it is carried out: the first, and one more for each recovery. */
  readonly onPlan?: (plan: Plan) => void;
  /** Where its way is noted down. */
  readonly trace?: RequestTrace;
}

/** A model that some node of the mesh offers. */
export interface AvailableModel {
  /** The best-known offer: loaded before on disk. */
  readonly offer: ModelOffer;
  /** Who is there to run it; none when only absent peers offer it, whose adverts are remembered. */
  readonly nodes: readonly NodeId[];
  /** How it stands on each of the nodes, in their order. */
  readonly states: readonly ModelState[];
}

/** A request that another node answered: what bringing its model here would save. */
export interface RemoteAnswer {
  readonly model: ModelRef;
  /** The node that ended it. */
  readonly node: NodeId;
  /** From its placement to the whole answer, as seen here. */
  readonly ms: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Who tells of {@link RemoteAnswer}s. */
export interface RemoteAnswers {
  /** Calls back for every answer that came from another node. Returns what ends the subscription. */
  onRemote(listener: (answer: RemoteAnswer) => void): () => void;
}

export interface Dispatcher {
  /**
   * As {@link Engine}, on whichever node ends soonest, and again elsewhere when that one is lost.
   * @throws WeftError `no_capable_node` when none is left, with the last failure as its cause
   */
  run(request: RunRequest, options: PlacedOptions): Promise<RunResult & Placement>;
  encode(request: EncodeRequest, options: PlacedOptions): Promise<EncodeResult & Placement>;
  generate(request: GenerateRequest, options: PlacedOptions, onTokens: OnTokens): Promise<GenerateResult & Placement>;
  /** What the mesh offers, this node included, one entry per digest. */
  models(): readonly AvailableModel[];
  /** Requests placed from here that are not finished. */
  inFlight(): number;
}
