// What spreading a batch is worth: 512 texts over emulated executors at 1 : 2 : 4, against the time in which all three
// together could do them at best, the fastest killed half-way; and over two real processes against the sum of both alone.
import { systemClock } from '../../node/core/clock.ts';
import type { Engine } from '../../node/core/engine.ts';
import { silentLog } from '../../node/core/log.ts';
import { scatterEncode } from '../../node/dispatch/scatter-encode.ts';
import { RemoteEngine } from '../../node/mesh/remote-engine.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { EncodeRequest } from '../../protocol/infer.ts';
import { startDaemon, ticketOf } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { type LocalNode, offered, startLocal } from './nodes.ts';
import { measured, ReplayEngine, textMs } from './scatter-replay.ts';

const TEXTS = 512;
const TOKENS = 128;
const SPEEDS = [1, 2, 4] as const;

/** Runs of each size whose durations are replayed. */
const RUNS = 15;

/** Texts of a sample on real processes: together, and on each alone. */
const REAL_TEXTS = 256;
const ALONE_TEXTS = 96;

const components = { clock: systemClock, log: silentLog };
const options = (requestId: string) => ({ signal: new AbortController().signal, requestId });

/** Texts whose first id is their number, all of one length. */
function texts(count: number, model: ModelRef): EncodeRequest {
  const ids = Int32Array.from({ length: count * TOKENS }, (_, index) =>
    index % TOKENS === 0 ? index / TOKENS : 2000 + ((index * 37) % 20_000),
  );
  return { model, ids, lengths: new Int32Array(count).fill(TOKENS), pooling: 'mean', normalize: true };
}

export const scatter: Benchmark = {
  name: 'scatter',
  summary: '512 texts over emulated executors at 1 : 2 : 4, one killed half-way, and over two real processes',
  async run({ rounds, threads, say }) {
    say('  measuring MiniLM');
    const durations = await measured(threads, TOKENS, RUNS);
    const perTextMs = textMs(durations);
    const killed: Counts[] = [];
    let seed = 1;
    const emulated = {
      ideal_share: async () => [(await spread(durations, perTextMs, seed++)).share],
      killed_share: async () => {
        const { share, counts } = await spread(durations, perTextMs, seed++, 'fast');
        killed.push(counts);
        return [share];
      },
    };
    say(`  emulated: ${SPEEDS.join(' : ')}, of ${perTextMs.toFixed(1)} ms a text`);
    const replayed = await interleave(rounds, emulated);
    say('  two real processes');
    const real = await onProcesses(rounds, threads);
    const samples = Object.fromEntries(
      Object.entries(replayed).map(([name, list]) => [`emulated_${name}`, list.flat()]),
    );
    return {
      figures: {
        ideal_share: median(samples.emulated_ideal_share ?? []),
        killed_ideal_share: median(samples.emulated_killed_share ?? []),
        killed_items: Math.min(...killed.map(({ answered }) => answered)),
        killed_doubled: Math.max(...killed.map(({ twice }) => twice)),
        processes_share: median(
          real.together.map((rate, round) => rate / ((real.first[round] as number) + (real.second[round] as number))),
        ),
        processes_at_once_share: median(real.together.map((rate, round) => rate / (real.apart[round] as number))),
      },
      samples: {
        ...samples,
        both_texts_per_s: real.together,
        first_alone_texts_per_s: real.first,
        second_alone_texts_per_s: real.second,
        each_its_own_texts_per_s: real.apart,
      },
    };
  },
};

interface Counts {
  /** Texts whose own answer stands in their place. */
  readonly answered: number;
  /** Answers that were taken beyond one for each text. */
  readonly twice: number;
}

/**
 * One batch over the emulated executors.
 * @param victim is killed as soon as half of the texts are answered
 * @returns the time in which all that are alive could have done it together, over the time that it took
 */
async function spread(
  durations: Parameters<typeof textMs>[0],
  perTextMs: number,
  seed: number,
  victim?: string,
): Promise<{ readonly share: number; readonly counts: Counts }> {
  const model = { id: 'emulated', digest: 'sha256:emulated' };
  const names = ['slow', 'middle', 'fast'];
  const engines = SPEEDS.map(
    (speed, index) => new ReplayEngine(names[index] ?? '', durations, speed, seed * 10 + index),
  );
  const rate = (alive: (name: string) => boolean): number =>
    SPEEDS.reduce((sum, speed, index) => sum + (alive(names[index] ?? '') ? speed / perTextMs : 0), 0);
  const startMs = performance.now();
  let idealMs = TEXTS / rate(() => true);
  let alive = true;
  const { embeddings, parts } = await scatterEncode(components, texts(TEXTS, model), {
    engines: engines.map((engine, index) => ({ engine, predictedMs: (TEXTS * perTextMs) / (SPEEDS[index] as number) })),
    options: options(`req_${seed}`),
    onProgress: (done, total) => {
      if (victim === undefined || !alive || done < total / 2) return;
      alive = false;
      idealMs = done / rate(() => true) + (total - done) / rate((name) => name !== victim);
      engines.find(({ node }) => node === victim)?.kill();
    },
  });
  const share = idealMs / (performance.now() - startMs);
  const answered = embeddings.reduce((sum, number, text) => sum + (number === text ? 1 : 0), 0);
  const twice = parts.reduce((sum, part) => sum + part.items, 0) - TEXTS;
  return { share, counts: { answered, twice } };
}

/** Texts per second of two daemons, together and each alone, asked by a node that computes nothing. */
async function onProcesses(rounds: number, threads: number) {
  const env = { WEFT_THREADS: String(threads), WEFT_KEEP_ALIVE: '-1' };
  const first = await startDaemon({ env });
  const second = await startDaemon({ env, args: ['--join', await ticketOf(first)] });
  let entry: LocalNode | undefined;
  try {
    entry = await startLocal({ ...env, WEFT_OFFER: 'none' }, await ticketOf(first));
    const { mesh } = entry.node;
    const { model, nodes } = await until('both among the models', () => {
      const found = offered(entry as LocalNode, 'feature-extraction');
      return found.nodes.length === 2 && { model: found.offer.model, nodes: found.nodes };
    });
    const engines = nodes.map((node): Engine => new RemoteEngine({ mesh }, { node }));
    let number = 0;
    const rateOf = async (count: number, work: (request: EncodeRequest, requestId: string) => Promise<unknown>) => {
      const request = texts(count, model);
      const startMs = performance.now();
      await work(request, `req_${number++}`);
      return (count * 1000) / (performance.now() - startMs);
    };
    const alone = (engine: Engine | undefined, count: number) =>
      rateOf(count, (request, requestId) => (engine as Engine).encode(request, options(requestId)));
    // The first of each loads the model.
    const perMs = [await alone(engines[0], 8), await alone(engines[1], 8)];
    perMs[0] = (await alone(engines[0], 16)) / 1000;
    perMs[1] = (await alone(engines[1], 16)) / 1000;
    const series = await interleave(rounds, {
      together: async () => [
        await rateOf(REAL_TEXTS, (request, requestId) =>
          scatterEncode(components, request, {
            engines: engines.map((engine, index) => ({ engine, predictedMs: REAL_TEXTS / (perMs[index] as number) })),
            options: options(requestId),
          }),
        ),
      ],
      first: async () => [await alone(engines[0], ALONE_TEXTS)],
      second: async () => [await alone(engines[1], ALONE_TEXTS)],
      // Each its own batch at the same time: what the machine itself takes from two that compute at once.
      apart: async () => {
        const rates = await Promise.all(engines.map((engine) => alone(engine, ALONE_TEXTS)));
        return [rates.reduce((sum, rate) => sum + rate, 0)];
      },
    });
    const flat = (name: string): readonly number[] => (series[name] ?? []).flat();
    return { together: flat('together'), first: flat('first'), second: flat('second'), apart: flat('apart') };
  } finally {
    await entry?.stop();
    await second.stop();
    await first.stop();
  }
}
