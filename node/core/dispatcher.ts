// Places work on a node and sees it through: the coordinator's only way to an engine.
import type { ModelOffer, ModelState } from '../../protocol/capability.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
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
import type { Part, Plan, Rejection, WholePlan } from '../../protocol/plan.ts';
import type { WorkOptions } from './engine.ts';
import type { RequestTrace } from './trace.ts';

/** What became of a piece of work, beside its result. */
export interface Placement {
  /** The plan that was carried out last. */
  readonly plan: Plan;
  /** Every node that worked on it, in order; more than one after a recovery. */
  readonly nodes: readonly NodeId[];
}

export interface PlacedOptions extends Omit<WorkOptions, 'withinMs'> {
  /**
   * Called for each plan that a node works by, before anything of its answer is handed on: the first, one more for each
   * recovery, and for a hedge that wins. An offer that is declined was none.
   */
  readonly onPlan?: (plan: Plan) => void;
  /**
   * Milliseconds from now until the whole answer must be here: a request that is predicted to take longer is refused at
   * once, and nothing is waited for any longer. @default none
   */
  readonly deadlineMs?: number;
  /**
   * Texts of an encoding that are done, of how many, and by whom where that is told: called where it is scattered over several
   * nodes.
   */
  readonly onProgress?: (done: number, total: number, byNode?: ReadonlyMap<NodeId, number>) => void;
  /** Where its way is noted down. */
  readonly trace?: RequestTrace;
  /** Whether and where the graph of a run is cut. @default 'auto' */
  readonly cut?: CutWish;
  /**
   * What must not leave this node: all that the request brings, or inputs of a graph by name. A plan that would send any of
   * it is refused by name; what follows from it may leave. @default nothing
   */
  readonly rawLocal?: true | readonly string[];
}

/** `auto`: where the answer is sooner by it, or no node can do the whole. */
export type CutWish = 'auto' | 'never' | CutPlaces;

export interface CutPlaces {
  /** Cut points, each a number as `weft show --cuts` has them, or a tensor that crosses there. @default as `auto` */
  readonly at?: readonly (number | string)[];
  /** Nodes that may have a part; as many as there are parts: each has one, in this order. @default any */
  readonly on?: readonly NodeId[];
  /**
   * One of a stream of requests: what keeps up with most of them is chosen instead of what answers one soonest, parts that
   * work at the same time or whole requests spread over nodes. @default what answers soonest
   */
  readonly steady?: true;
  /**
   * Tensors between parts cross as blocks of eight bits where that saves measured time; what is lost stands in the trace.
   * @default they cross as they are
   */
  readonly compress?: true;
}

/** What stands behind the choice between a cut and whole plans, for people. */
export interface ConsideredCut {
  readonly table: CutTable;
  readonly choice: {
    readonly chosen: 'whole' | 'cut';
    /** None where it is refused. */
    readonly nodes: readonly NodeId[];
    /** Of a cut: segments of the table, in the order in which they run. */
    readonly parts: readonly Part[];
    readonly totalMs: number;
    /** What else was possible, best first. */
    readonly lostBy: readonly {
      readonly what: 'whole' | 'cut' | 'balance';
      readonly nodes: readonly NodeId[];
      readonly totalMs: number;
    }[];
    readonly rejected: readonly Rejection[];
    /** Why nothing can run as asked. @default something can */
    readonly refused?: string;
  };
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

/** What is asked for, by kind of work. */
export interface WorkRequests {
  readonly run: RunRequest;
  readonly encode: EncodeRequest;
  readonly generate: GenerateRequest;
}

export interface Dispatcher {
  /**
   * As {@link Engine}, on whichever node ends soonest, and again elsewhere when that one is lost.
   * @throws WeftError `no_capable_node` when none is left, with the last failure as its cause; `deadline_unmeetable` with
   *   `facts.quotedMs` and `facts.retryAfterMs` when no node is predicted to make it in time
   */
  run(request: RunRequest, options: PlacedOptions): Promise<RunResult & Placement>;
  encode(request: EncodeRequest, options: PlacedOptions): Promise<EncodeResult & Placement>;
  generate(request: GenerateRequest, options: PlacedOptions, onTokens: OnTokens): Promise<GenerateResult & Placement>;
  /**
   * The plan for the whole by which a request would be carried out now. Nothing is sent.
   * @throws WeftError `no_capable_node`
   */
  plan<Kind extends keyof WorkRequests>(
    kind: Kind,
    request: WorkRequests[Kind],
    options?: Pick<PlacedOptions, 'rawLocal'>,
  ): WholePlan;
  /**
   * Which cut would be made of a run now, and what it was better or worse than. A graph that was never measured is measured
   * first, which takes seconds.
   * @returns undefined where nothing is said of cuts or of what must stay here, or nothing is ever cut
   * @throws WeftError `bad_request` for a cut point that isn't there; as CutTables.measure
   */
  planCut(
    request: RunRequest,
    options: Pick<PlacedOptions, 'cut' | 'rawLocal' | 'signal'>,
  ): Promise<ConsideredCut | undefined>;
  /** What the mesh offers, this node included, one entry per digest. */
  models(): readonly AvailableModel[];
  /** Requests placed from here that are not finished. */
  inFlight(): number;
}
