// Layer `peer`: every other member, how it is connected, and where it is not, how far a dial of each known address gets.
import { withheldBy } from '../../../protocol/capability.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import { parseSwarmAddress } from '../../config/addresses.ts';
import type { Clock } from '../../core/clock.ts';
import type { PeerRecord } from '../../core/mesh.ts';
import type { DeviceKey, Member } from '../../core/trust.ts';
import { type Reach, reachPeer } from '../../mesh/reach.ts';
import { WITHHELD_TEXTS } from '../../scheduler/candidates.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from './check.ts';
import { type Greeting, greet } from './greet.ts';
import { ADDRESSES_TRIED_MAX, DIAL_MS_MAX, PEER_MS_MAX, PEERS_DIALLED_MAX } from './limits.ts';

export interface PeersComponents {
  readonly clock: Clock;
  /** Every member, this node included. */
  readonly members: () => readonly Member[];
  readonly self: NodeId;
  /** What the running mesh knows of a member. */
  readonly record: (node: NodeId) => PeerRecord | undefined;
  /** Known multiaddrs, each ending in its /p2p/ part, those that worked before first. */
  readonly addresses: () => readonly string[];
}

export interface PeersInit {
  readonly key: DeviceKey;
  readonly version: string;
  /** A daemon runs, and should be connected to everybody who can be reached. */
  readonly running: boolean;
}

/** What a dial of one address came to. */
export type Outcome = Exclude<Greeting, 'libp2p'> | Reach;

/** An address and what became of it. */
export interface Dialled {
  readonly address: string;
  readonly outcome: Outcome;
}

/** One check for each member; those beyond a bound are only counted. */
export function peerChecks(components: PeersComponents, init: PeersInit): readonly Check[] {
  const others = components.members().filter(({ node }) => node !== components.self);
  const common = {
    layer: 'peer',
    deadlineMs: PEER_MS_MAX,
    overdueRemedy: 'Its machine takes connections and says nothing: look at it, or restart its node.',
  } as const;
  const gone = others.filter(({ node }) => components.record(node)?.state !== 'connected');
  const left = new Set(gone.slice(PEERS_DIALLED_MAX).map(({ node }) => node));
  return others.map(
    (member): Check => ({
      ...common,
      name: member.name,
      run: async (signal) => {
        const record = components.record(member.node);
        if (record !== undefined && record.state !== 'gone') return [judgeConnected(member.name, record, init.version)];
        if (left.has(member.node)) return [skipped(member.name, 'Not connected; others were dialled first.')];
        const dialled = await dialAll(components, init, member.node, signal);
        return [judgeGone(member.name, dialled, init.running)];
      },
    }),
  );
}

/** A member that is connected, or was a moment ago. */
export function judgeConnected(name: string, { advert, state, link }: PeerRecord, version: string): Finding {
  const rtt = link.rttMs === undefined ? 'round trip not measured yet' : `round trip ${link.rttMs.toFixed(1)} ms`;
  const withheld = withheldBy(advert);
  // Its owner's own choice, and no fault.
  const lending = withheld === undefined ? '' : `; it ${WITHHELD_TEXTS[withheld]}`;
  const detail = `connected ${link.path === 'relay' ? 'by a relay' : 'directly'}, ${rtt}${lending}`;
  if (state === 'suspect') {
    return warning(
      name,
      `${detail}; it has been silent for too long.`,
      'Look whether its machine is overloaded or asleep.',
    );
  }
  if (link.path === 'relay') {
    const remedy = 'Open the TCP port of its swarm, and tell peers of it with --announce: relays are slow.';
    return warning(name, detail, remedy);
  }
  if (advert.version !== version) {
    return warning(
      name,
      `${detail}; it runs Weft ${advert.version}, and this node ${version}.`,
      'Update the older one.',
    );
  }
  return ok(name, detail);
}

async function dialAll(
  { clock, record, addresses }: PeersComponents,
  { key }: PeersInit,
  node: NodeId,
  signal: AbortSignal,
): Promise<readonly Dialled[]> {
  const ending = `/p2p/${node}`;
  const published = record(node)?.advert.addresses ?? [];
  const known = [...addresses(), ...published].filter((address) => address.endsWith(ending));
  const dialled: Dialled[] = [];
  for (const address of [...new Set(known)].slice(0, ADDRESSES_TRIED_MAX)) {
    const outcome = await dial(clock, { key, node, address, signal });
    dialled.push({ address: address.slice(0, -ending.length), outcome });
    if (outcome === 'answers') break;
  }
  return dialled;
}

/** First as anybody may, which tells most failures apart; then as this device. */
async function dial(
  clock: Clock,
  init: { readonly key: DeviceKey; readonly node: NodeId; readonly address: string; readonly signal: AbortSignal },
): Promise<Outcome> {
  const target = parseSwarmAddress(init.address);
  if (target === undefined) return 'unreachable';
  const greeting = await greet(target, init.signal);
  if (greeting !== 'libp2p') return greeting;
  return reachPeer(
    { clock },
    { ...init, signal: AbortSignal.any([init.signal, AbortSignal.timeout(DIAL_MS_MAX)]) },
  ).catch((error: unknown) => {
    if (init.signal.aborted) throw error;
    return 'timeout' as const;
  });
}

/** How telling an outcome is: what got furthest names the layer at fault. */
const FURTHEST: readonly Outcome[] = [
  'answers',
  'refuses',
  'other-version',
  'other-device',
  'not-libp2p',
  'silent',
  'refused',
  'timeout',
  'unreachable',
  'unknown-name',
];

const SAID: Readonly<Record<Exclude<Outcome, 'answers'>, { readonly what: string; readonly remedy: string }>> = {
  refuses: {
    what: 'it answers, and ends the connection: it does not take this node for a member (it belongs to another mesh now, or this node was revoked there)',
    remedy: 'Run `weft members` there. If it is in another mesh, or this node is missing, join anew with a ticket.',
  },
  'other-version': {
    what: 'it answers, and does not know the protocols of this version',
    remedy: 'Bring both nodes to the same version of Weft.',
  },
  'other-device': {
    what: 'another device answers there: the address was given away, or its data folder was replaced',
    remedy: 'Run `weft status` there: if its node id has changed, revoke the old one and join it anew with a ticket.',
  },
  'not-libp2p': {
    what: 'another program answers there, or a proxy that takes every connection',
    remedy: 'Check the port: run `weft status` there and look at its swarm addresses.',
  },
  silent: {
    what: 'something takes the connection there, and says nothing: its node hangs, or a proxy stands between',
    remedy: 'Restart its node; if that does not help, look for a proxy or firewall on the way.',
  },
  refused: {
    what: 'nobody listens there (connection refused)',
    remedy: 'Start its node (`weft serve`), and see there whether its swarm port has moved: `weft status`.',
  },
  timeout: {
    what: 'no answer: its machine is off or asleep, or a firewall drops the packets',
    remedy: 'Wake the machine; allow TCP to the port of its swarm in the firewalls of both sides.',
  },
  unreachable: {
    what: 'there is no route to it from this machine',
    remedy: 'Bring both machines onto one network or VPN, or announce an address that can be reached (--announce).',
  },
  'unknown-name': {
    what: 'its name has no address in DNS',
    remedy: 'Correct the name in its --announce, or in the DNS of this network.',
  },
};

/** A member that is not connected, by the address that got furthest. */
export function judgeGone(name: string, dialled: readonly Dialled[], running: boolean): Finding {
  const best = dialled.toSorted((a, b) => FURTHEST.indexOf(a.outcome) - FURTHEST.indexOf(b.outcome))[0];
  if (best === undefined) {
    const remedy =
      'Start its node on this network with mDNS on, or set --announce there, so that its address is known.';
    return failed(name, 'Not connected, and no address of it is known.', remedy);
  }
  const others = dialled.length > 1 ? `, as the furthest of ${dialled.length} addresses` : '';
  if (best.outcome === 'answers') {
    const detail = `It answers at ${best.address}`;
    if (!running) return ok(name, detail);
    return warning(
      name,
      `${detail}, and is not connected: just now, or again and again?`,
      'Run `weft doctor` again in a moment.',
    );
  }
  const { what, remedy } = SAID[best.outcome];
  return failed(name, `Not connected. ${best.address}: ${what}${others}.`, remedy);
}
