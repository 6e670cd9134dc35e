// How long a loss goes unnoticed: the only node that could answer is killed, stopped, or cut off in the middle of a stream;
// and how soon a killed daemon is a member of its mesh again.
import { streamChat } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { SilentProxy } from '../support/silent-proxy.ts';
import { isAlive, until } from '../support/wait.ts';
import { type Benchmark, interleave, median } from './harness.ts';

const FAULTS = ['kill', 'stop', 'silence'] as const;
type Fault = (typeof FAULTS)[number];

/** Nothing listens there: the entry dials, and is not dialled, so every byte goes through the proxy. */
const UNREACHABLE = '/ip4/127.0.0.1/tcp/9';

interface Pair {
  readonly worker: Daemon;
  readonly entry: Daemon;
  readonly proxy: SilentProxy;
  readonly env: Readonly<Record<string, string>>;
}

async function startPair(threads: number): Promise<Pair> {
  const port = await freePort();
  const proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
  const env = {
    WEFT_THREADS: String(threads),
    WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
    WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${proxy.port}`,
  };
  const worker = await startDaemon({ env });
  const args = ['--offer', 'none', '--join', await ticketOf(worker)];
  const entry = await startDaemon({ env: { WEFT_ANNOUNCE: UNREACHABLE }, args });
  await connectedPeers(entry, 1);
  await streamChat(entry, { maxTokens: 2 });
  return { worker, entry, proxy, env };
}

/** Milliseconds until a request fails. @throws Error when it is answered */
async function timeToFailure(entry: Daemon, strike?: () => void): Promise<number> {
  let struckMs = performance.now();
  const failed = await streamChat(entry, {
    maxTokens: 400,
    onPiece: (count) => {
      if (count !== 5) return;
      struckMs = performance.now();
      strike?.();
    },
  }).then(
    () => false,
    () => true,
  );
  if (!failed) throw new Error('A request was answered although nobody was left to do it.');
  return performance.now() - struckMs;
}

export const recover: Benchmark = {
  name: 'recover',
  summary: 'a stream whose only node is killed, stopped or cut off; a killed daemon back in its mesh',
  async run({ rounds, threads, say }) {
    const nextMs: number[] = [];
    const runnersGoneMs: number[] = [];
    const backMs: number[] = [];
    const lose = (fault: Fault) => async (): Promise<readonly number[]> => {
      const { worker, entry, proxy, env } = await startPair(threads);
      const runners = await worker.children();
      const strike = {
        kill: () => worker.kill('SIGKILL'),
        stop: () => worker.kill('SIGSTOP'),
        silence: () => proxy.silence(),
      };
      const noticedMs = await timeToFailure(entry, strike[fault]);
      const beganMs = performance.now();
      await timeToFailure(entry);
      nextMs.push(performance.now() - beganMs);
      if (fault === 'kill') {
        await until('the runners to be gone', async () => !(await Promise.all(runners.map(isAlive))).includes(true));
        runnersGoneMs.push(noticedMs + performance.now() - beganMs);
        const startMs = performance.now();
        const again = await startDaemon({ home: worker.home, env });
        await connectedPeers(entry, 1);
        backMs.push(performance.now() - startMs);
        await again.stop();
      }
      await entry.stop();
      worker.kill('SIGKILL');
      await proxy.stop();
      say(`  ${fault}: noticed after ${Math.round(noticedMs)} ms`);
      return [noticedMs];
    };
    const series = await interleave(
      rounds,
      Object.fromEntries(FAULTS.map((fault) => [`${fault}_noticed_ms`, lose(fault)])),
    );
    const samples = Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()]));
    return {
      figures: {
        ...Object.fromEntries(Object.entries(samples).map(([name, list]) => [`${name}_p50`, median(list)])),
        next_request_refused_ms_p50: median(nextMs),
        runners_gone_ms_p50: median(runnersGoneMs),
        restart_connected_ms_p50: median(backMs),
      },
      samples: {
        ...samples,
        next_request_refused_ms: nextMs,
        runners_gone_ms: runnersGoneMs,
        restart_connected_ms: backMs,
      },
    };
  },
};
