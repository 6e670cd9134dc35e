// Layer `ports`: the running node's own API and swarm answer where it says that they do; without a daemon, whether the
// ports could be had, and who holds them.
import { createConnection } from 'node:net';
import { toWeftError } from '../../../protocol/errors.ts';
import { type ApiAddress, formatApiAddress, isLoopback, parseSwarmAddress } from '../../config/addresses.ts';
import { systemCode } from '../../config/files.ts';
import { choosePort } from '../../config/ports.ts';
import { type Check, type Finding, failed, ok, warning } from './check.ts';
import { DIAL_MS_MAX, QUICK_MS_MAX } from './limits.ts';

const HANGS = 'The network of this machine hangs: look at its firewall and its routes.';
const common = { layer: 'ports', deadlineMs: QUICK_MS_MAX, overdueRemedy: HANGS } as const;

/** For a daemon: do its own ports answer? */
export function servedPortChecks(init: {
  /** Such as `http://127.0.0.1:9338`. */
  readonly api: () => string;
  /** Multiaddrs of the swarm. */
  readonly swarm: () => readonly string[];
}): readonly Check[] {
  return [
    { ...common, name: 'API', run: async (signal) => [await ownApi(init.api(), signal)] },
    { ...common, name: 'swarm', run: async (signal) => [await ownSwarm(init.swarm(), signal)] },
  ];
}

/** Without a daemon: could one listen? */
export function wantedPortChecks(init: {
  readonly api: ApiAddress;
  /** Whether somebody asked for that port: then it doesn't move to another one. */
  readonly apiAsked: boolean;
  readonly swarm: readonly string[];
  readonly swarmAsked: boolean;
}): readonly Check[] {
  const { api, apiAsked, swarm, swarmAsked } = init;
  return [
    {
      ...common,
      name: 'API',
      run: async () => [await wanted('API', api, { asked: apiAsked, setting: '--host or WEFT_HOST' })],
    },
    ...swarm.flatMap((address): readonly Check[] => {
      const parsed = parseSwarmAddress(address);
      if (parsed === undefined) return [];
      const option = { asked: swarmAsked, setting: '--listen or WEFT_LISTEN' };
      return [{ ...common, name: 'swarm', run: async () => [await wanted('swarm', parsed, option)] }];
    }),
  ];
}

async function ownApi(url: string, signal: AbortSignal): Promise<Finding> {
  const { hostname, port, host } = new URL(url);
  const failure = await connects({ host: hostname.replace(/[[\]]/g, ''), port: Number(port) }, signal);
  if (failure === undefined) return ok('API', `answers at ${host}`);
  return failed('API', `Its own address ${host} does not answer (${failure}).`, 'Restart the node.');
}

async function ownSwarm(addresses: readonly string[], signal: AbortSignal): Promise<Finding> {
  const parsed = addresses.flatMap((address) => parseSwarmAddress(address) ?? []);
  if (parsed.length === 0) {
    const remedy = 'Set --listen or WEFT_LISTEN, such as /ip4/0.0.0.0/tcp/9339, and start the node again.';
    return warning('swarm', 'The node awaits peers nowhere: it can only dial them.', remedy);
  }
  const tried = await Promise.all(
    parsed.map(async (address) => ({ address, failure: await connects(address, signal) })),
  );
  const open = tried.filter(({ failure }) => failure === undefined).map(({ address }) => address);
  const listed = (some: readonly ApiAddress[]): string => some.map(formatApiAddress).join(', ');
  if (open.length === 0) {
    const why = [...new Set(tried.map(({ failure }) => failure))].join(', ');
    const remedy = `Open TCP port ${parsed[0]?.port} in this machine's firewall; with --announce, check that the address is right.`;
    return failed('swarm', `None of its addresses answers (${listed(parsed)}: ${why}).`, remedy);
  }
  if (open.every(({ host }) => isLoopback(host))) {
    const remedy = 'Set --listen or WEFT_LISTEN to /ip4/0.0.0.0/tcp/9339 where other machines shall reach it.';
    return warning('swarm', `Only this machine reaches ${listed(open)}.`, remedy);
  }
  return ok('swarm', `answers at ${listed(open)}`);
}

async function wanted(
  name: string,
  address: ApiAddress,
  { asked, setting }: { readonly asked: boolean; readonly setting: string },
): Promise<Finding> {
  const { host, port } = address;
  if (port === 0) return ok(name, 'the system chooses the port');
  try {
    const { release } = await choosePort({ address: host, port, asked: true });
    await release();
    return ok(name, `${formatApiAddress(address)} is free`);
  } catch (error) {
    const { code, message, remedy } = toWeftError(error);
    if (code !== 'port_in_use') return failed(name, message, `Correct ${setting}. ${remedy}`);
    if (asked) return failed(name, message, `Stop that program, or set ${setting} to another port.`);
    return warning(
      name,
      `${message} A start takes the next free one.`,
      `Nothing needs doing; ${setting} chooses another.`,
    );
  }
}

/** @returns why no connection comes about; undefined where one does */
export async function connects(address: ApiAddress, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = createConnection({
    host: address.host,
    port: address.port,
    signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS_MAX)]),
  });
  socket.once('connect', () => resolve(undefined));
  socket.once('error', (error) =>
    resolve(systemCode(error) === 'ABORT_ERR' ? 'no answer' : (systemCode(error) ?? 'error')),
  );
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
