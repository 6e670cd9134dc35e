// Keeps this node connected to every member whose address is known: from tickets and earlier runs, from adverts, and
// from the local network. Peers that were lost are dialled often for a while, as most of them are being restarted.
import type { Libp2p } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Liveness, MeshLimits } from './limits.ts';

export interface DialerComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly libp2p: Pick<Libp2p, 'dial'>;
  readonly isMember: (node: NodeId) => boolean;
  readonly isConnected: (node: NodeId) => boolean;
}

export interface DialerInit {
  readonly self: NodeId;
  readonly limits: MeshLimits;
  readonly liveness: Liveness;
  /** Known from earlier runs and tickets; read again before each dial. */
  readonly bootstrap: () => readonly string[];
}

/** A member to be connected to. */
interface Target {
  readonly addresses: Set<string>;
  /** Attempts since the last success. */
  failures: number;
  /** When a connection that worked was lost. */
  lostMs: number | undefined;
  timer: Timer | undefined;
  dialling: boolean;
}

/** The peer id at the end of an address, and the address with it; undefined for one without, or that can't be read. */
export function parsePeerAddress(text: string): { readonly node: NodeId; readonly address: Multiaddr } | undefined {
  try {
    const address = multiaddr(text);
    const last = address.getComponents().at(-1);
    return last?.name === 'p2p' && last.value !== undefined ? { node: last.value, address } : undefined;
  } catch {
    return undefined;
  }
}

export class Dialer {
  readonly #components: DialerComponents;
  readonly #init: DialerInit;
  readonly #targets = new Map<NodeId, Target>();
  readonly #abort = new AbortController();
  #sweep: Timer | undefined;

  constructor(components: DialerComponents, init: DialerInit) {
    this.#components = components;
    this.#init = init;
  }

  start(): void {
    this.#readBootstrap();
    const { clock } = this.#components;
    // New members and addresses on the list are found here even when nothing else happens.
    this.#sweep = clock.after(this.#init.liveness.redialMaxMs, () => this.start());
  }

  #readBootstrap(): void {
    for (const text of this.#init.bootstrap()) {
      const parsed = parsePeerAddress(text);
      if (parsed === undefined)
        this.#components.log.debug({ address: text }, 'passed over an address without a peer id');
      else this.learn(parsed.node, [text]);
    }
  }

  /** Addresses of a member, with or without their /p2p/ part. Dials it unless it is connected. */
  learn(node: NodeId, addresses: readonly string[]): void {
    const { limits, self } = this.#init;
    if (node === self || !this.#components.isMember(node)) return;
    let target = this.#targets.get(node);
    if (target === undefined) {
      if (this.#targets.size >= limits.dialer.peersMax) return;
      target = { addresses: new Set(), failures: 0, lostMs: undefined, timer: undefined, dialling: false };
      this.#targets.set(node, target);
    }
    let news = false;
    for (const text of addresses) {
      const full = text.endsWith(`/p2p/${node}`) ? text : `${text}/p2p/${node}`;
      if (target.addresses.has(full) || parsePeerAddress(full)?.node !== node) continue;
      // What worked stands first, so the last is the least worth keeping.
      if (target.addresses.size >= limits.dialer.addressesPerPeerMax) {
        const last = [...target.addresses].at(-1);
        if (last !== undefined) target.addresses.delete(last);
      }
      target.addresses.add(full);
      news = true;
    }
    if (news) {
      target.timer?.cancel();
      target.timer = undefined;
    }
    // Of two nodes that find each other at once, one dials a moment later, so that they don't meet twice.
    const firstWaitMs = self < node ? 0 : SECOND_DIALLER_WAIT_MS;
    this.#plan(node, target, target.failures === 0 ? firstWaitMs : this.#waitMs(node, target));
  }

  /** A connection that this node dialled works: this address comes first from now on. */
  worked(node: NodeId, address: string): void {
    const target = this.#targets.get(node);
    if (target === undefined) return;
    const others = [...target.addresses].filter((other) => other !== address);
    target.addresses.clear();
    for (const kept of [address, ...others].slice(0, this.#init.limits.dialer.addressesPerPeerMax)) {
      target.addresses.add(kept);
    }
  }

  /** The peer answers, whoever dialled. */
  connected(node: NodeId): void {
    const target = this.#targets.get(node);
    if (target === undefined) return;
    target.failures = 0;
    target.lostMs = undefined;
    target.timer?.cancel();
    target.timer = undefined;
  }

  /** The last connection to the peer is gone. @param worked it had answered on it */
  lost(node: NodeId, worked: boolean): void {
    const target = this.#targets.get(node);
    if (target === undefined) return;
    if (worked) {
      target.lostMs = this.#components.clock.now();
      target.failures = 0;
    } else {
      target.failures++;
    }
    this.#plan(node, target, this.#waitMs(node, target));
  }

  /** Forgets whom the test refuses. */
  retain(test: (node: NodeId) => boolean): void {
    for (const [node, target] of this.#targets) {
      if (test(node)) continue;
      target.timer?.cancel();
      this.#targets.delete(node);
    }
  }

  /** Known addresses of a member, the one that worked last first. */
  addresses(node: NodeId): readonly string[] {
    return [...(this.#targets.get(node)?.addresses ?? [])];
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#abort.abort();
    for (const { timer } of this.#targets.values()) timer?.cancel();
    this.#targets.clear();
  }

  #waitMs(node: NodeId, { failures, lostMs }: Target): number {
    const { redialMs, redialMaxMs, returnRedialMs, returnWindowMs } = this.#init.liveness;
    const backoffMs = Math.min(redialMs * 2 ** Math.min(failures, 16), redialMaxMs);
    const returning = lostMs !== undefined && this.#components.clock.now() - lostMs < returnWindowMs;
    return (returning ? Math.min(backoffMs, returnRedialMs) : backoffMs) * spread(this.#init.self, node);
  }

  #plan(node: NodeId, target: Target, waitMs: number): void {
    if (this.#abort.signal.aborted || target.timer !== undefined || target.dialling) return;
    if (target.addresses.size === 0 || this.#components.isConnected(node)) return;
    target.timer = this.#components.clock.after(waitMs, () => {
      target.timer = undefined;
      void this.#dial(node, target);
    });
  }

  async #dial(node: NodeId, target: Target): Promise<void> {
    const { isConnected, isMember, libp2p, log } = this.#components;
    if (this.#targets.get(node) !== target || isConnected(node) || !isMember(node)) return;
    target.dialling = true;
    const { signal } = this.#abort;
    try {
      const timeout = AbortSignal.timeout(this.#init.limits.connections.dialTimeout);
      const addresses = [...target.addresses].map((address) => multiaddr(address));
      await libp2p.dial(addresses, { signal: AbortSignal.any([signal, timeout]) });
      // From here on the connection's own events tell how it goes; the peer may still refuse.
    } catch (error) {
      target.failures++;
      log.debug({ peer: node, failures: target.failures, error: String(error) }, 'could not dial a member');
    } finally {
      target.dialling = false;
    }
    if (this.#targets.get(node) === target) this.#plan(node, target, this.#waitMs(node, target));
  }
}

/** A factor of 0.8 to 1.2 that differs between pairs: those who lost the same peer don't return to it in step. */
function spread(self: NodeId, node: NodeId): number {
  let sum = 0;
  for (const character of self + node) sum = (sum * 31 + character.charCodeAt(0)) % 1_000;
  return 0.8 + (0.4 * sum) / 1_000;
}

/** About the time of a handshake between two machines of one site. */
const SECOND_DIALLER_WAIT_MS = 100;
