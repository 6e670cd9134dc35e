// Carries out a cut: one part after the other, each on its node, while what crosses lies here. A node that is lost, stalls or
// can't load its part costs that part alone: what is left is planned anew from the last cut point. Called by Cutting.
import { blockBytes } from '../../protocol/blocks.ts';
import { type CutTable, partBetween } from '../../protocol/cut-table.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { PackedTensor, RunRequest, RunResult, Timing } from '../../protocol/infer.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { Plan, WholePlan } from '../../protocol/plan.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import type { Clock } from '../core/clock.ts';
import type { CutTables } from '../core/cut-tables.ts';
import type { PlacedOptions, Placement } from '../core/dispatcher.ts';
import type { Engine } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { CrossedTensor } from '../core/trace.ts';
import type { CutChoice, CutPartChoice } from '../scheduler/choose-cut.ts';
import { CutPrices } from '../scheduler/cut-price.ts';
import type { CutAudits } from './cut-audits.ts';
import { dropUsed, type HeldTensors, partRequest, takeOutputs } from './cut-parts.ts';
import { Failures, PEER_GAVE_UP } from './failures.ts';
import type { Lifetime } from './lifetime.ts';
import type { NodeHealth } from './node-health.ts';
import type { PartMemory } from './part-memory.ts';
import type { Placed } from './placer.ts';
import { Race, type Referee } from './race.ts';
import type { Residuals } from './residuals.ts';
import { spansOfTrial } from './spans.ts';
import type { Trial } from './trial.ts';

export interface CutRunComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly health: NodeHealth;
  readonly residuals: Residuals;
  readonly parts: PartMemory;
  readonly audits: Pick<CutAudits, 'ran'>;
  /** @default nothing is ever cut */
  readonly cuts: CutTables | undefined;
  readonly self: NodeId;
  readonly engineOf: (node: NodeId) => Engine;
  /** Round trip to a peer, for its spans. */
  readonly rttMs: (node: NodeId) => number | undefined;
}

export interface CutRunInit {
  readonly table: CutTable;
  readonly request: RunRequest;
  readonly options: PlacedOptions;
  readonly lifetime: Lifetime;
  readonly attemptsMax: number;
  readonly silentMsMin: number;
  /** The plan, for whoever asked. @param parts of the whole graph, those that have run included */
  readonly planOf: (choice: CutChoice, parts: readonly CutPartChoice[]) => Plan;
  /**
   * Chooses for the segments from this one on.
   * @param excluded nodes that failed, each with the reason
   * @returns parts that begin with that segment; none where it is refused
   */
  readonly choose: (from: number, excluded: ReadonlyMap<NodeId, string>) => CutChoice;
  /** Tensors of a part that may cross as blocks, on their way to this node and back. */
  readonly blocks: (part: CutPartChoice) => readonly string[];
}

/** Residuals of parts are apart from those of whole runs: other kernels, other sizes. */
export const partsOfModel = (digest: string): string => `${digest}#parts`;

/** A part that is under way. */
interface Running {
  readonly choice: CutPartChoice;
  readonly part: GraphPart;
  readonly request: RunRequest;
}

export class CutRun implements Referee<RunResult> {
  readonly #components: CutRunComponents;
  readonly #init: CutRunInit;
  readonly #failures = new Failures();
  readonly #held: HeldTensors;
  readonly #nodes: NodeId[] = [];
  readonly #done: CutPartChoice[] = [];
  readonly #timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
  #running: Running | undefined;

  constructor(components: CutRunComponents, init: CutRunInit) {
    this.#components = components;
    this.#init = init;
    this.#held = new Map(init.request.inputs.map((tensor) => [tensor.name, tensor]));
  }

  /**
   * @param choice the plan to begin with
   * @throws WeftError when no node is left for a part, or as the request is itself at fault or was ended
   */
  async run(choice: CutChoice): Promise<RunResult & Placement> {
    const { table } = this.#init;
    let plan = this.#tell(choice, choice.parts);
    let parts = choice.parts;
    let at = 0;
    while (at < table.segments.length) {
      const [next] = parts;
      if (next?.from !== at) throw this.#failures.giveUp(refused(choice.refused));
      if (await this.#runPart(next)) {
        at = next.to;
        parts = parts.slice(1);
        continue;
      }
      if (this.#failures.count >= this.#init.attemptsMax) throw this.#failures.giveUp();
      const rest = this.#init.choose(at, this.#failures.excludedInNeed() ?? this.#failures.excluded());
      if (rest.refused !== undefined) throw this.#failures.giveUp(refused(rest.refused));
      parts = rest.parts;
      plan = this.#tell(rest, [...this.#done, ...parts]);
    }
    return { outputs: this.#outputs(), node: this.#components.self, timing: this.#timing, plan, nodes: this.#nodes };
  }

  begin(trial: Trial): Promise<RunResult> {
    const { engine, plan } = trial.placed;
    const { lifetime } = this.#init;
    const { requestId, priority, trace } = this.#init.options;
    if (trace !== undefined) trial.traceStartMs = trace.elapsedMs();
    return engine.run((this.#running as Running).request, {
      signal: trial.controller.signal,
      requestId,
      budgetMs: lifetime.leftMs(),
      ...(priority !== undefined && { priority }),
      ...(trace !== undefined && { traceParent: trace.traceParent }),
      ...(plan.kind === 'remote' && { onAck: trial.acknowledged }),
    });
  }

  claimed(): void {
    // A part has one node: nobody is outrun.
  }

  lost(): void {
    // As above.
  }

  left(trial: Trial): void {
    this.#note(trial, undefined);
  }

  failed(trial: Trial, failure: WeftError): boolean {
    const { health, log, parts, telemetry } = this.#components;
    const { requestId, trace } = this.#init.options;
    const { kind, node } = trial.placed.plan;
    this.#note(trial, undefined);
    if (!failure.elsewhere && !(kind === 'remote' && PEER_GAVE_UP.has(failure.code))) return false;
    log.warn({ requestId, node, code: failure.code, error: failure }, 'node failed a part of a request');
    health.failed(node, failure.code);
    parts.forget(node);
    this.#failures.add(node, failure, false);
    trace?.failed(node, failure.code);
    telemetry.count('weft_recoveries_total', { method: 'run', reason: failure.code });
    return true;
  }

  hedge(): undefined {
    return undefined;
  }

  mayHedge(): boolean {
    return false;
  }

  /** @returns false where its node failed, and another may do it */
  async #runPart(choice: CutPartChoice): Promise<boolean> {
    const { audits, clock, cuts, health, parts, residuals, self } = this.#components;
    const { table, request, lifetime, silentMsMin } = this.#init;
    const { digest } = request.model;
    const { node, from, to } = choice;
    const part = partBetween(table, from, to);
    // Nothing uses what these segments make: there is nothing to ask a node for.
    if (part.outputs.length === 0) return true;
    const blocks = this.#init.blocks(choice);
    const asked = partRequest(request, part, this.#held);
    this.#running = { choice, part, request: blocks.length > 0 ? { ...asked, blocks } : asked };
    const race = new Race<RunResult>({ clock }, { lifetime, referee: this, silentMsMin });
    const won = await race.run(this.#placed(choice), Number.POSITIVE_INFINITY);
    if (won === undefined) return false;
    const { trial, result } = won;
    const { timing, packed } = result;
    try {
      takeOutputs(part, result.outputs, this.#held, table);
    } catch (error) {
      this.failed(trial, error as WeftError);
      return false;
    }
    this.#note(trial, timing, packed);
    if (node !== self) {
      const { outputs } = result;
      // For one that is audited, which few are.
      const weightBytes = () => new CutPrices(table).weightBytes([{ from, to }]);
      audits.ran({ node, request: asked, outputs, weightBytes, key: `${digest} ${from} ${to}` });
    }
    health.succeeded(node);
    parts.note(digest, node, from, to);
    if (node === self) cuts?.observed(table, { from, to, ms: timing.computeMs });
    const predictedMs = choice.price.computeMs / residuals.compute(node, partsOfModel(digest));
    residuals.note(node, partsOfModel(digest), predictedMs, timing.computeMs);
    this.#timing.queueMs += timing.queueMs;
    this.#timing.loadMs += timing.loadMs;
    this.#timing.computeMs += timing.computeMs;
    this.#done.push(choice);
    if (this.#nodes.at(-1) !== node) this.#nodes.push(node);
    dropUsed(table, to, this.#held);
    return true;
  }

  #placed({ node, price }: CutPartChoice): Placed {
    const { self, engineOf } = this.#components;
    const bytes = (this.#running as Running).request.inputs.reduce((sum, { data }) => sum + data.byteLength, 0);
    const plan: WholePlan = { kind: node === self ? 'local' : 'remote', node, price, others: [], rejected: [] };
    const size = { inputTokens: 1, outputTokens: 0, requestBytes: bytes, answerBytes: 0, answerRows: 0 };
    return {
      plan,
      engine: engineOf(node),
      size,
      offer: undefined,
      claimedMs: 0,
      firstByteMs: price.totalMs,
      bindInMs: 0,
      record: undefined,
    };
  }

  #tell(choice: CutChoice, parts: readonly CutPartChoice[]): Plan {
    const plan = this.#init.planOf(choice, parts);
    this.#init.options.onPlan?.(plan);
    this.#init.options.trace?.placed(plan);
    return plan;
  }

  #outputs(): NamedTensor[] {
    const { request, table } = this.#init;
    const names = table.tensors.filter(({ output }) => output === true).map(({ name }) => name);
    const wanted = request.outputs.length > 0 ? request.outputs : names;
    return wanted.map((name) => {
      const tensor = this.#held.get(name);
      if (tensor !== undefined) return tensor;
      throw new WeftError({ code: 'tensor_invalid', message: `The graph has no output "${name}".` });
    });
  }

  #note(trial: Trial, timing: Timing | undefined, packed: readonly PackedTensor[] = []): void {
    const { trace } = this.#init.options;
    if (trace === undefined) return;
    const { node, kind } = trial.placed.plan;
    const rttMs = this.#components.rttMs(node);
    const spans = spansOfTrial(trial, { timing, endMs: trace.elapsedMs(), rttMs });
    const { inputs } = (this.#running as Running).request;
    const lost = new Map(packed.map((tensor) => [tensor.name, crossed(tensor)]));
    const up = inputs.map(({ name, data }): CrossedTensor => lost.get(name) ?? { name, bytes: data.byteLength });
    const sent = new Set(inputs.map(({ name }) => name));
    const down = [...lost.values()].filter(({ name }) => !sent.has(name));
    for (const span of spans) {
      const tensors = kind !== 'remote' ? [] : span.name === 'up' ? up : span.name === 'down' ? down : [];
      trace.span(tensors.length > 0 ? { ...span, tensors } : span);
    }
  }
}

/** What blocks of it have crossed. */
function crossed({ name, dims, error }: PackedTensor): CrossedTensor {
  return { name, bytes: blockBytes(dims.reduce((product, size) => product * size, 1)), error };
}

function refused(why = 'No plan keeps to what was asked for.'): WeftError {
  return new WeftError({ code: 'no_capable_node', message: why });
}
