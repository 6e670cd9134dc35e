// A mesh for kill tests: an entry node that offers nothing, and workers that it reaches only through proxies which can
// fall silent. Nobody can dial the entry, so every connection goes through the worker's own proxy.

import { connectedPeers } from './connected-peers.ts';
import { type Daemon, startDaemon, ticketOf } from './daemon.ts';
import { freePort } from './free-port.ts';
import type { PeerFault, Target } from './kills.ts';
import { SilentProxy } from './silent-proxy.ts';

export interface StarMesh {
  readonly entry: Daemon;
  readonly targets: readonly Target[];
  stop(): Promise<void>;
}

/** Nothing listens there: a node that announces it can dial, but not be dialled. */
const UNREACHABLE = '/ip4/127.0.0.1/tcp/9';

/** @param shared environment of every node */
export async function startStarMesh(workers: number, shared: Readonly<Record<string, string>> = {}): Promise<StarMesh> {
  const proxies: SilentProxy[] = [];
  const daemons: Daemon[] = [];
  const targets: Target[] = [];
  let ticketFrom: Daemon | undefined;
  for (let index = 0; index < workers; index++) {
    const port = await freePort();
    const proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
    proxies.push(proxy);
    const env = {
      ...shared,
      WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
      WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${proxy.port}`,
    };
    const args = ticketFrom === undefined ? [] : ['--join', await ticketOf(ticketFrom)];
    daemons[index] = await startDaemon({ env, args });
    const home = (daemons[index] as Daemon).home;
    ticketFrom ??= daemons[index];
    targets.push({
      daemon: () => daemons[index] as Daemon,
      silence: () => proxy.silence(),
      restore: async (fault: PeerFault) => {
        if (fault === 'silence') return proxy.resume();
        if (fault === 'runner') return;
        // A stopped daemon is ended for good: coming back is the restart's business.
        (daemons[index] as Daemon).kill('SIGKILL');
        daemons[index] = await startDaemon({ home, env });
      },
    });
  }
  const entry = await startDaemon({
    env: { ...shared, WEFT_ANNOUNCE: UNREACHABLE },
    args: ['--offer', 'none', '--join', await ticketOf(ticketFrom as Daemon)],
  });
  await connectedPeers(entry, workers);
  return {
    entry,
    targets,
    stop: async () => {
      await entry.stop();
      for (const daemon of daemons) await daemon.stop();
      for (const proxy of proxies) await proxy.stop();
    },
  };
}
