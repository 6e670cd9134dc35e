// How long a person waits: for help, and for a node that answers; and what a node takes while it does nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../support/daemon.ts';
import { type Benchmark, interleave, median } from './harness.ts';

const BIN = new URL('../../bin/weft.js', import.meta.url).pathname;

async function run(args: readonly string[]): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}.`);
  return performance.now() - start;
}

/** Resident memory of a process in MB (10^6 bytes), from /proc on Linux. */
async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6;
}

export const startup: Benchmark = {
  name: 'startup',
  summary: '`--help` over bare Node, `serve` until it is ready, memory of an idle daemon',
  async run({ rounds, say }) {
    const idleMb: number[] = [];
    const series = await interleave(rounds, {
      bare_node_ms: async () => [await run(['-e', '0'])],
      help_ms: async () => [await run([BIN, '--help'])],
      serve_ready_ms: async () => {
        const start = performance.now();
        const daemon = await startDaemon();
        const ready = performance.now() - start;
        // Idle means: whatever starting left to do is done.
        await sleep(5_000);
        idleMb.push(await residentMb(daemon.pid));
        await daemon.stop();
        say(`  serve ready after ${Math.round(ready)} ms, ${Math.round(idleMb.at(-1) ?? 0)} MB idle`);
        return [ready];
      },
    });
    const flat = (name: string): number[] => (series[name] ?? []).flat();
    return {
      figures: {
        help_over_bare_node_s: (median(flat('help_ms')) - median(flat('bare_node_ms'))) / 1000,
        serve_ready_s: median(flat('serve_ready_ms')) / 1000,
        idle_resident_mb: median(idleMb),
      },
      samples: {
        bare_node_ms: flat('bare_node_ms'),
        help_ms: flat('help_ms'),
        serve_ready_ms: flat('serve_ready_ms'),
        idle_resident_mb: idleMb,
      },
    };
  },
};
