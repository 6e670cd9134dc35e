// The predicted completion time of a piece of work on each node that can do it:
//   rtt + bytes / goodput + queue + cold load + fixed + slope · uncached tokens in + tokens out · time per token
// Called by survey; its times of one node also by quoteOf. Figures in adverts are the peers' own words: each is made a finite
// number before it is added up, and what was measured from here corrects it.
import type { ModelOffer, ServiceProfile } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Price } from '../../protocol/plan.ts';
import type { LinkEstimate } from '../core/mesh.ts';
import type { WorkSize } from '../core/work-size.ts';
import { likenAlike } from './alike.ts';
import { givenAheadMs } from './binding.ts';
import { type Candidates, type Host, hostAt, offerAt } from './candidates.ts';
import {
  AMOUNT_MAX,
  BIND_DEVIATIONS,
  COMPUTE_MS_MIN,
  CORRECTION_MAX,
  CORRECTION_MIN,
  ESTIMATE_NOISE_SHARE,
  EXPLORE_FACTOR,
  FOREIGN_MAX,
  GOODPUT_UNKNOWN_BYTES_PER_SECOND,
  GUESS_FIXED_MS,
  GUESS_INPUT_MS_PER_BYTE,
  GUESS_LOAD_FIXED_MS,
  GUESS_LOAD_MS_PER_BYTE,
  GUESS_OUTPUT_MS_PER_BYTE,
  NEWCOMER_FACTOR,
  PART_MS_MAX,
  RISK_DEVIATIONS,
  RTT_UNKNOWN_MS,
  SPREAD_MAX,
  SPREAD_UNKNOWN,
  UNPROVEN_SPEEDUP_MAX,
  YIELD_SHARE,
} from './limits.ts';
import type { Corrections, PlacementRequest } from './snapshot.ts';

/** Facts of one offer. */
export const FACTS = 5;

/** A number of milliseconds that can be added up, whatever was said. */
export function sane(ms: number): number {
  return ms >= 0 && ms < PART_MS_MAX ? ms : PART_MS_MAX;
}

/** A number of things, whatever was said. */
export function amount(count: number): number {
  if (!(count > 0)) return 0;
  return count < AMOUNT_MAX ? count : AMOUNT_MAX;
}

/** What a model of this size costs at most on a slow core. */
export function guessProfile(offer: Pick<ModelOffer, 'sizeBytes'>): ServiceProfile {
  const bytes = amount(offer.sizeBytes);
  return {
    fixedMs: GUESS_FIXED_MS,
    perTokenMs: bytes * GUESS_INPUT_MS_PER_BYTE,
    decodeMs: bytes * GUESS_OUTPUT_MS_PER_BYTE,
    loadMs: GUESS_LOAD_FIXED_MS + bytes * GUESS_LOAD_MS_PER_BYTE,
    samples: 0,
  };
}

/** @param cachedTokens of the input, those that need no computing */
export function computeMs(size: WorkSize, profile: ServiceProfile, offer: ModelOffer, cachedTokens: number): number {
  return timeOf(size, sane(profile.fixedMs), sane(profile.perTokenMs), decodeMsOf(profile, offer), cachedTokens);
}

/** A model may have been measured by its prefill alone, when no answer was longer than one token. */
export function decodeMsOf({ decodeMs }: ServiceProfile, offer: Pick<ModelOffer, 'sizeBytes'>): number {
  return sane(decodeMs === 0 ? guessProfile(offer).decodeMs : decodeMs);
}

function timeOf(size: WorkSize, fixed: number, perToken: number, decode: number, cachedTokens: number): number {
  const inputTokens = cachedTokens > 0 ? Math.max(0, size.inputTokens - cachedTokens) : size.inputTokens;
  const ms = fixed + inputTokens * perToken + size.outputTokens * decode;
  return ms > COMPUTE_MS_MIN ? sane(ms) : COMPUTE_MS_MIN;
}

/** Until the model is in memory, where it isn't yet. */
export function loadMs(offer: ModelOffer): number {
  return offer.state === 'loaded' ? 0 : sane(offer.profile.loadMs || guessProfile(offer).loadMs);
}

// What a price takes from an offer, as numbers: kept from one decision to the next.
/** Negative = it was never measured. */
const FIXED = 0;
const PER_TOKEN = 1;
const DECODE = 2;
const LOADING = 3;
const DIMENSIONS = 4;

/** Writes down what prices take from an offer, from this place on. */
export function factsOf(offer: ModelOffer, facts: Float64Array, from: number): void {
  const { profile } = offer;
  facts[from + FIXED] = profile.samples > 0 ? sane(profile.fixedMs) : -1;
  facts[from + PER_TOKEN] = sane(profile.perTokenMs);
  facts[from + DECODE] = decodeMsOf(profile, offer);
  facts[from + LOADING] = loadMs(offer);
  facts[from + DIMENSIONS] = amount(offer.dimensions);
}

// What is known of a candidate, as one row of numbers: a decision among a thousand nodes looks at each record once, and
// works out the rest in here.
/** Compute time by the node's own profile; of one without (0), a guess by the others'. */
const CLAIMED = 0;
/** What measurements from here make of it; 0 = there are none. */
const FACTOR = 1;
/** Load, and the way there and back. */
const AROUND = 2;
/** Of the way there, what the bytes take to cross. */
const TRANSFER = 3;
/** Predicted time until work begins there, as the node told it last… */
const QUEUED = 4;
/** …and so many milliseconds ago, counted to this request's arrival. */
const AGE = 5;
/** Calls from here that are not answered… */
const CALLS = 6;
/** …and requests in flight that the node told of. */
const TOLD = 7;
const ROUND_TRIP = 8;
const WIDTH = 9;

/** The prices of one request on its candidates, which go by their places: 0 up to, not including, `count`. */
export class Estimates {
  readonly count: number;
  readonly #request: PlacementRequest;
  readonly #candidates: Candidates;
  readonly #odds: Odds;
  readonly #rows: Float64Array;
  /** What is made of claims and factors: alike for nodes that are alike. */
  readonly #computeMs: Float64Array;
  readonly #totals: Float64Array;
  readonly #scores: Float64Array;
  /** Compute time on the fastest node that was measured from here; 0 = nobody else's claims are doubted by it. */
  #provenMs = 0;

  constructor(request: PlacementRequest, candidates: Candidates, corrections: Corrections | undefined) {
    const { digest } = request.model;
    const spread = believableSpread(corrections?.spread?.(digest));
    this.count = candidates.count;
    this.#request = request;
    this.#candidates = candidates;
    this.#odds = oddsOf(spread);
    const { count } = this;
    const room = candidates.known.room(count * (WIDTH + 3));
    this.#computeMs = room.subarray(0, count);
    this.#totals = room.subarray(count, 2 * count);
    this.#scores = room.subarray(2 * count, 3 * count);
    this.#rows = room.subarray(3 * count, (3 + WIDTH) * count);
    this.#read(corrections === undefined ? undefined : factorsOf(corrections, digest));
    likenAlike(this.#computeMs, spread * ESTIMATE_NOISE_SHARE);
    this.#add();
  }

  /** Milliseconds until the whole answer is here. */
  totalMs(at: number): number {
    return this.#totals[at] ?? Number.POSITIVE_INFINITY;
  }

  /**
   * That, and what it may take longer: of two queues that are predicted to be as long, the one that is made of many short
   * waits is the surer one, and whoever goes where the queue is predicted to be short goes where that is an error. And what a
   * node costs on top that would rather have others do it.
   */
  scoreMs(at: number): number {
    return this.#scores[at] ?? Number.POSITIVE_INFINITY;
  }

  /** As {@link totalMs}, by part. */
  price(at: number): Price {
    const host = hostAt(this.#candidates, at);
    const offer = offerAt(this.#candidates, at);
    const compute = this.#computeMs[at] ?? 0;
    const load = loadMs(offer);
    const { link } = host;
    const oneWay = link === undefined ? 0 : oneWayMs(link);
    const up = oneWay + (this.#rows[at * WIDTH + TRANSFER] ?? 0);
    const down =
      link === undefined ? 0 : oneWay + sane(answerBytes(this.#request, amount(offer.dimensions)) * msPerByte(link));
    const quoted = this.#request.quoted?.get(host.advert.node);
    if (quoted === undefined) return priceOf(this.#queueMs(at), load, up, compute, down);
    return priceByQuote(sane(quoted), { claimed: this.#rows[at * WIDTH + CLAIMED] ?? 0, compute, load, up, down });
  }

  /** Requests in flight there, as it said, or those from here alone where these are more. */
  requests(at: number): number {
    const row = at * WIDTH;
    const calls = this.#rows[row + CALLS] ?? 0;
    const told = this.#rows[row + TOLD] ?? 0;
    return told > calls ? told : calls;
  }

  /**
   * What this node adds to the executor's own prediction, which doesn't know what was measured from here. Negative where it
   * is faster than it says.
   */
  surchargeMs(at: number): number {
    return (this.#computeMs[at] ?? 0) - (this.#rows[at * WIDTH + CLAIMED] ?? 0);
  }

  /** What measurements from here have multiplied its compute time by; undefined where there are none. */
  correction(at: number): number | undefined {
    return this.#rows[at * WIDTH + FACTOR] || undefined;
  }

  /** Everything that prices depend on, in one pass: each record is looked at once, and is near as long as that takes. */
  #read(factorOf: ((node: NodeId) => number) | undefined): void {
    const request = this.#request;
    const { places, here, peers, known } = this.#candidates;
    const { facts } = known;
    const rows = this.#rows;
    const times = this.#computeMs;
    const cached = request.cached !== undefined && request.cached.size > 0 ? request.cached : undefined;
    let slowest = 0;
    let fastest = Number.POSITIVE_INFINITY;
    let proven = Number.POSITIVE_INFINITY;
    let foreign = 0;
    let isAnyoneGuessed = false;
    let isAnyoneUnproven = false;
    for (let at = 0, row = 0; at < times.length; at++, row += WIDTH) {
      const place = places[at] ?? 0;
      const fact = place * FACTS;
      // Each is read once: some of them are worked out by whoever keeps the record.
      const { load, link, callsInFlight, heardAgoMs, advert } = place === 0 ? here : (peers[place - 1] as Host);
      const told = amount(load.requestsInFlight);
      const queued = sane(load.queuedMs);
      let up = 0;
      let down = 0;
      let roundTrip = 0;
      let transfer = 0;
      if (link !== undefined) {
        const oneWay = oneWayMs(link);
        const perByte = msPerByte(link);
        transfer = sane(request.requestBytes * perByte);
        up = oneWay + transfer;
        down = oneWay + sane(answerBytes(request, facts[fact + DIMENSIONS] ?? 0) * perByte);
        roundTrip = 2 * oneWay;
      }
      rows[row + ROUND_TRIP] = roundTrip;
      rows[row + TRANSFER] = transfer;
      rows[row + AROUND] = (facts[fact + LOADING] ?? 0) + up + down;
      rows[row + AGE] = amount(heardAgoMs) + up;
      rows[row + QUEUED] = queued;
      rows[row + CALLS] = callsInFlight;
      rows[row + TOLD] = told;
      const factor = factorOf === undefined ? 0 : factorOf(advert.node);
      if (factor === 0) isAnyoneUnproven = true;
      rows[row + FACTOR] = factor;
      const fixed = facts[fact + FIXED] ?? -1;
      if (fixed < 0) {
        isAnyoneGuessed = true;
        rows[row + CLAIMED] = 0;
        times[at] = 0;
        continue;
      }
      const cachedTokens = cached === undefined ? 0 : (cached.get(advert.node) ?? 0);
      const claimed = timeOf(request, fixed, facts[fact + PER_TOKEN] ?? 0, facts[fact + DECODE] ?? 0, cachedTokens);
      const compute = factor === 0 ? claimed : sane(claimed * factor);
      rows[row + CLAIMED] = claimed;
      times[at] = compute;
      if (compute > slowest) slowest = compute;
      if (compute < fastest) fastest = compute;
      if (compute < proven && (factor > 0 || place === 0)) proven = compute;
      if (told > callsInFlight) {
        const waits = ((told - callsInFlight) * queued) / (told * compute);
        foreign += waits < FOREIGN_MAX ? waits : FOREIGN_MAX;
      }
    }
    // Single precision: the same in whatever order the nodes come.
    this.#odds.foreign = Math.fround(foreign / this.count);
    if (isAnyoneUnproven && factorOf !== undefined && proven < Number.POSITIVE_INFINITY) this.#provenMs = proven;
    if (isAnyoneGuessed || this.#provenMs > 0) this.#judge(slowest, fastest);
  }

  #judge(slowest: number, fastest: number): void {
    const rows = this.#rows;
    for (let at = 0; at < this.count; at++) {
      const row = at * WIDTH;
      if (rows[row + CLAIMED] === 0) {
        const claimed = this.#guess(at, slowest, fastest);
        rows[row + CLAIMED] = claimed;
        this.#computeMs[at] = sane(claimed * (rows[row + FACTOR] || 1));
      }
      if (!this.#isDoubted(at)) continue;
      this.#computeMs[at] = Math.max(this.#computeMs[at] ?? 0, this.#provenMs / UNPROVEN_SPEEDUP_MAX);
    }
  }

  /** Nodes without samples are priced by those that have some. */
  #guess(at: number, slowest: number, fastest: number): number {
    if (slowest === 0) {
      const offer = offerAt(this.#candidates, at);
      return computeMs(this.#request, guessProfile(offer), offer, 0);
    }
    const isNew = (this.#rows[at * WIDTH + FACTOR] ?? 0) === 0;
    return this.#request.explore && isNew ? fastest * EXPLORE_FACTOR : slowest * NEWCOMER_FACTOR;
  }

  #isDoubted(at: number): boolean {
    return this.#provenMs > 0 && this.#rows[at * WIDTH + FACTOR] === 0 && !this.#isHere(at);
  }

  #isHere(at: number): boolean {
    return this.#candidates.places[at] === 0;
  }

  #add(): void {
    const { places, known } = this.#candidates;
    const { quoted } = this.#request;
    const asked = quoted !== undefined && quoted.size > 0;
    const rows = this.#rows;
    const times = this.#computeMs;
    for (let at = 0; at < times.length; at++) {
      const compute = times[at] ?? 0;
      let queue = this.#queueMs(at);
      let total = queue + compute + (rows[at * WIDTH + AROUND] ?? 0);
      if (asked) {
        const price = this.price(at);
        queue = price.queueMs;
        total = price.totalMs;
      }
      this.#totals[at] = total;
      const risk = RISK_DEVIATIONS * deviationOf(queue, compute, this.#odds);
      const score = total + risk;
      this.#scores[at] = known.yields(places[at] ?? 0) ? score + YIELD_SHARE * total : score;
    }
  }

  /**
   * Until work that leaves now would begin there. What waits goes on being done while the request is on its way, and calls
   * that have left since the node last spoke of its load wait before it.
   */
  #queueMs(at: number): number {
    const rows = this.#rows;
    const row = at * WIDTH;
    const { mean, rest, foreign } = this.#odds;
    const reported = rows[row + QUEUED] ?? 0;
    if (reported >= PART_MS_MAX) return PART_MS_MAX;
    const each = this.#computeMs[at] ?? 0;
    const age = rows[row + AGE] ?? 0;
    const calls = rows[row + CALLS] ?? 0;
    const told = rows[row + TOLD] ?? 0;
    let queue = reported * mean - age;
    if (calls > 0 && reported > 0) {
      // It still works on a call from here, whatever time has passed, and what waits behind that one waits still: had one
      // ended, its answer would have brought news.
      const known = calls < told ? calls / told : 1;
      const least = rest * each + (told > 1 ? known * reported * mean * (1 - 1 / told) : 0);
      if (queue < least) queue = least;
    }
    if (queue < 0) queue = 0;
    if (calls > told) queue += this.#comingMs(calls - told, each * mean, row);
    // What others have sent there since.
    if (foreign > 0) queue += foreign * each * (age / (age + each));
    const { aheadMs } = this.#request;
    if (aheadMs !== undefined) {
      const linkMs = (rows[row + AROUND] ?? 0) - this.#loadMs(at);
      const mayBe = queue + BIND_DEVIATIONS * deviationOf(queue, each, this.#odds);
      if (mayBe > givenAheadMs(linkMs)) queue += aheadMs;
    }
    if (!this.#isDoubted(at)) return sane(queue);
    // No answer has proven anything of it yet: each call there counts as if it were no faster than the best that has.
    return sane(Math.max(queue, this.#provenMs * calls));
  }

  #loadMs(at: number): number {
    return this.#candidates.known.facts[(this.#candidates.places[at] ?? 0) * FACTS + LOADING] ?? 0;
  }

  /**
   * Of calls that are on their way, what is still to be done when the next one comes. Their bytes cross or their work is done
   * before it, whichever takes longer; as many as fit into the round trip that the node's word of them takes are done by then.
   */
  #comingMs(calls: number, each: number, row: number): number {
    const transfer = this.#rows[row + TRANSFER] ?? 0;
    const work = calls * (each > transfer ? each : transfer);
    return (work * work) / (work + (this.#rows[row + ROUND_TRIP] ?? 0));
  }
}

function oneWayMs({ rttMs }: LinkEstimate): number {
  return sane(rttMs ?? RTT_UNKNOWN_MS) / 2;
}

function msPerByte({ goodputBytesPerSecond }: LinkEstimate): number {
  const known = goodputBytesPerSecond === undefined ? 0 : amount(goodputBytesPerSecond);
  return 1000 / (known > 0 ? known : GOODPUT_UNKNOWN_BYTES_PER_SECOND);
}

function answerBytes(request: PlacementRequest, dimensions: number): number {
  return request.answerBytes + request.answerRows * dimensions * Float32Array.BYTES_PER_ELEMENT;
}

/** The factor of each node for one model; 0 = nothing was measured. */
function factorsOf(corrections: Corrections, digest: string): (node: NodeId) => number {
  const ofModel = corrections.forModel?.(digest);
  if (ofModel === undefined) {
    return (node) => (corrections.samples(node, digest) > 0 ? believable(corrections.compute(node, digest)) : 0);
  }
  return (node) => {
    const correction = ofModel.get(node);
    return correction === undefined || !(correction.samples > 0) ? 0 : believable(correction.factor);
  };
}

function believable(factor: number): number {
  if (!(factor > CORRECTION_MIN)) return factor > 0 ? CORRECTION_MIN : 1;
  return factor < CORRECTION_MAX ? factor : CORRECTION_MAX;
}

/** How work that was predicted to take 1 turns out, where durations spread lognormally. */
interface Odds {
  /** The mean of many. */
  readonly mean: number;
  /** How far a single one is from that: the standard deviation. */
  readonly deviation: number;
  /** What is left on average of one that has taken 1 already: the wider the spread, the longer the wait behind a late one. */
  readonly rest: number;
  /** What waits at a node on average that other nodes have sent there, in times that this work takes there. */
  foreign: number;
}

/** How far a queue is from what it is predicted to be: the standard deviation. */
function deviationOf(queueMs: number, computeMs: number, { deviation }: Odds): number {
  return deviation * Math.sqrt(queueMs * computeMs);
}

/** The same of one price. @param spread as {@link Corrections.spread} */
export function queueDeviationMs({ queueMs, computeMs: each }: Price, spread: number | undefined): number {
  return deviationOf(queueMs, each, oddsOf(believableSpread(spread)));
}

function believableSpread(spread = SPREAD_UNKNOWN): number {
  return spread >= 0 ? Math.min(spread, SPREAD_MAX) : SPREAD_UNKNOWN;
}

/** @param sigma standard deviation of the logarithm of measured over predicted */
function oddsOf(sigma: number): Odds {
  // The rest is mean · 2 Φ(sigma) - 1; this polynomial is within a tenth of it from 0.2 to 1.5.
  const mean = Math.exp(sigma ** 2 / 2);
  return { mean, deviation: mean * Math.sqrt(Math.expm1(sigma ** 2)), rest: sigma * (0.7 + 1.5 * sigma), foreign: 0 };
}

function priceOf(queue: number, load: number, up: number, compute: number, down: number): Price {
  const totalMs = queue + load + up + compute + down;
  return { queueMs: queue, loadMs: load, upMs: up, computeMs: compute, downMs: down, totalMs };
}

/** A quote is queue, load and computing together, by the node's own profile. */
function priceByQuote(
  quoted: number,
  { claimed, compute, load, up, down }: Readonly<Record<'claimed' | 'compute' | 'load' | 'up' | 'down', number>>,
): Price {
  const computing = Math.min(quoted, claimed);
  const loading = Math.min(load, quoted - computing);
  const share = claimed > 0 ? computing / claimed : 1;
  return priceOf(quoted - computing - loading, loading, up, compute * share, down);
}
