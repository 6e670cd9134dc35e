// Two hosts and one connection between them, below the mesh: what the tests of calls, limits and the gate look into.
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Policy } from '../../../node/core/policy.ts';
import type { DeviceKey, Invitations, Membership } from '../../../node/core/trust.ts';
import { PeerLink } from '../../../node/mesh/client.ts';
import { Gate } from '../../../node/mesh/gate.ts';
import { type Host, startHost } from '../../../node/mesh/host.ts';
import { MESH_LIMITS, type MeshLimits } from '../../../node/mesh/limits.ts';
import { LinkEstimator } from '../../../node/mesh/links.ts';
import { Server } from '../../../node/mesh/server.ts';
import type { Load } from '../../../protocol/capability.ts';
import { protocolId } from '../../../protocol/methods.ts';
import { allowAll, LOAD, makeKey, noInvitations } from './support.ts';

export interface TestHostInit {
  readonly key?: DeviceKey;
  readonly limits?: MeshLimits;
  readonly membership?: Pick<Membership, 'isMember'>;
  readonly invitations?: Invitations;
  readonly policy?: Policy;
  readonly prepare?: (server: Server) => void;
  readonly listen?: readonly string[];
  readonly meshId?: string;
}

export interface TestHost {
  readonly key: DeviceKey;
  readonly host: Host;
  readonly server: Server;
  /** Connections that are open, in the order in which they were opened. */
  readonly connections: Connection[];
  readonly rejected: string[];
}

const running: Host[] = [];

/** A host with its gate and server; {@link stopHosts} stops it. */
export async function startTestHost(init: TestHostInit = {}): Promise<TestHost> {
  const { limits = MESH_LIMITS, membership = { isMember: () => true }, invitations = noInvitations } = init;
  const key = init.key ?? (await makeKey());
  const rejected: string[] = [];
  const telemetry = {
    count: (_name: string, labels?: Readonly<Record<string, string>>) => void rejected.push(labels?.reason ?? ''),
  };
  const parts = { clock: systemClock, log: silentLog, membership, invitations, telemetry };
  const gate = new Gate(parts, { limits });
  const server = new Server({ ...parts, policy: init.policy ?? allowAll, load: () => LOAD }, { limits });
  init.prepare?.(server);
  const connections: Connection[] = [];
  const host = await startHost(
    { gate, clock: systemClock, log: silentLog },
    {
      key,
      limits,
      listen: init.listen ?? ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      meshId: init.meshId ?? 'ab'.repeat(32),
      mdns: false,
      handlers: [...server.streamHandlers()].map(({ method, handler }) => {
        const streams = method.quota.callsPerPeer + limits.streams.closingSlack;
        return {
          protocol: protocolId(method),
          handler: method.access === 'member' ? gate.membersOnly(handler) : handler,
          options: { maxInboundStreams: streams, maxOutboundStreams: streams },
        };
      }),
      onFound: () => undefined,
      onOpen: (connection) => connections.push(connection),
      onClose: (connection) => connections.splice(connections.indexOf(connection) >>> 0, 1),
    },
  );
  running.push(host);
  return { key, host, server, connections, rejected };
}

export async function stopHosts(): Promise<void> {
  await Promise.all(running.splice(0).map((host) => host.stop()));
}

export function dial(from: TestHost, to: TestHost): Promise<Connection> {
  return from.host.libp2p.dial(to.host.addresses().map((address) => multiaddr(address)));
}

export interface LinkPair {
  readonly caller: TestHost;
  readonly callee: TestHost;
  readonly connection: Connection;
  readonly link: PeerLink;
  readonly estimator: LinkEstimator;
  readonly loads: Load[];
}

/** A caller that has dialled a callee. */
export async function linkPair(
  init: { readonly callee?: TestHostInit; readonly caller?: TestHostInit } = {},
): Promise<LinkPair> {
  const callee = await startTestHost(init.callee);
  const caller = await startTestHost(init.caller);
  const connection = await dial(caller, callee);
  const limits = init.caller?.limits ?? MESH_LIMITS;
  const estimator = new LinkEstimator({ clock: systemClock }, { limits });
  const loads: Load[] = [];
  const link = linkOver(connection, { limits, estimator, onLoad: (load) => loads.push(load) });
  return { caller, callee, connection, link, estimator, loads };
}

/** Calls over a connection. */
export function linkOver(
  connection: Connection,
  init: {
    readonly limits?: MeshLimits;
    readonly estimator?: LinkEstimator;
    readonly onLoad?: (load: Load) => void;
  } = {},
): PeerLink {
  const { limits = MESH_LIMITS, onLoad = () => undefined } = init;
  const estimator = init.estimator ?? new LinkEstimator({ clock: systemClock }, { limits });
  return new PeerLink({ clock: systemClock, connection, estimator, onLoad }, { limits });
}

/** Streams of our methods on a connection: gossip and identify left out. */
export function callStreams(connection: Connection): readonly Stream[] {
  return connection.streams.filter(({ protocol }) => protocol.startsWith('/weft/'));
}
