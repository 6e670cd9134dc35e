// The watch over a prep process, on a thread of its own: it ends with its node, and within its memory.
import { Worker } from 'node:worker_threads';
import { RESIDENT_CHECK_MS } from './limits.ts';

/**
 * Ends this process when the node that started it is gone, and when it takes more memory than it may, however busy this
 * thread is: a second thread waits for the end of a pipe (file 4) that only the node holds, and looks at what all
 * threads take together, buffers outside of any heap included. Given as text, so that it needs no file of its own
 * beside a bundle.
 */
export function keepWatch(residentMbMax: number): void {
  const watch = `
    const { Socket } = require('node:net');
    const pipe = new Socket({ fd: 4 });
    pipe.on('error', () => pipe.destroy());
    pipe.on('close', () => process.kill(process.pid, 'SIGKILL'));
    pipe.resume();
    setInterval(() => {
      if (process.memoryUsage.rss() > ${residentMbMax * 2 ** 20}) process.kill(process.pid, 'SIGABRT');
    }, ${RESIDENT_CHECK_MS});`;
  // Less than 16/2 MB and the thread dies at its start.
  new Worker(watch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 } });
  dropThreads();
}

/**
 * No more threads: one that is started with options of its own (`execArgv: []`) has none of the process's restrictions,
 * and could write and connect as it likes. A Node before 26 can't take a permission back; there, that is left open to
 * whoever already runs code of theirs in this process.
 */
function dropThreads(): void {
  const permission = process.permission as { drop?(scope: string): void } | undefined;
  permission?.drop?.('worker');
}
