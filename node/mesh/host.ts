// Puts libp2p together: TCP, noise, yamux, identify, gossip and mDNS behind the gate, with every limit set. The mesh
// owns one while it runs; joining uses a smaller one that only dials.
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { GossipSub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type {
  Connection,
  ConnectionGater,
  Libp2p,
  PeerDiscovery,
  PrivateKey,
  StreamHandler,
  StreamHandlerOptions,
} from '@libp2p/interface';
import { mdns } from '@libp2p/mdns';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { DeviceKey } from '../core/trust.ts';
import type { Gate } from './gate.ts';
import { type Gossip, gossipOver, gossipService } from './gossip.ts';
import type { MeshLimits } from './limits.ts';
import { Hearing, type HearingComponents, meshTcp, meshYamux } from './transport.ts';

/** A running libp2p node and what the mesh needs of it. */
export interface Host {
  readonly libp2p: Libp2p;
  readonly gossip: Gossip;
  readonly hearing: Hearing;
  /** Where this node can be dialled, each address with its /p2p/ part. */
  addresses(): readonly string[];
  stop(): Promise<void>;
}

/** Takes the streams of a protocol. */
export interface HostHandler {
  readonly protocol: string;
  readonly handler: StreamHandler;
  readonly options: StreamHandlerOptions;
}

export interface HostInit {
  readonly key: DeviceKey;
  readonly limits: MeshLimits;
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  readonly meshId: string;
  readonly mdns: boolean;
  /** What answers streams, per protocol; in place before the first connection. */
  readonly handlers: readonly HostHandler[];
  /** A peer answered on the local network. */
  readonly onFound: (node: NodeId, addresses: readonly string[]) => void;
  readonly onOpen: (connection: Connection) => void;
  readonly onClose: (connection: Connection) => void;
}

/** The device's key as libp2p wants it. */
export async function hostKey(key: DeviceKey): Promise<PrivateKey> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', key.seed);
  assert(privateKey.publicKey.toString() === key.node, 'the node id is that of its key');
  return privateKey;
}

/** What every host sets: transport, encryption, muxer and limits. */
export function baseOptions(init: {
  readonly privateKey: PrivateKey;
  readonly limits: MeshLimits;
  readonly hearing: Hearing;
  readonly gater: ConnectionGater;
}): Libp2pOptions {
  const { privateKey, limits, hearing, gater } = init;
  return {
    privateKey,
    start: false,
    nodeInfo: { name: 'weft', version: '1', userAgent: 'weft/1' },
    transports: [meshTcp(hearing, { limits })],
    connectionEncrypters: [noise()],
    streamMuxers: [meshYamux({ limits })],
    connectionGater: gater,
    connectionManager: {
      ...limits.connections,
      // The dialer orders addresses by what worked before; names are resolved by the system, never by /dnsaddr records.
      addressSorter: () => 0,
      resolvers: {},
      allow: [],
      deny: [],
    },
    // It opens a stream for every ping and takes 11 s to notice a stopped peer; heartbeat.ts does both better.
    connectionMonitor: { enabled: false },
  };
}

/**
 * Starts libp2p as this device.
 * @throws WeftError `port_in_use` or `config_invalid` when it can't listen
 */
export async function startHost(
  components: { readonly gate: Gate; readonly clock: Clock; readonly log: Log } & Pick<HearingComponents, 'onBytes'>,
  init: HostInit,
): Promise<Host> {
  const { gate, clock, log, onBytes } = components;
  const { limits, listen, announce } = init;
  const hearing = new Hearing({ clock, ...(onBytes === undefined ? {} : { onBytes }) });
  const topic = `weft/${init.meshId}/adverts`;
  let transportAddresses = (): Multiaddr[] => [];
  const hostOptions: Libp2pOptions<{ identify: Identify; gossip: GossipSub; addresses: object }> = {
    ...baseOptions({ privateKey: await hostKey(init.key), limits, hearing, gater: gate.connectionGater() }),
    addresses: { listen: [...listen], announce: [...announce] },
    peerDiscovery: init.mdns ? [localDiscovery(init)] : [],
    services: {
      // Identifying is begun below, for members only.
      identify: (parts) =>
        identify({ ...limits.identify, runOnConnectionOpen: false, runOnLimitedConnection: false })(gate.gated(parts)),
      gossip: (parts) => gossipService({ topic, limits })(gate.gated(parts)),
      addresses: (parts) => {
        transportAddresses = () => parts.transportManager.getAddrs();
        return {};
      },
    },
  };
  const libp2p = await createLibp2p(hostOptions);
  const { identify: identifier } = libp2p.services;
  const events = (libp2p as Libp2p).addEventListener.bind(libp2p);
  events('connection:open', ({ detail: connection }) => {
    // One that closed while it was made ready is announced all the same, and its end never is: it would be dialled no more.
    if (connection.status !== 'open') return;
    gate.opened(connection);
    if (!gate.isMember(connection.remotePeer.toString())) return;
    // Gossip learns from it that the peer speaks its protocol. A peer that fails here is seen by its heartbeat.
    identifier
      .identify(connection)
      .catch((error: unknown) =>
        log.debug({ peer: connection.remotePeer.toString(), error: String(error) }, 'identify'),
      );
    init.onOpen(connection);
  });
  events('connection:close', ({ detail: connection }) => {
    gate.closed(connection);
    init.onClose(connection);
    if (!gate.isMember(connection.remotePeer.toString())) {
      libp2p.peerStore
        .delete(connection.remotePeer)
        .catch((error: unknown) => log.debug({ error: String(error) }, 'could not forget a stranger'));
    }
  });
  try {
    for (const { protocol, handler, options } of init.handlers) await libp2p.handle(protocol, handler, options);
    await libp2p.start();
  } catch (error) {
    throw listenError(error, listen);
  }
  const gossip = gossipOver(
    { service: libp2p.services.gossip, log, isMember: (node) => gate.isMember(node) },
    { topic, limits },
  );
  return {
    libp2p,
    gossip,
    hearing,
    addresses: () => {
      const own = announce.length > 0 ? announce.map((address) => multiaddr(address)) : transportAddresses();
      return own
        .slice(0, limits.directory.addressesMax)
        .map((address) => `${address.decapsulateCode(P2P_CODE)}/p2p/${init.key.node}`);
    },
    stop: async () => {
      gate.stop();
      await libp2p.stop();
    },
  };
}

/** The multicodec of /p2p. */
const P2P_CODE = 0x1a5;

/** mDNS under a name of the mesh's own: nodes of other meshes don't see each other. */
function localDiscovery(init: HostInit): (components: Parameters<ReturnType<typeof mdns>>[0]) => PeerDiscovery {
  const create = mdns({
    interval: init.limits.mdns.intervalMs,
    serviceTag: `_weft-${init.meshId.slice(0, 16)}._udp.local`,
    broadcast: true,
    port: 5353,
    ip: '224.0.0.251',
  });
  return (components) => {
    const service = create(components);
    service.addEventListener('peer', ({ detail: peer }) =>
      init.onFound(
        peer.id.toString(),
        peer.multiaddrs.slice(0, init.limits.mdns.addressesMax).map((address) => address.toString()),
      ),
    );
    return service;
  };
}

function listenError(error: unknown, listen: readonly string[]): unknown {
  const text = String(error);
  const taken = listen.find((address) => text.includes(address)) ?? listen.join(', ');
  if (text.includes('EADDRINUSE')) {
    return new WeftError(
      { code: 'port_in_use', message: `Another program listens on ${taken}.`, facts: { address: taken } },
      { cause: error },
    );
  }
  if (/EADDRNOTAVAIL|EACCES|Unsupported/.test(text)) {
    return new WeftError(
      { code: 'config_invalid', message: `This machine can't listen on ${taken}.`, facts: { address: taken } },
      { cause: error },
    );
  }
  return error;
}
