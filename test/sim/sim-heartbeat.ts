// The heartbeat of one simulated link. As node/mesh/heartbeat.ts, with the same turns; one probe is under way at a time.
import { LIVENESS } from '../../node/mesh/limits.ts';
import type { Load } from '../../protocol/capability.ts';
import type { Connection, SimLink } from './sim-link.ts';
import { Delivery } from './sim-network.ts';
import { SimEvent } from './virtual-clock.ts';

/** How finely silence is measured: as node/mesh/heartbeat.ts. */
const TURN_MS = LIVENESS.intervalMs / 2;

/** As an event, one of its turns. */
export class Heartbeat extends SimEvent {
  readonly #link: SimLink;
  readonly #probe: Probe;
  #probedMs = 0;
  #probing = false;

  constructor(link: SimLink) {
    super();
    this.#link = link;
    this.#probe = new Probe(link, () => {
      this.#probing = false;
      link.estimator.sawRoundTrip(link.clock.now() - this.#probedMs);
    });
  }

  start(): void {
    const { clock, mesh } = this.#link;
    this.#probing = false;
    // Connections of one moment don't beat in step.
    clock.schedule(this, clock.now() + mesh.components.draws.within(0, LIVENESS.intervalMs));
  }

  stop(): void {
    this.#link.clock.cancel(this);
  }

  fire(): void {
    const { clock, connection, heardMs, wire } = this.#link;
    if (connection === undefined) return;
    const nowMs = clock.now();
    if (this.#probing) {
      const silentMs = nowMs - Math.max(this.#probedMs, heardMs);
      if (silentMs >= LIVENESS.timeoutMs) {
        clock.settled();
        this.#link.lost(connection, 'peer_timeout');
        return;
      }
      this.#link.suspect(silentMs >= LIVENESS.timeoutMs / 2);
      clock.schedule(this, nowMs + TURN_MS);
      return;
    }
    this.#link.suspect(false);
    this.#probing = true;
    this.#probedMs = nowMs;
    this.#probe.send(connection, nowMs + wire.rttMs / 2);
    clock.schedule(this, nowMs + LIVENESS.intervalMs);
  }
}

/** One probe and its answer; there is one at a time of each link. */
class Probe extends Delivery {
  readonly #link: SimLink;
  readonly #answered: () => void;
  #connection: Connection | undefined;
  #load: Load | undefined;

  constructor(link: SimLink, answered: () => void) {
    super(link.wire);
    this.#link = link;
    this.#answered = answered;
  }

  send(connection: Connection, atMs: number): void {
    this.#connection = connection;
    this.#load = undefined;
    this.#link.clock.schedule(this, atMs);
  }

  protected arrive(): void {
    const { node, clock, wire } = this.#link;
    if (this.#load !== undefined) {
      if (!this.#connection?.open) return;
      this.#link.heard(this.#load);
      this.#answered();
      return;
    }
    if (this.#connection === undefined || !this.#link.leadsThere(this.#connection)) return;
    if (node.state === 'stopped') {
      node.hold(this);
      return;
    }
    this.#load = node.load();
    clock.schedule(this, clock.now() + wire.rttMs / 2);
  }
}
