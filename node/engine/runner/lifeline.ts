// Ties a runner to its daemon: a worker thread that reads the pipe on fd 4. It answers every line with what the process
// takes and for how long its main thread has stood still, so that the daemon tells a busy runner from one that hangs and
// from a stopped one. It kills the process when the pipe ends, or when the process is above the cap that the daemon has
// set: both work while the main thread is inside the runtime. Started by the runner's entry, first of all.
import { Worker } from 'node:worker_threads';
import {
  CAP_CHECK_MS,
  CAP_CHECK_SOON_MS,
  CAP_READINGS,
  LAST_WORDS_MS,
  LIFELINE_HEAP_MB,
  LIFELINE_YOUNG_MB,
} from '../limits.ts';

/**
 * Plain JavaScript in a string: it runs alike from source, from emitted files and from one bundle. Each line that comes
 * in is a cap in bytes, 0 = none; each that goes out `resident peak stalledMs` (the peak since the last line), or
 * `over resident cap` as the last words.
 */
const SOURCE = `
const { Socket } = require('node:net');
const { parentPort, workerData } = require('node:worker_threads');
const { turns, checkMs, checkSoonMs, readings, lastWordsMs } = workerData;
const pipe = new Socket({ fd: 4, readable: true, writable: true });
const die = () => process.kill(process.pid, 'SIGKILL');
let cap = 0;
let above = 0;
let last = 0;
let peak = 0;
let asked = Atomics.load(turns, 0);
let askedAt = 0;
// The main thread is asked to turn, once at a time: until it has, it stands still.
const stalledMs = () => {
  if (Atomics.load(turns, 0) !== asked) return Math.round(performance.now() - askedAt);
  asked = (asked + 1) | 0;
  askedAt = performance.now();
  parentPort.postMessage(asked);
  return 0;
};
const check = () => {
  const resident = process.memoryUsage.rss();
  peak = Math.max(peak, resident);
  above = cap > 0 && resident > cap ? above + 1 : 0;
  if (above >= readings) {
    pipe.write('over ' + resident + ' ' + cap + '\\n', die);
    setTimeout(die, lastWordsMs);
    return;
  }
  // One that would be there in a few readings is looked at more often.
  const soon = cap > 0 && resident + 4 * (resident - last) > cap;
  last = resident;
  setTimeout(check, soon ? checkSoonMs : checkMs);
};
let rest = '';
pipe.setEncoding('latin1');
pipe.on('data', (text) => {
  const lines = (rest + text).split('\\n');
  rest = lines.pop();
  if (lines.length === 0) return;
  cap = Number(lines.pop());
  const resident = process.memoryUsage.rss();
  pipe.write(resident + ' ' + Math.max(peak, resident) + ' ' + stalledMs() + '\\n');
  peak = 0;
});
check();
pipe.on('end', die);
pipe.on('error', die);
pipe.on('close', die);
`;

/** Starts the thread. A thread that fails takes the process with it: without it nothing would. */
export function startLifeline(): void {
  const turns = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SOURCE, {
    eval: true,
    name: 'lifeline',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: LIFELINE_HEAP_MB, maxYoungGenerationSizeMb: LIFELINE_YOUNG_MB },
    workerData: {
      turns,
      checkMs: CAP_CHECK_MS,
      checkSoonMs: CAP_CHECK_SOON_MS,
      readings: CAP_READINGS,
      lastWordsMs: LAST_WORDS_MS,
    },
  });
  worker.on('message', (turn: number) => Atomics.store(turns, 0, turn));
  worker.on('error', () => process.exit(1));
  worker.on('exit', () => process.exit(1));
}
