// Runs chosen plans for real: the requester's part here, the peer's in another process, everything that crosses over a shaped
// link. Ends that are faster or slower than this machine are emulated: they wait for the rest of their time.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CutTable } from '../../../protocol/cut-table.ts';
import { freePort } from '../../support/free-port.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { type BenchOptions, median } from '../harness.ts';
import { TransferProcess } from '../transfer-process.ts';
import { openRange, type Range, type Ready } from './measure.ts';
import { crossingOf, EDGE, PEER, rangesOf, type TruePlan } from './plans.ts';
import { mbPerMs, nameOf, type Point } from './points.ts';

/** What the peer is told for each point. */
export interface PeerJob {
  readonly name: string;
  readonly table: CutTable;
  readonly range: Range;
  readonly threads: number;
  readonly upBytes: number;
  readonly downBytes: number;
  /** Milliseconds that it waits instead of computing. @default it computes */
  readonly waitMs?: number;
}

export type PeerQuestion = { readonly kind: 'listen' } | { readonly kind: 'prepare'; readonly job: PeerJob };

export interface PeerAnswer {
  readonly result?: unknown;
  readonly error?: string;
}

/** A plan with what it was computed to take. */
export interface ShapedPlan {
  readonly point: Point;
  readonly plan: TruePlan;
}

const PEER_PROCESS = fileURLToPath(new URL('./shaped-peer.ts', import.meta.url));

/** Of each point; the first warms up. */
const RUNS = 4;

/** Plans that are worth running: shorter ones are noise, longer ones only wait. */
const MS_MIN = 8;
const MS_MAX = 2_000;

/** @returns for a sample of the plans, the relative difference of what they took and what was computed */
export async function shapedErrors(
  plans: readonly ShapedPlan[],
  { count, threads, say }: { readonly count: number } & Pick<BenchOptions, 'threads' | 'say'>,
): Promise<number[]> {
  const random = new SeededRandom(11);
  const possible = plans.filter(({ plan }) => plan.kind !== 'local' && plan.ms >= MS_MIN && plan.ms <= MS_MAX);
  const cuts = possible.filter(({ plan }) => plan.kind === 'cut');
  const wholes = possible.filter(({ plan }) => plan.kind === 'remote');
  const sample = [...drawn(cuts, Math.min(cuts.length, count / 2), random)];
  sample.push(...drawn(wholes, count - sample.length, random));
  const peer = new PeerProcess();
  const links = new TransferProcess();
  try {
    const targetPort = await peer.listen();
    const ports: number[] = [];
    for (const { point } of sample) {
      const port = await freePort();
      const shape = { bytesPerSecond: mbPerMs(point) * 1e9, delayMs: point.rttMs / 2 };
      await links.open('links', { links: [{ port, targetPort, ...shape }] });
      ports.push(port);
    }
    const errors: number[] = [];
    for (const [at, { point, plan }] of sample.entries()) {
      const ms = await runPlan({ point, plan }, { peer, port: ports[at] as number, threads });
      errors.push(Math.abs(ms / plan.ms - 1));
      say(`    ${nameOf(point)}, ${plan.kind}: ${ms.toFixed(1)} ms, computed ${plan.ms.toFixed(1)}`);
    }
    return errors;
  } finally {
    links.stop();
    peer.stop();
  }
}

function* drawn<T>(from: readonly T[], count: number, random: SeededRandom): Generator<T> {
  const left = [...from];
  for (let taken = 0; taken < count && left.length > 0; taken++) {
    yield* left.splice(random.between(0, left.length - 1), 1);
  }
}

interface Ends {
  readonly peer: PeerProcess;
  readonly port: number;
  readonly threads: number;
}

async function runPlan({ point, plan }: ShapedPlan, { peer, port, threads }: Ends): Promise<number> {
  const { cutCase, table, whole, heads, tails } = point.measured;
  const ranges = rangesOf(plan, table.segments.length);
  const { up, down } = crossingOf(plan, point);
  const there = ranges[PEER] as Range;
  const alone =
    there.to - there.from === table.segments.length ? whole : there.from === 0 ? heads[there.to] : tails[there.from];
  await peer.prepare({
    name: cutCase.name,
    table,
    range: there,
    threads,
    upBytes: Math.max(1, Math.round(up)),
    downBytes: Math.max(1, Math.round(down)),
    ...(point.peer !== 1 && { waitMs: (alone?.judged ?? 0) / point.peer }),
  });
  const here = ranges[EDGE];
  const own = here === undefined ? undefined : await openRange(cutCase, table, here, threads);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  try {
    const samples: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const begunMs = performance.now();
      if (own !== undefined && plan.first === EDGE) await runSlowed(own, point.edge);
      await exchange(socket, Math.max(1, Math.round(up)), Math.max(1, Math.round(down)));
      if (own !== undefined && plan.first === PEER) await runSlowed(own, point.edge);
      if (run > 0) samples.push(performance.now() - begunMs);
    }
    return median(samples);
  } finally {
    socket.destroy();
    await own?.session.close();
  }
}

async function runSlowed({ session, inputs }: Ready, speed: number): Promise<void> {
  const begunMs = performance.now();
  await session.run(inputs);
  const tookMs = performance.now() - begunMs;
  if (speed < 1) await waitUntil(begunMs + tookMs / speed);
}

/** Timers are late by up to a millisecond and more: the last two are spent looking at the clock. */
export async function waitUntil(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now();
  if (leftMs > 2) await sleep(leftMs - 2);
  while (performance.now() < dueMs);
}

async function exchange(socket: Socket, up: number, down: number): Promise<void> {
  const done = Promise.withResolvers<void>();
  let received = 0;
  const take = (chunk: Buffer): void => {
    received += chunk.byteLength;
    if (received >= down) done.resolve();
  };
  socket.on('data', take);
  socket.once('error', done.reject);
  socket.write(Buffer.alloc(up));
  await done.promise;
  socket.off('data', take);
  socket.off('error', done.reject);
}

/** The peer's end, asked one thing at a time. */
class PeerProcess {
  readonly #child: ChildProcess = fork(PEER_PROCESS, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  #asked = Promise.withResolvers<unknown>();

  constructor() {
    this.#child.on('message', (message) => {
      const { result, error } = message as PeerAnswer;
      if (error === undefined) this.#asked.resolve(result);
      else this.#asked.reject(new Error(error));
    });
    this.#child.once('exit', () => this.#asked.reject(new Error('The peer process ended.')));
  }

  /** @returns the port that it listens at */
  listen(): Promise<number> {
    return this.#ask({ kind: 'listen' }) as Promise<number>;
  }

  async prepare(job: PeerJob): Promise<void> {
    await this.#ask({ kind: 'prepare', job });
  }

  stop(): void {
    // What it was asked last has been answered, or has failed already.
    this.#asked.promise.catch(() => undefined);
    this.#child.kill();
  }

  #ask(question: PeerQuestion): Promise<unknown> {
    this.#asked = Promise.withResolvers();
    this.#child.send(question);
    return this.#asked.promise;
  }
}
