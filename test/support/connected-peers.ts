// Waiting until a mesh is there: for tests and benchmarks alike.
import type { Daemon } from './daemon.ts';
import { until } from './wait.ts';

/** Resolves when a daemon sees this many connected peers that offer the chat model. */
export async function connectedPeers(daemon: Daemon, count: number): Promise<void> {
  await until(`${count} connected peers`, async () => {
    const response = await fetch(`${daemon.url}/api/v1/peers`, { headers: { authorization: `Bearer ${daemon.key}` } });
    const { peers } = (await response.json()) as { peers: { state: string; offers: { task: string }[] }[] };
    const ready = peers.filter(
      ({ state, offers }) => state === 'connected' && offers.some(({ task }) => task === 'text-generation'),
    );
    return ready.length >= count;
  });
}
