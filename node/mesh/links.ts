// What has been measured of the way to a peer, from what really crossed: round trips of small messages, and the rate of
// large ones. A peer's own claims never enter. One per peer, kept over its connections.
import type { Clock } from '../core/clock.ts';
import type { LinkEstimate } from '../core/mesh.ts';
import type { MeshLimits } from './limits.ts';

/** The first answers of a connection also take the time of opening streams and of code that runs for the first time. */
const COLD_SAMPLES = 4;
/** Weight of a new sample in the smoothed round trip, as TCP's (RFC 6298). */
const RTT_GAIN = 1 / 8;
/** What a link can do when nothing holds it up; the median would follow the slow moments of both machines. */
const GOODPUT_QUANTILE = 0.9;

export class LinkEstimator {
  readonly #clock: Clock;
  readonly #limits: MeshLimits['links'];
  #smoothedMs: number | undefined;
  #coldSamples = 0;
  #roundTrips: { readonly atMs: number; readonly rttMs: number }[] = [];
  #rates: number[] = [];
  #path: LinkEstimate['path'];
  #estimate: LinkEstimate | undefined;

  constructor(components: { readonly clock: Clock }, init: { readonly limits: MeshLimits }) {
    this.#clock = components.clock;
    this.#limits = init.limits.links;
  }

  /** A small message was answered after this long. */
  sawRoundTrip(rttMs: number): void {
    const atMs = this.#clock.now();
    const smoothedMs = this.#smoothedMs ?? rttMs;
    this.#smoothedMs =
      this.#coldSamples++ < COLD_SAMPLES ? Math.min(smoothedMs, rttMs) : smoothedMs + RTT_GAIN * (rttMs - smoothedMs);
    this.#roundTrips.push({ atMs, rttMs });
    const oldestMs = atMs - this.#limits.rttWindowMs;
    while (this.#roundTrips.length > this.#limits.samplesMax || (this.#roundTrips[0]?.atMs ?? atMs) < oldestMs) {
      this.#roundTrips.shift();
    }
    this.#estimate = undefined;
  }

  /** These bytes crossed in this time, either way. Small transfers are passed over: they measure latency. */
  sawTransfer(bytes: number, ms: number): void {
    if (bytes < this.#limits.goodputBytesMin || ms <= 0) return;
    this.#rates.push((bytes * 1_000) / ms);
    if (this.#rates.length > this.#limits.samplesMax) this.#rates.shift();
    this.#estimate = undefined;
  }

  /** The connection in use now. A new path forgets what the old one could do. */
  onPath(path: LinkEstimate['path']): void {
    if (path === this.#path) return;
    this.#path = path;
    this.#smoothedMs = undefined;
    this.#coldSamples = 0;
    this.#roundTrips = [];
    this.#rates = [];
    this.#estimate = undefined;
  }

  get rttMs(): number | undefined {
    return this.#smoothedMs;
  }

  estimate(): LinkEstimate {
    this.#estimate ??= {
      rttMs: this.#smoothedMs,
      rttFloorMs: this.#roundTrips.length === 0 ? undefined : Math.min(...this.#roundTrips.map(({ rttMs }) => rttMs)),
      goodputBytesPerSecond: this.#goodput(),
      path: this.#path,
    };
    return this.#estimate;
  }

  #goodput(): number | undefined {
    const sorted = this.#rates.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length * GOODPUT_QUANTILE)];
  }
}
