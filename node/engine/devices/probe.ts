// Measures one device in a process of its own: products of matrices that grow until they fill the time there is, and
// bytes there and back. A driver that computes wrong values, hangs or crashes is one that can't be used, and that is all.
import { type ChildInit, runChild } from './child.ts';
import type { DetectedDevice, Probe } from './device.ts';
import { PROBE_BUDGET_MS, PROBE_MS_MAX } from './limits.ts';
import { copyGraph, PRODUCTS, productsGraph } from './probe-graph.ts';
import { providerOptions } from './provider.ts';

/** `x` is 1/n everywhere, and so is every power of it: a device that computes anything else is out. */
const MEASURE = `
const { InferenceSession, Tensor } = load('onnxruntime-node');
const [provider, products, copy, threads, budgetMs, perRun] = args;
const open = (graph) => InferenceSession.create(Buffer.from(graph, 'base64'), {
  executionProviders: [JSON.parse(provider)], intraOpNumThreads: Number(threads), logSeverityLevel: 4,
});
const square = (n) => new Tensor('float32', new Float32Array(n * n).fill(1 / n), [n, n]);
const timed = async (session, feeds, ms) => {
  await session.run(feeds);
  let best = Infinity;
  for (const end = performance.now() + ms; ;) {
    const begun = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - begun);
    if (performance.now() >= end) return best;
  }
};
const session = await open(products);
const begun = performance.now();
let gflops = 0;
for (let n = 64; n <= 4096; n *= 2) {
  const x = square(n);
  const { y } = await session.run({ x });
  if (!(Math.abs(y.data[0] * n - 1) < 0.01)) throw new Error('it computes wrong values');
  const ms = await timed(session, { x }, budgetMs / 16);
  gflops = Math.max(gflops, (Number(perRun) * 2 * n ** 3) / (ms * 1e6));
  // The next is eight times the work, and runs three times.
  if (performance.now() - begun + 24 * ms > budgetMs * 0.75) break;
}
await session.release();
const copying = await open(copy);
const n = 1024;
const ms = await timed(copying, { x: square(n) }, budgetMs / 8);
answer({ gflops, copyBytesPerS: (2 * 4 * n * n * 1000) / ms });
`;

/** Takes about PROBE_BUDGET_MS beside what the process and the driver need to start. Never rejects but for the signal. */
export async function probeDevice(
  init: ChildInit,
  device: Pick<DetectedDevice, 'kind' | 'index'>,
  threads: number,
  signal: AbortSignal,
): Promise<Probe> {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const args = [
    JSON.stringify(providerOptions(device.kind, device.index)),
    base64(productsGraph()),
    base64(copyGraph()),
    String(threads),
    String(PROBE_BUDGET_MS),
    String(PRODUCTS),
  ];
  const answer = await runChild(init, MEASURE, args, { signal, deadlineMs: PROBE_MS_MAX });
  return answer.ok ? readProbe(answer.value) : { ok: false, reason: answer.reason };
}

/** What the child answered, if it is of the right form. */
export function readProbe(value: unknown): Probe {
  const { gflops, copyBytesPerS } = (value ?? {}) as { gflops?: unknown; copyBytesPerS?: unknown };
  const isRate = (rate: unknown): rate is number => typeof rate === 'number' && Number.isFinite(rate) && rate > 0;
  if (!isRate(gflops) || !isRate(copyBytesPerS)) return { ok: false, reason: 'measuring gave no figures' };
  return { ok: true, gflops, copyBytesPerS };
}
