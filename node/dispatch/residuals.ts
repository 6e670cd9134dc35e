// How long nodes take over how long their profiles say, by (model, node): what makes the price follow a machine that has
// turned slow, sooner than its own advert does. Fed with every answer; read for every placement.
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Correction, Corrections } from '../scheduler/snapshot.ts';
import { RESIDUAL_FACTOR_MAX, RESIDUAL_HALF_LIFE_MS, RESIDUAL_MODELS_MAX, RESIDUAL_NODES_MAX } from './limits.ts';

/** All in natural logarithms of measured / predicted, so that twice and half weigh the same. */
interface Residual {
  level: number;
  /** Mean absolute deviation from the level. */
  spread: number;
  samples: number;
  /** Answers that the level rests on: begins anew when it goes elsewhere. */
  weight: number;
  atMs: number;
  /** Answers in a row that were far off on one side: how many, how many of them very far, and their sum. */
  strays: number;
  farStrays: number;
  strayed: number;
  /** As the scheduler gets it. */
  readonly correction: { factor: number; samples: number };
  /** For which time. */
  correctedMs: number;
}

/** The nodes of one model. */
interface Model {
  readonly nodes: Map<NodeId, Residual>;
  /** Mean absolute deviation of answers from the levels of their nodes. */
  spread: number;
  answers: number;
  readonly get: (node: NodeId) => Correction | undefined;
}

/** Weight of the newest answer once there are some. */
const WEIGHT = 1 / 8;

/** Weight of the first answer. */
const FIRST_WEIGHT = 3 / 4;

/** As many answers with the same weight are as good as those before, each with less weight than the next. */
const WEIGHT_MAX = 2 / WEIGHT - 1;

/** Standard errors that a level must be away from 0 before much of it counts. */
const ERRORS = 2;

/** Standard deviations in a mean absolute one, of a normal distribution. */
const DEVIATIONS = Math.sqrt(Math.PI / 2);

/** Answers over which it is told how far answers are off at all; and as many as the guess before them counts. */
const SPREAD_ANSWERS = 64;
const SPREAD_PRIOR = 8;

/** One answer is off by no more than this many mean deviations, as far as these are concerned. */
const SPREADS_MAX = 3;

/** A correction that fades is good for so long: a thousand nodes are looked at for one decision. */
const CORRECTED_FOR_MS = 250;

const NOBODY = { get: () => undefined };

/** A spread for want of any: answers within a factor of 1.5 are nothing new. */
const SPREAD_UNKNOWN = 0.4;
/** Repeat noise of real executors is no less than a few per cent. */
const SPREAD_MIN = 0.05;

// An answer beyond 1.75 mean deviations (1.4 standard deviations of a normal distribution) is a stray, one beyond 2.5 (2.0)
// a far one. Two far strays in a row on one side come by chance once in 1,000 answers, three strays once in 1,000.
const STRAY_SPREADS = 1.75;
const FAR_STRAY_SPREADS = 2.5;
const STRAYS_BELIEVED = 3;
const FAR_STRAYS_BELIEVED = 2;

const LEVEL_MAX = Math.log(RESIDUAL_FACTOR_MAX);

export class Residuals implements Corrections {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #models = new Map<string, Model>();
  #nowMs = 0;

  constructor(components: { readonly clock: Pick<Clock, 'now'> }) {
    this.#clock = components.clock;
  }

  /** The corrections as of now: one look at the clock for a decision over a thousand nodes. */
  current(): Corrections {
    this.#nowMs = this.#clock.now();
    return this;
  }

  compute(node: NodeId, digest: string): number {
    return this.forModel(digest).get(node)?.factor ?? 1;
  }

  samples(node: NodeId, digest: string): number {
    return this.forModel(digest).get(node)?.samples ?? 0;
  }

  spread(digest: string): number {
    return (this.#models.get(digest)?.spread ?? SPREAD_UNKNOWN) * DEVIATIONS;
  }

  forModel(digest: string): { get(node: NodeId): Correction | undefined } {
    return this.#models.get(digest) ?? NOBODY;
  }

  /**
   * One answer.
   * @param predictedMs by the node's profile alone, without any correction
   * @param measuredMs as it was; a lower bound where the work was ended before its end
   */
  note(node: NodeId, digest: string, predictedMs: number, measuredMs: number): void {
    const ratio = measuredMs / predictedMs;
    if (!(predictedMs > 0) || !(ratio >= 0)) return;
    this.#nowMs = this.#clock.now();
    const found = Math.max(-LEVEL_MAX, Math.min(LEVEL_MAX, Math.log(ratio)));
    const model = this.#model(digest);
    const residual = this.#residual(node, model);
    // What has faded since the last answer is gone for good.
    residual.level = this.#level(residual);
    residual.atMs = this.#nowMs;
    residual.samples++;
    const off = Math.abs(found - residual.level);
    follow(residual, found, spreadOf(residual, model));
    // What nobody is seldom says of how far all are off.
    const weight = 1 / Math.min(++model.answers + SPREAD_PRIOR, SPREAD_ANSWERS);
    model.spread = Math.max(
      SPREAD_MIN,
      model.spread + weight * (Math.min(off, SPREADS_MAX * model.spread) - model.spread),
    );
    residual.correctedMs = Number.NEGATIVE_INFINITY;
  }

  /** Entries that are held. */
  get size(): number {
    let size = 0;
    for (const { nodes } of this.#models.values()) size += nodes.size;
    return size;
  }

  #level({ level, atMs }: Residual): number {
    const ageMs = this.#nowMs - atMs;
    return ageMs <= 0 ? level : level * 2 ** (-ageMs / RESIDUAL_HALF_LIFE_MS);
  }

  #correction(residual: Residual | undefined, model: Model): Correction | undefined {
    if (residual === undefined) return undefined;
    const { correction } = residual;
    if (this.#nowMs - residual.correctedMs >= CORRECTED_FOR_MS) {
      residual.correctedMs = this.#nowMs;
      correction.factor = Math.exp(certain(this.#level(residual), spreadOf(residual, model), residual.weight));
      correction.samples = residual.samples;
    }
    return correction;
  }

  #model(digest: string): Model {
    let model = this.#models.get(digest);
    if (model === undefined) {
      const nodes = new Map<NodeId, Residual>();
      const made: Model = {
        nodes,
        spread: SPREAD_UNKNOWN,
        answers: 0,
        get: (node) => this.#correction(nodes.get(node), made),
      };
      model = made;
      this.#models.set(digest, model);
      keepNewest(this.#models, RESIDUAL_MODELS_MAX);
    }
    return model;
  }

  #residual(node: NodeId, { nodes }: Model): Residual {
    let residual = nodes.get(node);
    if (residual === undefined) {
      residual = {
        level: 0,
        spread: SPREAD_UNKNOWN,
        samples: 0,
        weight: 0,
        atMs: this.#nowMs,
        strays: 0,
        farStrays: 0,
        strayed: 0,
        correction: { factor: 1, samples: 0 },
        correctedMs: Number.NEGATIVE_INFINITY,
      };
      nodes.set(node, residual);
      keepNewest(nodes, RESIDUAL_NODES_MAX);
    }
    return residual;
  }
}

/** A node's own few answers may look steadier than the work is. */
const spreadOf = (residual: Residual, model: Model): number => Math.max(residual.spread, model.spread);

/** What is left of a level when chance is taken off: nothing where it is no more than that, nearly all where it is far more. */
function certain(level: number, spread: number, weight: number): number {
  const chance = (ERRORS * DEVIATIONS * spread) / Math.sqrt(weight + 1);
  const size = Math.abs(level);
  return size <= chance ? 0 : level * (1 - (chance / size) ** 2);
}

/**
 * Takes one answer in. One that is far off moves the level by no more than a stray would, so that an accident changes
 * little; several in a row on one side are no accident, and the level goes to where they are.
 */
function follow(residual: Residual, found: number, spread: number): void {
  const off = found - residual.level;
  const stray = STRAY_SPREADS * spread;
  if (Math.abs(off) > stray) {
    const before = residual.strayed - residual.level * residual.strays;
    if (off * before < 0) forget(residual);
    residual.strays++;
    if (Math.abs(off) > FAR_STRAY_SPREADS * spread) residual.farStrays++;
    residual.strayed += found;
    if (residual.strays >= STRAYS_BELIEVED || residual.farStrays >= FAR_STRAYS_BELIEVED) {
      residual.level = residual.strayed / residual.strays;
      residual.weight = residual.strays;
      forget(residual);
      return;
    }
  } else forget(residual);
  // The first answer of a node stands against its own word alone, and outweighs it.
  const isFirst = residual.weight === 0;
  const weight = isFirst ? FIRST_WEIGHT : Math.max(WEIGHT, 1 / (residual.weight + 1));
  residual.weight = Math.min(WEIGHT_MAX, residual.weight + 1);
  const moved = isFirst ? off : Math.max(-stray, Math.min(stray, off));
  residual.level += weight * moved;
  const distance = Math.min(Math.abs(off), SPREADS_MAX * residual.spread);
  residual.spread = Math.max(SPREAD_MIN, residual.spread + WEIGHT * (distance - residual.spread));
}

function forget(residual: Residual): void {
  residual.strays = 0;
  residual.farStrays = 0;
  residual.strayed = 0;
}
