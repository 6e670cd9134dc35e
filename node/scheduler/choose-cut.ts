// Whether a request's graph runs whole or in parts on several nodes, and where it is cut: the requester drives the parts one
// after the other, and every crossing tensor goes over it. Pure; called by dispatch with the graph's table, what is known of
// the nodes, and the whole plans priced already.
import { CUT_SEGMENTS_MAX, type CutTable } from '../../protocol/cut-table.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Part, Rejection } from '../../protocol/plan.ts';
import { bestCut, type CutSearch, type FoundCut, type PlacedPart } from './choose-cut-search.ts';
import { type CutNode, CutPrices, type Travels } from './cut-price.ts';
import { CUT_GAIN_MS, CUT_GAIN_SHARE, CUT_PARTS_MAX, CUT_PEERS_MAX, RAW_SHARE_MIN } from './limits.ts';

/** A plan without a cut. */
export interface WholeChoice {
  readonly node: NodeId;
  /** Until the whole answer is here, its input in the form in which it travels. */
  readonly totalMs: number;
  /** Between two requests of a stream that this node takes all of. @default totalMs */
  readonly periodMs?: number;
  /** Why it can't be taken, for people. @default it can */
  readonly reason?: string;
}

/** What a person or a model's maker asks of a plan. */
export interface CutRule {
  /** Inputs of the graph that never leave the requester; true for all of them. @default they may */
  readonly rawLocal?: true | readonly string[];
  /** So many segments at least run at the requester before anything leaves. @default where raw inputs stay, a tenth of the computing */
  readonly minDepth?: number;
  /** Cut exactly in front of these segments, ascending. @default where it is best, if at all */
  readonly cutAt?: readonly number[];
  /** Nodes that may have a part, or the whole; as many as `cutAt` makes parts: each has one, in this order. @default any */
  readonly on?: readonly NodeId[];
}

export interface CutRequest {
  readonly table: CutTable;
  readonly self: CutNode;
  readonly peers: readonly CutNode[];
  readonly wholes: readonly WholeChoice[];
  /** @default inputs and outputs cross as tensors */
  readonly travels?: Travels;
  readonly rule?: CutRule;
  /** At most CUT_PARTS_MAX. @default CUT_PARTS_MAX */
  readonly partsMax?: number;
  /** One of a stream of requests: choose what keeps up with most of them instead of what answers one soonest. */
  readonly steady?: true;
}

/** One part of the plan, with what crosses for it. */
export interface CutPartChoice extends Part {
  /** To its node; 0 for parts at the requester. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** A plan that was priced and not taken. */
export interface LostPlan {
  readonly what: 'whole' | 'cut' | 'balance';
  readonly nodes: readonly NodeId[];
  readonly totalMs: number;
  readonly periodMs: number;
}

export interface CutChoice {
  readonly chosen: 'whole' | 'cut';
  /** Who is to run it; of a stream without a cut all among which whole requests are spread. None where it is refused. */
  readonly nodes: readonly NodeId[];
  /** In the order in which they run; none of a whole plan. */
  readonly parts: readonly CutPartChoice[];
  /** Of one request; of a stream without the loads of parts. */
  readonly totalMs: number;
  /** Between two requests of a stream: one over its throughput. Of a single request the same as totalMs. */
  readonly periodMs: number;
  /** What else was possible, best first. */
  readonly lostBy: readonly LostPlan[];
  /** Whole plans that were impossible or against the rule. */
  readonly rejected: readonly Rejection[];
  /** Why nothing can run as asked, for people; then there is no node. @default something can */
  readonly refused?: string;
}

/**
 * The soonest plan. A cut is chosen over a possible whole plan only where it is predicted to be sooner by CUT_GAIN_SHARE and
 * CUT_GAIN_MS, or where the rule names its place. No plan breaks the rule: what can't keep it is refused.
 */
export function chooseCut(request: CutRequest): CutChoice {
  const problem = problemOf(request);
  if (problem !== undefined) return refusal(problem, []);
  const ruled = new Ruled(request);
  const { possible, rejected } = ruled.wholes();
  const found = ruled.search();
  const cut = found === undefined ? undefined : ruled.cutPlan(found);
  const wholes = wholePlans(possible, request.steady === true);
  const byScore = (a: LostPlan, b: LostPlan): number => scoreOf(a, request) - scoreOf(b, request);
  const [whole] = wholes.sort(byScore);
  const isCut = cut !== undefined && (request.rule?.cutAt !== undefined || isWorthIt(cut, whole, request));
  const chosen = isCut ? cut : request.rule?.cutAt === undefined ? whole : undefined;
  if (chosen === undefined) return refusal(ruled.why(rejected), rejected);
  const lostBy = [...wholes, ...(cut === undefined ? [] : [cut])].filter((plan) => plan !== chosen).sort(byScore);
  const { nodes, totalMs, periodMs } = chosen;
  const lost = lostBy.map((plan) => ({
    what: plan.what,
    nodes: plan.nodes,
    totalMs: plan.totalMs,
    periodMs: plan.periodMs,
  }));
  const parts = isCut ? cut.parts : [];
  return { chosen: isCut ? 'cut' : 'whole', nodes, parts, totalMs, periodMs, lostBy: lost, rejected };
}

/** The first cut point behind so much of the computing; all segments where there is none. @param share 0 to 1 */
export function depthOf(table: CutTable, share: number): number {
  let done = 0;
  for (const [at, segment] of table.segments.entries()) {
    done += segment.share;
    if (done >= share) return at + 1;
  }
  return table.segments.length;
}

interface CutPlan extends LostPlan {
  readonly what: 'cut';
  readonly parts: readonly CutPartChoice[];
}

/** A request with its rule in the form in which parts are checked against it. */
class Ruled {
  readonly #request: CutRequest;
  readonly #prices: CutPrices;
  readonly #nodes: readonly CutNode[];
  /** Segments that use an input which must not leave. */
  readonly #raw: ReadonlySet<number>;
  readonly #rawNames: readonly string[];
  readonly #minDepth: number;
  /** Where parts may begin and end; undefined = anywhere. */
  readonly #edges: readonly number[] | undefined;

  constructor(request: CutRequest) {
    const { table, self, peers, travels, rule = {} } = request;
    this.#request = request;
    this.#prices = new CutPrices(table, travels);
    const tensors = rawInputs(table, rule);
    this.#rawNames = tensors.map(({ name }) => name);
    this.#raw = new Set(tensors.flatMap(({ to }) => to));
    this.#minDepth = rule.minDepth ?? (rule.rawLocal && !rule.cutAt ? depthOf(table, RAW_SHARE_MIN) : 0);
    this.#edges = rule.cutAt && [0, ...rule.cutAt, this.#prices.count];
    this.#nodes = [self, ...this.#best(peers.filter(({ node }) => this.#isMeant(node)))];
  }

  /** Whole plans by whether they can be taken. */
  wholes(): { readonly possible: readonly WholeChoice[]; readonly rejected: readonly Rejection[] } {
    const { self, wholes, rule = {} } = this.#request;
    const possible: WholeChoice[] = [];
    const rejected: Rejection[] = [];
    for (const whole of wholes) {
      const { node } = whole;
      if (whole.reason !== undefined) rejected.push({ node, reason: whole.reason });
      else if (!this.#isMeant(node)) rejected.push({ node, reason: 'it is not among the nodes that were named' });
      else if (node === self.node) possible.push(whole);
      else if (rule.rawLocal !== undefined) {
        rejected.push({ node, reason: `raw: local keeps ${quoted(this.#rawNames)} here` });
      } else if (this.#minDepth > 0) {
        rejected.push({ node, reason: `the first ${this.#minDepth} segments are to run here` });
      } else possible.push(whole);
    }
    return { possible, rejected };
  }

  search(changes: Partial<CutSearch> = {}): FoundCut | undefined {
    const { partsMax = CUT_PARTS_MAX, steady } = this.#request;
    if (this.#prices.count < 2) return undefined;
    return bestCut({
      prices: this.#prices,
      nodes: this.#nodes,
      partsMax: Math.min(partsMax, CUT_PARTS_MAX),
      mayRun: (part) => this.#mayRun(part) && this.#keepsRaw(part),
      steady: steady === true,
      ...changes,
    });
  }

  cutPlan({ parts, totalMs, periodMs }: FoundCut): CutPlan {
    const priced = parts.map(({ node, from, to }): CutPartChoice => {
      const at = this.#nodes[node] as CutNode;
      const price = this.#prices.price(at, from, to);
      const bytesUp = at.self ? 0 : this.#prices.taken(from, to);
      const bytesDown = at.self ? 0 : this.#prices.given(from, to);
      return { node: at.node, from, to, price, bytesUp, bytesDown };
    });
    const nodes = [...new Set(priced.map(({ node }) => node))];
    return { what: 'cut', nodes, parts: priced, totalMs, periodMs: this.#request.steady ? periodMs : totalMs };
  }

  /** Why neither a whole plan nor a cut is possible, by the first thing that stands in the way. */
  why(rejected: readonly Rejection[]): string {
    const { table, rule } = this.#request;
    const whole = rejected.map(({ node, reason }) => `; not whole on ${node}: ${reason}`).join('');
    if (this.#prices.count < 2) {
      return `The graph can't be cut${table.reason === undefined ? '' : `: ${table.reason}`}${whole}.`;
    }
    if (this.#nodes.length < 2) return `No other node can take a part${whole}.`;
    if (rule?.rawLocal !== undefined && this.search({ mayRun: (part) => this.#mayRun(part) }) !== undefined) {
      return `raw: local keeps ${quoted(this.#rawNames)} here, and every possible cut would send it${whole}.`;
    }
    if (this.search({ unlimited: true }) !== undefined) {
      const free = this.#nodes.map(({ node, memoryFreeBytes }) => `${megabytes(memoryFreeBytes)} on ${node}`);
      const weights = megabytes(this.#prices.weightBytes([{ from: 0, to: this.#prices.count }]));
      return `No cut fits into the memory: ${weights} of weights, free are ${free.join(', ')}${whole}.`;
    }
    return `No cut keeps to the rule${whole}.`;
  }

  #mayRun({ node, from, to }: PlacedPart): boolean {
    const edge = this.#edges?.indexOf(from);
    if (edge === -1 || (edge !== undefined && this.#edges?.[edge + 1] !== to)) return false;
    const { cutAt, on } = this.#request.rule ?? {};
    const name = (this.#nodes[node] as CutNode).node;
    const isTurn = edge === undefined || on?.length !== (cutAt?.length ?? 0) + 1 || on[edge] === name;
    return isTurn && this.#isMeant(name) && (node === 0 || from >= this.#minDepth);
  }

  #isMeant(node: NodeId): boolean {
    return this.#request.rule?.on?.includes(node) !== false;
  }

  #keepsRaw({ node, from, to }: PlacedPart): boolean {
    if (this.#request.rule?.rawLocal === undefined || node === 0) return true;
    if (from === 0) return false;
    for (let at = from; at < to; at++) if (this.#raw.has(at)) return false;
    return true;
  }

  /** Of more peers than are searched, those that would be through with all of it first. */
  #best(peers: readonly CutNode[]): readonly CutNode[] {
    if (peers.length <= CUT_PEERS_MAX) return peers;
    const priced = peers.map((node) => ({ node, ms: this.#prices.price(node, 0, this.#prices.count).totalMs }));
    return priced
      .sort((a, b) => a.ms - b.ms)
      .slice(0, CUT_PEERS_MAX)
      .map(({ node }) => node);
  }
}

/** What makes a request senseless, for people. */
function problemOf({ table, peers, self, rule = {}, partsMax = CUT_PARTS_MAX }: CutRequest): string | undefined {
  const count = table.segments.length;
  if (count < 1 || count > CUT_SEGMENTS_MAX) return `A table has 1 to ${CUT_SEGMENTS_MAX} segments, not ${count}.`;
  if (new Set([self, ...peers].map(({ node }) => node)).size <= peers.length) return 'A node is named twice.';
  const { cutAt, minDepth, rawLocal } = rule;
  if (minDepth !== undefined && !(Number.isInteger(minDepth) && minDepth >= 0 && minDepth <= count)) {
    return `The depth ${minDepth} is not one of the 0 to ${count} segments.`;
  }
  const wrong = cutAt?.find((at, index) => !Number.isInteger(at) || at <= (cutAt[index - 1] ?? 0) || at >= count);
  if (wrong !== undefined) return `${wrong} is no cut point: they are 1 to ${count - 1}, ascending.`;
  if (cutAt?.length === 0) return 'No cut point is named.';
  if (cutAt !== undefined && cutAt.length >= Math.min(partsMax, CUT_PARTS_MAX)) {
    return `${cutAt.length + 1} parts are asked for, ${Math.min(partsMax, CUT_PARTS_MAX)} are the most.`;
  }
  const names = new Set(table.tensors.filter(({ from }) => from === -1).map(({ name }) => name));
  const unknown = typeof rawLocal === 'object' ? rawLocal.find((name) => !names.has(name)) : undefined;
  // Else a name that is spelt wrong would protect nothing, silently.
  if (unknown !== undefined) return `raw: local names "${unknown}", which is no input of the graph.`;
  return undefined;
}

function rawInputs({ tensors }: CutTable, { rawLocal }: CutRule): CutTable['tensors'] {
  if (rawLocal === undefined) return [];
  return tensors.filter(({ name, from }) => from === -1 && (rawLocal === true || rawLocal.includes(name)));
}

/** Each alone; of a stream also all together, each with as many of the requests as it keeps up with. */
function wholePlans(possible: readonly WholeChoice[], steady: boolean): LostPlan[] {
  const alone = possible.map(({ node, totalMs, periodMs = totalMs }): LostPlan => {
    return { what: 'whole', nodes: [node], totalMs, periodMs: steady ? periodMs : totalMs };
  });
  if (!steady || alone.length < 2) return alone;
  const rate = alone.reduce((sum, { periodMs }) => sum + 1 / periodMs, 0);
  const nodes = possible.map(({ node }) => node);
  const totalMs = Math.max(...possible.map((whole) => whole.totalMs));
  return [...alone, { what: 'balance', nodes, totalMs, periodMs: 1 / rate }];
}

function isWorthIt(cut: LostPlan, whole: LostPlan | undefined, request: CutRequest): boolean {
  if (whole === undefined) return true;
  const limit = request.steady ? whole.periodMs : whole.totalMs;
  const gain = limit - (request.steady ? cut.periodMs : cut.totalMs);
  // Of a stream, what counts is the share alone: a frame may take a millisecond.
  return gain > CUT_GAIN_SHARE * limit && (request.steady === true || gain > CUT_GAIN_MS);
}

const scoreOf = (plan: LostPlan, { steady }: CutRequest): number => (steady ? plan.periodMs : plan.totalMs);

function refusal(refused: string, rejected: readonly Rejection[]): CutChoice {
  const never = Number.POSITIVE_INFINITY;
  return { chosen: 'whole', nodes: [], parts: [], totalMs: never, periodMs: never, lostBy: [], rejected, refused };
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
