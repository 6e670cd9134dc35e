// Decides how many tokens a sequence drafts in its next step, so that drafting is on only while it pays. Verifying γ
// drafts makes a step slower, and gains as many tokens as are accepted in a row: with each accepted at a rate α, the
// expected tokens are (1 − α^(γ+1)) / (1 − α), over the measured time of such a step (Leviathan et al., ICML 2023).

/** The policy's bound on what drafts may cost in all: this share of the time without them. */
const LOSS_SHARE_MAX = 0.02;
/** What may be lost before anything was gained, in steps without a draft. */
const START_STEPS = 1;
/** What may be lost at most after much was gained: more than any draft costs that could pay. */
const CREDIT_STEPS_MAX = 12;
/** Where drafting seems not to pay, it is tried once in so many steps that could: 2 %. */
const PROBE_EVERY = 50;
/** A trial is as long as would be best if drafts were accepted at this rate. */
const PROBE_ACCEPTANCE = 0.95;
/** Share of its weight that the past loses with every draft that is judged: about the last 25 count. */
const FORGET = 0.04;
/** Drafts that the rate before the first one counts for. */
const PRIOR_WEIGHT = 3;
/** Gains below this share of a step are noise. */
const NOISE = 0.01;
/** Share of its weight that the speed so far loses with every step. */
const SPEED_FORGET = 0.03;

export interface DraftPolicyInit {
  /** @default 10 */
  readonly draftMax?: number;
  /** Rate at which drafts are accepted before this sequence has shown its own, of earlier sequences say. @default 0.5 */
  readonly acceptance?: number;
}

/**
 * Learns from one sequence: `choose` before every step of it, `observe` after every one with drafts. Whatever becomes of
 * them, drafts cost no more than a step and 2 % of the time without them, as far as the times given are right.
 */
export class DraftPolicy {
  readonly #draftMax: number;
  /** Expected times of steps with 0, 1, … drafts, as of the latest choice. */
  readonly #costs: Float64Array;
  /** What one accepted draft saves, as of the latest choice. */
  #valueMs = 0;
  #accepted: number;
  #judged = PRIOR_WEIGHT;
  /** Milliseconds that may be lost yet; undefined before the first step. */
  #creditMs: number | undefined;
  /** Time of recent steps, and what their tokens would have taken without drafts. */
  #spentMs = 0;
  #gotMs = 0;
  /** Steps that could have been a trial, since there was one. */
  #sinceProbe = PROBE_EVERY;

  constructor(init: DraftPolicyInit = {}) {
    this.#draftMax = init.draftMax ?? 10;
    this.#accepted = (init.acceptance ?? 0.5) * PRIOR_WEIGHT;
    this.#costs = new Float64Array(this.#draftMax + 1);
  }

  /** The rate at which single drafts are accepted, as far as is known. */
  get acceptance(): number {
    return this.#accepted / this.#judged;
  }

  /**
   * How many tokens to draft in the next step, which is taken to happen; 0 while the times are not known.
   * @param stepMs time of the step with so many rows of this sequence (1 + drafts), other sequences' included; not a
   * positive number = not known
   * @param available drafts that there are
   * @param others sequences that get a token in the same step: a longer one delays them too. @default 0
   */
  choose(stepMs: (rows: number) => number, available: number, others = 0): number {
    const plainMs = stepMs(1);
    if (!isTime(plainMs)) return 0;
    this.#costs[0] = plainMs;
    this.#valueMs = plainMs / (others + 1);
    this.#creditMs = this.#creditMs === undefined ? START_STEPS * plainMs : this.#creditMs + LOSS_SHARE_MAX * plainMs;
    const drafts = available > 0 ? this.#wanted(stepMs, Math.min(this.#draftMax, available)) : 0;
    if (drafts === 0) this.#took(plainMs, 0);
    return drafts;
  }

  /**
   * What became of a step with drafts.
   * @param drafted how many there were, at most as many as were chosen
   * @param accepted how many of them, from the first on, were right
   */
  observe(drafted: number, accepted: number): void {
    if (drafted === 0) return;
    this.#took(this.#costs[drafted] as number, accepted);
    // Behind the first refusal nothing was judged.
    const judged = Math.min(drafted, accepted + 1);
    const kept = (1 - FORGET) ** judged;
    this.#accepted = this.#accepted * kept + accepted;
    this.#judged = this.#judged * kept + judged;
  }

  #wanted(stepMs: (rows: number) => number, most: number): number {
    // A step with more rows takes no less; one that nobody knows is not tried.
    for (let drafts = 1; drafts <= most; drafts++) {
      const ms = stepMs(drafts + 1);
      this.#costs[drafts] = isTime(ms) ? Math.max(ms, this.#costs[drafts - 1] as number) : Number.POSITIVE_INFINITY;
    }
    this.#sinceProbe++;
    const wanted = this.#best(this.acceptance, most);
    if (wanted > 0) return this.#affordable(wanted);
    if (this.#sinceProbe < PROBE_EVERY) return 0;
    const probe = this.#affordable(this.#best(PROBE_ACCEPTANCE, most));
    if (probe > 0) this.#sinceProbe = 0;
    return probe;
  }

  /** Accounts for a step. */
  #took(costMs: number, accepted: number): void {
    const plainMs = this.#costs[0] as number;
    const gotMs = plainMs + accepted * this.#valueMs;
    // What was gained long ago is no reason to lose much now.
    this.#creditMs = Math.min((this.#creditMs ?? 0) + gotMs - costMs, CREDIT_STEPS_MAX * plainMs);
    this.#spentMs = this.#spentMs * (1 - SPEED_FORGET) + costMs;
    this.#gotMs = this.#gotMs * (1 - SPEED_FORGET) + gotMs;
  }

  /** The number of drafts that gains most: the value of the tokens expected, less the time that they take. */
  #best(acceptance: number, most: number): number {
    const plainMs = this.#costs[0] as number;
    const valueMs = this.#valueMs / this.#speedUp;
    let best = 0;
    let bestMs = valueMs - plainMs + NOISE * plainMs;
    let expected = 1;
    let likelihood = 1;
    for (let drafts = 1; drafts <= most; drafts++) {
      likelihood *= acceptance;
      expected += likelihood;
      const ms = expected * valueMs - (this.#costs[drafts] as number);
      if (ms > bestMs) {
        best = drafts;
        bestMs = ms;
      }
    }
    return best;
  }

  /**
   * Of the recent steps, against steps without drafts. What a token is worth is the time that it would take otherwise: less
   * where most steps draft, so that long drafts pay less. With drafts in every step this finds the most tokens for the time.
   */
  get #speedUp(): number {
    return this.#spentMs > 0 ? Math.max(1, this.#gotMs / this.#spentMs) : 1;
  }

  /** The most drafts, up to those wanted, that could all be wrong without losing more than may be lost. */
  #affordable(wanted: number): number {
    const boundMs = (this.#costs[0] as number) + (this.#creditMs ?? 0);
    let drafts = wanted;
    while (drafts > 0 && (this.#costs[drafts] as number) > boundMs) drafts--;
    return drafts;
  }
}

function isTime(ms: number): boolean {
  return ms > 0 && Number.isFinite(ms);
}
