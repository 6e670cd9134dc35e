// Whether a run's graph is cut over several nodes, and having it done: brings the graph's table, what is known of the nodes,
// the whole plans and the rules together for chooseCut. Called by MeshDispatcher.
import { type CutTable, type CutTensor, givenBy, takenBy } from '../../protocol/cut-table.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { RunRequest, RunResult } from '../../protocol/infer.ts';
import type { Candidate, Plan, Price, WholePlan } from '../../protocol/plan.ts';
import type { TableWish } from '../core/cut-tables.ts';
import type { CutWish, PlacedOptions, Placement } from '../core/dispatcher.ts';
import { keepNewest } from '../core/keep-newest.ts';
import {
  type CutChoice,
  type CutPartChoice,
  type CutRequest,
  type CutRule,
  chooseCut,
  type WholeChoice,
} from '../scheduler/choose-cut.ts';
import { type CutNode, CutPrices, worthCompressing } from '../scheduler/cut-price.ts';
import type { CutAudits } from './cut-audits.ts';
import { cutNodes } from './cut-nodes.ts';
import { cutPoints, restOf } from './cut-parts.ts';
import { CutRun, type CutRunComponents, partsOfModel } from './cut-run.ts';
import type { Lifetime } from './lifetime.ts';
import { CUT_MODELS_MAX } from './limits.ts';
import type { Placer } from './placer.ts';
import { RunWork } from './work.ts';

export interface CuttingComponents extends CutRunComponents {
  readonly placer: Placer;
  readonly audits: Pick<CutAudits, 'ran' | 'distrusted'>;
}

export interface CuttingInit {
  readonly attemptsMax: number;
  readonly silentMsMin: number;
}

/** What stands behind a choice, for people. */
export interface ConsideredCut {
  readonly table: CutTable;
  readonly choice: CutChoice;
  /** The best plan for the whole of it; undefined where there is none. */
  readonly whole: WholePlan | undefined;
  /** What the plan keeps to. */
  readonly rule: CutRule;
}

export class Cutting {
  readonly #components: CuttingComponents;
  readonly #init: CuttingInit;
  /** By model: what requests would have won by parts that are loaded. */
  readonly #lostMs = new Map<string, number>();

  constructor(components: CuttingComponents, init: CuttingInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * Runs the graph in parts.
   * @param tooLarge why no node can run the whole, where that is known
   * @returns undefined where it is to be run whole
   * @throws WeftError `no_capable_node` where a rule leaves no plan, by name; `bad_request` for a cut point that isn't there
   */
  async run(
    request: RunRequest,
    options: PlacedOptions,
    { lifetime, tooLarge }: { readonly lifetime: Lifetime; readonly tooLarge?: string | undefined },
  ): Promise<(RunResult & Placement) | undefined> {
    const considered = await this.consider(request, options, tooLarge);
    if (considered === undefined) return undefined;
    const { choice, table, whole, rule } = considered;
    if (choice.refused !== undefined && isAsked(options, tooLarge)) {
      throw new WeftError({ code: 'no_capable_node', message: choice.refused });
    }
    // Whoever runs whole requests knows nothing of nodes that were named: then the whole is one part.
    if (choice.chosen === 'whole' && rule.on === undefined) return undefined;
    const { attemptsMax, silentMsMin } = this.#init;
    const run = new CutRun(this.#components, {
      table,
      request,
      options,
      lifetime,
      attemptsMax,
      silentMsMin,
      planOf: (_choice, parts) => cutPlan(parts, whole),
      choose: (from, excluded) => this.#chooseRest(table, rule, from, excluded),
      blocks: isCompressing(options) ? (part) => this.#blocks(table, part) : () => [],
    });
    return run.run(choice.chosen === 'cut' ? choice : this.#chooseRest(table, rule, 0, NOBODY));
  }

  /**
   * What would be done now. Where a cut is asked for, or may not be left out, a graph that was never measured is measured first.
   * @param options `dryRun`: only to be shown, so it is measured too, and no request has lost anything by a part that isn't loaded
   * @returns undefined where nothing but the whole comes into question
   */
  async consider(
    request: RunRequest,
    options: Pick<PlacedOptions, 'cut' | 'rawLocal' | 'signal'> & { readonly dryRun?: true },
    tooLarge?: string,
  ): Promise<ConsideredCut | undefined> {
    const { cut = 'auto', rawLocal, signal, dryRun } = options;
    const { cuts, placer } = this.#components;
    if (request.part !== undefined || cut === 'never') return undefined;
    const isNeeded = isAsked({ cut, rawLocal }, tooLarge) || dryRun === true;
    const wish = wishOf(request, rawLocal);
    const table = isNeeded
      ? await cuts?.measure(request.model, { ...wish, signal, urgent: true })
      : cuts?.known(request.model, wish);
    if (table === undefined) return undefined;
    const whole = tooLarge === undefined ? this.#whole(request, placer) : undefined;
    const nodes = this.#nodes(table, NOBODY, { inNeed: false });
    const wholes = wholesOf(whole, { self: nodes.self.node, tooLarge });
    // What can be cut nowhere runs whole, and its table says why.
    const rule = ruleOf({ cut: table.segments.length < 2 ? uncut(cut) : cut, rawLocal }, table);
    const isSteady = typeof cut === 'object' && cut.steady === true;
    const asked = { table, ...nodes, wholes, rule, ...(isSteady && { steady: true as const }) };
    if (!isNeeded) return { table, choice: this.#inTheLongRun(asked), whole, rule };
    const sure = chooseCut(asked);
    if (sure.refused === undefined) return { table, choice: sure, whole, rule };
    return { table, choice: chooseCut({ ...asked, ...this.#nodes(table, NOBODY, { inNeed: true }) }), whole, rule };
  }

  /**
   * A cut whose parts nobody has loaded loses to a whole that is: each request alone would always go there. Once the requests
   * together have lost as much as loading takes, it is done, which costs at most twice what knowing the future would (the
   * ski-rental rule: Karlin et al., Competitive snoopy caching, 1988).
   */
  #inTheLongRun(request: CutRequest): CutChoice {
    const { digest } = request.table.model;
    const warmed = (node: CutNode): CutNode => ({ ...node, loadMs: () => 0 });
    const warm = chooseCut({ ...request, self: warmed(request.self), peers: request.peers.map(warmed) });
    // Most of the time that is all: what loses with its parts loaded loses without.
    if (warm.chosen !== 'cut') return warm;
    const cold = chooseCut(request);
    if (cold.chosen === 'cut') return cold;
    const prices = new CutPrices(request.table);
    const nodes = new Map([request.self, ...request.peers].map((node) => [node.node, node]));
    const parts = warm.parts.map((part) => {
      const node = nodes.get(part.node);
      return node === undefined ? part : { ...part, price: prices.price(node, part.from, part.to) };
    });
    const loadMs = parts.reduce((sum, { price }) => sum + price.loadMs, 0);
    const lostMs = (this.#lostMs.get(digest) ?? 0) + cold.totalMs - warm.totalMs;
    this.#lostMs.delete(digest);
    if (lostMs >= loadMs) return { ...warm, parts, totalMs: warm.totalMs + loadMs };
    this.#lostMs.set(digest, lostMs);
    keepNewest(this.#lostMs, CUT_MODELS_MAX);
    return cold;
  }

  /** Of what a part at a peer takes and gives: what other parts make or use, and is sooner there as blocks. */
  #blocks(table: CutTable, { node, from, to }: CutPartChoice): readonly string[] {
    const { self, peers } = this.#nodes(table, NOBODY, { inNeed: true });
    const peer = peers.find((one) => one.node === node);
    if (node === self.node || peer === undefined) return [];
    const isWorth = (rate: number) => (tensor: CutTensor) =>
      tensor.type === 'float32' && tensor.from >= 0 && tensor.output !== true && worthCompressing(tensor.bytes, rate);
    return [
      ...takenBy(table, from, to).filter(isWorth(peer.upMbPerMs)),
      ...givenBy(table, from, to).filter(isWorth(peer.downMbPerMs)),
    ].map(({ name }) => name);
  }

  #whole(request: RunRequest, placer: Placer): WholePlan | undefined {
    try {
      return placer.plan(new RunWork(request));
    } catch (error) {
      if (toWeftError(error).code === 'no_capable_node') return undefined;
      throw error;
    }
  }

  /** The plan for what is left: several parts, or one that holds all of it. */
  #chooseRest(table: CutTable, rule: CutRule, from: number, excluded: ReadonlyMap<NodeId, string>): CutChoice {
    const rest = restOf(table, from);
    const nodes = this.#nodes(rest, excluded, { from, inNeed: true });
    const prices = new CutPrices(rest);
    const { count } = prices;
    const weights = prices.weightBytes([{ from: 0, to: count }]);
    const wholes = [nodes.self, ...nodes.peers].map((node): WholeChoice => {
      const isTight = node.holds?.(0, count) !== true && weights > node.memoryFreeBytes;
      const { totalMs } = prices.price(node, 0, count);
      return {
        node: node.node,
        totalMs,
        ...(isTight && { reason: 'the rest of the graph does not fit into its memory' }),
      };
    });
    const { cutAt, ...free } = restRule(rule, rest, from);
    const asked = { table: rest, ...nodes, wholes };
    const kept = chooseCut({ ...asked, rule: cutAt === undefined ? free : { ...free, cutAt } });
    // With a node gone there may be nobody for both sides of a place that was named: an answer goes before the place.
    const choice =
      kept.refused !== undefined && cutAt !== undefined
        ? chooseCut({ ...asked, rule: rule.on === undefined ? free : { ...free, on: rule.on } })
        : kept;
    const [node] = choice.nodes;
    const host = [nodes.self, ...nodes.peers].find((one) => one.node === node);
    const parts =
      choice.chosen === 'cut' || host === undefined
        ? choice.parts
        : [{ node: host.node, from: 0, to: count, price: prices.price(host, 0, count), bytesUp: 0, bytesDown: 0 }];
    return { ...choice, parts: parts.map((part) => ({ ...part, from: part.from + from, to: part.to + from })) };
  }

  #nodes(
    table: CutTable,
    excluded: ReadonlyMap<NodeId, string>,
    { from = 0, inNeed }: { readonly from?: number; readonly inNeed: boolean },
  ): ReturnType<typeof cutNodes> {
    const { placer, residuals, parts, audits } = this.#components;
    const { digest } = table.model;
    return cutNodes(placer.snapshot(), {
      table,
      excluded: new Map([...excluded, ...audits.distrusted()]),
      inNeed,
      corrections: residuals,
      correctedAs: partsOfModel(digest),
      holds: (node, a, b) => parts.holds(digest, node, a + from, b + from),
    });
  }
}

const isCompressing = ({ cut }: Pick<PlacedOptions, 'cut'>): boolean =>
  typeof cut === 'object' && cut.compress === true;

const uncut = (cut: CutWish): CutWish => (typeof cut === 'object' && cut.on !== undefined ? { on: cut.on } : 'auto');

/** Names that the graph doesn't have are refused with the rule. */
function wishOf({ inputs }: RunRequest, rawLocal: PlacedOptions['rawLocal']): TableWish {
  const names = inputs.map(({ name }) => name);
  const raw = rawLocal === undefined ? [] : rawLocal === true ? names : names.filter((name) => rawLocal.includes(name));
  return { inputs, ...(raw.length > 0 && { raw }) };
}

/** Whether the plan is more than a matter of time. */
const isAsked = (
  { cut, rawLocal }: { readonly cut?: CutWish | undefined; readonly rawLocal?: PlacedOptions['rawLocal'] | undefined },
  tooLarge: string | undefined,
): boolean => typeof cut === 'object' || rawLocal !== undefined || tooLarge !== undefined;

const NOBODY: ReadonlyMap<NodeId, string> = new Map();

/** Names instead of `true`: behind the first segments, what they made would count as inputs as well. */
function ruleOf(
  { cut, rawLocal }: { readonly cut?: CutWish | undefined; readonly rawLocal?: PlacedOptions['rawLocal'] },
  table: CutTable,
): CutRule {
  const inputs = table.tensors.filter(({ from }) => from === -1).map(({ name }) => name);
  return {
    ...(rawLocal !== undefined && { rawLocal: rawLocal === true ? inputs : rawLocal }),
    ...(typeof cut === 'object' && cut.at !== undefined && { cutAt: cutPoints(table, cut.at) }),
    ...(typeof cut === 'object' && cut.on !== undefined && { on: cut.on }),
  };
}

/** The rule for the segments from this one on, whose inputs are all that crosses in front of them. */
function restRule({ rawLocal, cutAt, minDepth, on }: CutRule, rest: CutTable, from: number): CutRule {
  const raw = Array.isArray(rawLocal) ? rawLocal.filter((name) => isInput(rest, name)) : [];
  const left = cutAt?.filter((at) => at > from).map((at) => at - from) ?? [];
  return {
    ...(raw.length > 0 && { rawLocal: raw }),
    ...(left.length > 0 && { cutAt: left }),
    ...(minDepth !== undefined && { minDepth: Math.max(0, minDepth - from) }),
    // In order, where there is one for each part: those that have run are through.
    ...(on !== undefined && { on: on.length === (cutAt?.length ?? 0) + 1 ? on.slice(-left.length - 1) : on }),
  };
}

const isInput = ({ tensors }: CutTable, wanted: string): boolean =>
  tensors.some(({ name, from }) => from === -1 && name === wanted);

function wholesOf(
  whole: WholePlan | undefined,
  { self, tooLarge }: { readonly self: NodeId; readonly tooLarge: string | undefined },
): WholeChoice[] {
  if (whole === undefined)
    return [{ node: self, totalMs: Number.POSITIVE_INFINITY, reason: tooLarge ?? 'it has no whole plan' }];
  const { node, price, others, rejected } = whole;
  return [
    ...[{ node, price }, ...others].map((one) => ({
      node: one.node,
      totalMs: one.price.totalMs,
      // Of a stream the slowest stage counts: requests are on their way while others are computed.
      periodMs: Math.max(one.price.computeMs, one.price.upMs, one.price.downMs),
    })),
    ...rejected.map((one) => ({ node: one.node, totalMs: Number.POSITIVE_INFINITY, reason: one.reason })),
  ];
}

function cutPlan(parts: readonly CutPartChoice[], whole: WholePlan | undefined): Plan {
  const others: Candidate[] =
    whole === undefined ? [] : [{ node: whole.node, price: whole.price, samples: whole.samples ?? 0 }, ...whole.others];
  return {
    kind: 'cut',
    parts: parts.map(({ node, from, to, price }) => ({ node, from, to, price })),
    price: sumOf(parts.map(({ price }) => price)),
    others,
    rejected: whole?.rejected ?? [],
  };
}

function sumOf(prices: readonly Price[]): Price {
  const sum = (part: keyof Price): number => prices.reduce((total, price) => total + price[part], 0);
  return {
    queueMs: sum('queueMs'),
    loadMs: sum('loadMs'),
    upMs: sum('upMs'),
    computeMs: sum('computeMs'),
    downMs: sum('downMs'),
    totalMs: sum('totalMs'),
  };
}
