// Raw frames at a slow machine, a fast one behind a link: the whole here, the whole there, and the cut that Weft takes, all run
// for real over two nodes. The slow machine is this one, stopped for most of the time: emulated.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeModel } from '../../models/onnx/model-file.ts';
import type { PlacedOptions } from '../../node/core/dispatcher.ts';
import { RemoteEngine } from '../../node/mesh/remote-engine.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { RunRequest, RunResult } from '../../protocol/infer.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { mobilenet } from '../support/mobilenet.ts';
import { SeededRandom } from '../support/seeded.ts';
import { ShapedLink } from '../support/shaped-link.ts';
import { until } from '../support/wait.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { type LocalNode, startLocal } from './nodes.ts';
import { SlowRunners } from './slow-runners.ts';

/** A camera's frame, as floats: 2.4 MB. */
const PIXELS = 448;
const LINK = { bytesPerSecond: 6.25e6, delayMs: 2 };
/** Of the time that the slow machine computes. */
const EDGE_SHARE = 0.1;
/** Until loads are over and both nodes are known as they are. */
const WARM_RUNS = 24;
const UNREACHABLE = '/ip4/127.0.0.1/tcp/9';

export const parts: Benchmark = {
  name: 'parts',
  summary: 'raw frames at a slow machine (emulated): whole there, whole at a fast peer, and cut, over real nodes',
  async run({ rounds, threads, say }) {
    await using world = await World.start(threads);
    const { frame } = world;
    const expected = await world.run(frame, { cut: 'never', rawLocal: true });
    // Measured on the machine as it is, before it is slow.
    const { table } = await world.consider(frame);
    let places = [soonest(table)];
    const contenders: Record<string, () => Promise<RunResult>> = {
      whole_here: () => world.run(frame, { cut: 'never', rawLocal: true }),
      whole_there: () => world.there(frame),
      cut: () => world.run(frame, { cut: { at: places } }),
      chosen: () => world.run(frame, { cut: 'auto' }),
    };
    for (let run = 0; run < WARM_RUNS; run++) {
      for (const one of Object.values(contenders)) await one();
      // Parts are loaded into runners of their own: those that come later are slowed as well.
      world.slow();
      const { choice } = await world.consider(frame);
      if (choice.chosen === 'cut') places = choice.parts.slice(1).map(({ from }) => from);
    }
    const predicted = await world.consider(frame);
    const kinds: string[] = [];
    let worst = 0;
    const timed = Object.fromEntries(
      Object.entries(contenders).map(([name, once]) => [
        name,
        async () => {
          const beganMs = performance.now();
          const result = await once();
          const ms = performance.now() - beganMs;
          if (name === 'chosen') kinds.push((result as { readonly plan?: { readonly kind: string } }).plan?.kind ?? '');
          worst = Math.max(worst, difference(result, expected));
          return [ms];
        },
      ]),
    );
    const taken = await interleave(rounds, timed);
    const samples = Object.fromEntries(Object.entries(taken).map(([name, list]) => [`${name}_ms`, list.flat()]));
    const of = (name: string): number => median(samples[`${name}_ms`] ?? []);
    const best = Math.min(of('whole_here'), of('whole_there'));
    for (const name of Object.keys(contenders)) say(`  ${name.padEnd(12)} ${of(name).toFixed(1)} ms`);
    say(`  cut in front of segment ${places.join(', ')}; chosen: ${kinds.join(', ')}`);
    return {
      figures: {
        cut_gain: 1 - of('cut') / best,
        chosen_gain: 1 - of('chosen') / best,
        chosen_cut_share: kinds.filter((kind) => kind === 'cut').length / kinds.length,
        predicted_ms: predicted.choice.totalMs,
        cut_ms: of('cut'),
        difference_max: worst,
      },
      samples,
    };
  },
};

/** Where the cut is soonest by the machines as they are emulated: only to begin with, Weft chooses by what it sees. */
function soonest({ segments, tensors, wholeMs }: CutTable): number {
  const msAt = (cut: number): number => {
    const before = segments.slice(0, cut).reduce((sum, { share }) => sum + share, 0);
    const crossing = tensors.filter(({ from, to }) => from < cut && to.some((user) => user >= cut));
    const bytes = crossing.reduce((sum, tensor) => sum + tensor.bytes, 0);
    return wholeMs * (before / EDGE_SHARE + 1 - before) + (1_000 * bytes) / LINK.bytesPerSecond;
  };
  const cuts = segments.map((_, at) => at).slice(1);
  return cuts.reduce((best, cut) => (msAt(cut) < msAt(best) ? cut : best), 1);
}

/** Of outputs, relative to the largest value. */
function difference({ outputs }: RunResult, { outputs: expected }: RunResult): number {
  let worst = 0;
  for (const [at, tensor] of expected.entries()) {
    const floats = (given: NamedTensor | undefined): Float32Array =>
      new Float32Array((given?.data ?? new Uint8Array(0)).slice().buffer);
    const [values, wanted] = [floats(outputs[at]), floats(tensor)];
    const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [index, value] of wanted.entries()) {
      worst = Math.max(worst, Math.abs((values[index] ?? Number.NaN) - value) / scale);
    }
  }
  return worst;
}

/** The slow machine, whose requests they are, and a fast one. */
class World {
  readonly #folder: string;
  readonly #edge: LocalNode;
  readonly #peer: Daemon;
  readonly #link: ShapedLink;
  readonly #slow = new Map<number, SlowRunners>();
  readonly frame: RunRequest;

  private constructor(folder: string, edge: LocalNode, peer: Daemon, link: ShapedLink, model: ModelRef) {
    this.#folder = folder;
    this.#edge = edge;
    this.#peer = peer;
    this.#link = link;
    const random = new SeededRandom(3);
    const pixels = Float32Array.from({ length: 3 * PIXELS ** 2 }, () => random.next() * 2 - 1);
    const image: NamedTensor = {
      name: 'image',
      type: 'float32',
      dims: [1, 3, PIXELS, PIXELS],
      data: new Uint8Array(pixels.buffer),
    };
    this.frame = { model, inputs: [image], outputs: [] };
  }

  static async start(threads: number): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'weft-bench-parts-'));
    const path = join(folder, 'frames.onnx');
    await writeFile(path, writeModel(mobilenet({ size: PIXELS, quantized: false })));
    const env = { WEFT_THREADS: String(threads), WEFT_KEEP_ALIVE: '-1' };
    const port = await freePort();
    const link = await ShapedLink.start({ target: { host: '127.0.0.1', port }, up: LINK, down: LINK });
    const peer = await startDaemon({
      env: {
        ...env,
        WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
        WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${link.port}`,
      },
    });
    const edge = await startLocal({ ...env, WEFT_ANNOUNCE: UNREACHABLE }, await ticketOf(peer));
    const { signal } = new AbortController();
    const { library } = edge.node.control;
    const { id, digest } = await library.import({ path }, { signal });
    const imported = await peer.weft('import', path);
    if (imported.code !== 0) throw new Error(`The peer has no model: ${imported.stderr}`);
    const world = new World(folder, edge, peer, link, { id, digest });
    await until('both nodes offer it', () => {
      const models = edge.node.dispatcher.models();
      return models.find(({ offer }) => offer.model.digest === digest)?.nodes.length === 2;
    });
    return world;
  }

  run(request: RunRequest, options: Partial<PlacedOptions>): Promise<RunResult> {
    const { signal } = new AbortController();
    return this.#edge.node.dispatcher.run(request, { signal, requestId: 'req_bench', ...options });
  }

  /** Whole at the peer, whatever the edge would choose. */
  there(request: RunRequest): Promise<RunResult> {
    const { signal } = new AbortController();
    const engine = new RemoteEngine({ mesh: this.#edge.node.mesh }, { node: this.#peer.node });
    return engine.run(request, { signal, requestId: 'req_bench' });
  }

  async consider(request: RunRequest) {
    const { signal } = new AbortController();
    const considered = await this.#edge.node.dispatcher.planCut(request, { cut: 'auto', signal });
    if (considered === undefined) throw new Error('No cut was considered.');
    return considered;
  }

  /** From now on this machine computes a share of the time. */
  slow(): void {
    const pids = this.#edge.node.engine.loaded().flatMap(({ runnerPid }) => runnerPid ?? []);
    for (const pid of new Set(pids)) {
      if (!this.#slow.has(pid)) this.#slow.set(pid, new SlowRunners([pid], EDGE_SHARE));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slow of this.#slow.values()) slow.stop();
    await this.#edge.stop();
    await this.#peer.stop();
    await this.#link.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
