// Layer `mdns`: whether questions to the local network leave this machine and are heard, who of the mesh answers, and
// which other meshes are about. Asks as the node itself does (mesh/host.ts), beside it: several programs may share the port.
import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { systemCode } from '../../config/files.ts';
import type { Clock } from '../../core/clock.ts';
import { delay } from '../../core/clock.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from './check.ts';
import { encodeQuery, readDns } from './dns.ts';
import { DATAGRAMS_MAX, MDNS_WAIT_MS, QUICK_MS_MAX } from './limits.ts';

const GROUP = '224.0.0.251';
const PORT = 5353;

export interface MdnsInit {
  /** The setting. */
  readonly enabled: boolean;
  readonly meshId: () => string;
  readonly self: string;
  /** A daemon of this data folder runs, and should answer too. */
  readonly running: boolean;
  /** Other members that are known, by node id and name. */
  readonly members: () => readonly { readonly node: string; readonly name: string }[];
}

/** What was heard. */
export interface MdnsObservation {
  /** Why nothing could be sent or heard at all; undefined where it could. */
  readonly failure: string | undefined;
  /** The own question came back, so that multicast works on this machine. */
  readonly heardSelf: boolean;
  /** Node ids that answered for this mesh. */
  readonly answered: ReadonlySet<string>;
  /** Names of other meshes' services. */
  readonly otherMeshes: ReadonlySet<string>;
}

/** The name under which the nodes of a mesh look for each other. */
export const serviceOf = (meshId: string): string => `_weft-${meshId.slice(0, 16)}._udp.local`;

export function mdnsChecks(components: { readonly clock: Clock }, init: MdnsInit): readonly Check[] {
  return [
    {
      layer: 'mdns',
      name: 'local network',
      deadlineMs: QUICK_MS_MAX,
      overdueRemedy: 'The network of this machine hangs: look at its firewall and its routes.',
      run: async (signal) => {
        if (!init.enabled) return [skipped('local network', 'Members are not looked for there (mdns is off).')];
        return judgeMdns(await listen(components.clock, serviceOf(init.meshId()), signal), init);
      },
    },
  ];
}

/** What the observation means. Pure. */
export function judgeMdns(
  observed: MdnsObservation,
  { self, running, members }: Pick<MdnsInit, 'self' | 'running' | 'members'>,
): readonly Finding[] {
  const name = 'local network';
  const byAddress = 'Join by a ticket all the same: members then find each other by their addresses.';
  if (observed.failure === NO_NETWORK) {
    const remedy = `Connect this machine to the network of the others. ${byAddress}`;
    return [failed(name, `mDNS is blocked: ${NO_NETWORK}.`, remedy)];
  }
  if (observed.failure !== undefined) {
    return [
      failed(name, `mDNS is blocked: no question can be sent (${observed.failure}).`, `${FIREWALL} ${byAddress}`),
    ];
  }
  if (!observed.heardSelf) {
    return [failed(name, 'mDNS is blocked: the own question is not heard even here.', `${FIREWALL} ${byAddress}`)];
  }
  if (running && !observed.answered.has(self)) {
    const detail = 'Questions are heard, but this node itself does not answer them.';
    return [
      warning(name, detail, 'It announces private addresses only: look at --listen and --announce. Else restart it.'),
    ];
  }
  const others = members();
  const seen = others.filter(({ node }) => observed.answered.has(node));
  const meshes = observed.otherMeshes.size;
  const strangers = meshes === 0 ? '' : `; ${meshes} other ${meshes === 1 ? 'mesh is' : 'meshes are'} about`;
  if (others.length === 0) return [ok(name, `Questions are heard${strangers}; this mesh has no other member yet`)];
  if (seen.length > 0) return [ok(name, `${seen.map((member) => member.name).join(', ')} answered${strangers}`)];
  const remedy =
    meshes > 0
      ? 'If a machine that should be a member is about, it belongs to another mesh: `weft invite` here, `weft join TICKET` there.'
      : `If members are on this network, it keeps machines apart (guest Wi-Fi, firewall). ${byAddress}`;
  return [warning(name, `Questions are heard here, but no other member answered${strangers}.`, remedy)];
}

const NO_NETWORK = 'this machine has no network';
const FIREWALL = 'Allow UDP port 5353 to and from 224.0.0.251 in the firewall.';

/** Asks on every network of this machine, and listens for a while. */
async function listen(clock: Clock, service: string, signal: AbortSignal): Promise<MdnsObservation> {
  const heard = new Heard(service);
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    socket.on('message', (datagram) => heard.take(datagram));
    await bound(socket, signal);
    const failure = await ask(socket, encodeQuery(service));
    if (failure === undefined) await delay(clock, MDNS_WAIT_MS, signal);
    return { failure, ...heard };
  } catch (error) {
    if (signal.aborted) throw error;
    return { failure: systemCode(error) ?? 'error', ...heard };
  } finally {
    socket.close();
  }
}

class Heard {
  heardSelf = false;
  readonly answered = new Set<string>();
  readonly otherMeshes = new Set<string>();
  readonly #service: string;
  #left = DATAGRAMS_MAX;

  constructor(service: string) {
    this.#service = service;
  }

  take(datagram: Uint8Array): void {
    if (this.#left-- <= 0) return;
    const message = readDns(datagram);
    if (message === undefined) return;
    const services = message.names.flatMap((name) => /_weft-[0-9a-f]{16}\._udp\.local$/.exec(name)?.[0] ?? []);
    for (const service of services) if (service !== this.#service) this.otherMeshes.add(service);
    if (!services.includes(this.#service)) return;
    // Its own question, or another member's: both show that questions get through.
    if (!message.isResponse) this.heardSelf = true;
    for (const address of message.addresses) {
      const node = /\/p2p\/(\w+)$/.exec(address)?.[1];
      if (node !== undefined) this.answered.add(node);
    }
  }
}

function bound(socket: Socket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on('error', reject); // Later ones change nothing: the promise is settled.
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  socket.bind({ port: PORT }, () => resolve());
  return promise;
}

/** @returns why it went out nowhere */
async function ask(socket: Socket, question: Uint8Array): Promise<string | undefined> {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const usable = own.filter(({ family }) => family === 'IPv4');
  const external = usable.filter(({ internal }) => !internal);
  let failure: string | undefined = usable.length === 0 ? NO_NETWORK : undefined;
  let sent = false;
  // Within this machine the own question is always heard: that proves nothing where there is a real network.
  for (const { address } of external.length > 0 ? external : usable) {
    try {
      socket.addMembership(GROUP, address);
      socket.setMulticastInterface(address);
      await send(socket, question);
      sent = true;
    } catch (error) {
      failure = systemCode(error) ?? 'error';
    }
  }
  return sent ? undefined : failure;
}

function send(socket: Socket, question: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(question, PORT, GROUP, (error) => (error === null ? resolve() : reject(error)));
  });
}
