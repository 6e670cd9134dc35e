// Ties a runner to its daemon: a worker thread that reads the pipe on fd 4. It answers every byte, so that the daemon
// tells a busy runner from a stopped one, and kills the process when the pipe ends: a runner whose main thread is
// inside the runtime outlives its daemon by milliseconds only. Started by the runner's entry, first of all.
import { Worker } from 'node:worker_threads';
import { LIFELINE_HEAP_MB, LIFELINE_YOUNG_MB } from '../limits.ts';

/** Plain JavaScript in a string: it runs alike from source, from emitted files and from one bundle. */
const SOURCE = `
const { Socket } = require('node:net');
const pipe = new Socket({ fd: 4, readable: true, writable: true });
const die = () => process.kill(process.pid, 'SIGKILL');
pipe.on('data', (ping) => pipe.write(ping));
pipe.on('end', die);
pipe.on('error', die);
pipe.on('close', die);
`;

/** Starts the thread. A thread that fails takes the process with it: without it nothing would. */
export function startLifeline(): void {
  const worker = new Worker(SOURCE, {
    eval: true,
    name: 'lifeline',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: LIFELINE_HEAP_MB, maxYoungGenerationSizeMb: LIFELINE_YOUNG_MB },
  });
  worker.on('error', () => process.exit(1));
  worker.on('exit', () => process.exit(1));
}
