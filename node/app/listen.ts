// Where the API and the swarm listen: a default port that is taken moves on, and the person is told.
import { WeftError } from '../../protocol/errors.ts';
import { type ChosenPort, choosePort } from '../config/ports.ts';
import type { Settings } from '../config/settings.ts';

export interface ListenPlan {
  readonly apiHost: string;
  readonly apiPort: number;
  /** Multiaddrs. */
  readonly swarm: readonly string[];
  /** One line for each port that moved. */
  readonly notices: readonly string[];
  /** Lets go of the ports, each to be listened on at once; a second time does nothing. */
  readonly release: { readonly api: () => Promise<void>; readonly swarm: () => Promise<void> };
}

/** Starts that lose a port to another program, one after the other: as many nodes as are likely to start at once. */
export const PORT_RACES_MAX = 5;

/** A port that nobody asked for just now was free when it was chosen, and wasn't any more when it was to be listened on. */
export function lostPort(error: unknown, { sources }: Settings): boolean {
  return (
    error instanceof WeftError &&
    error.code === 'port_in_use' &&
    (sources.host === 'default' || sources.listen === 'default')
  );
}

/** @throws WeftError `port_in_use` for a port that was asked for, or when none nearby is free */
export async function planListening(settings: Settings): Promise<ListenPlan> {
  const notices: string[] = [];
  const held: ChosenPort[] = [];
  const { host, port } = settings.host;
  const api = await choosePort({ address: host, port, asked: settings.sources.host !== 'default' });
  if (api.moved) notices.push(`Port ${port} is taken: the API listens on ${api.port}.`);
  const swarm: string[] = [];
  const releaseSwarm = async (): Promise<void> => {
    await Promise.all(held.splice(0).map(({ release }) => release()));
  };
  try {
    for (const address of settings.listen) {
      const parts = /^(\/ip[46]\/([^/]+)\/tcp\/)(\d+)$/.exec(address);
      if (parts === null) {
        swarm.push(address);
        continue;
      }
      const [, prefix, ip, wanted] = parts as unknown as [string, string, string, string];
      const chosen = await choosePort({
        address: ip,
        port: Number(wanted),
        asked: settings.sources.listen !== 'default',
        spokenFor: [api.port],
      });
      held.push(chosen);
      if (chosen.moved) notices.push(`Port ${wanted} is taken: peers reach this node on ${chosen.port}.`);
      swarm.push(`${prefix}${chosen.port}`);
    }
  } catch (error) {
    await Promise.all([api.release(), releaseSwarm()]);
    throw error;
  }
  return { apiHost: host, apiPort: api.port, swarm, notices, release: { api: api.release, swarm: releaseSwarm } };
}
