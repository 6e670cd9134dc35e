// What a request costs beside its arithmetic: MiniLM in a plain onnxruntime-node loop, through the node's engine (a
// runner process), and from one node's dispatch to a second node process on loopback.
import { setTimeout as sleep } from 'node:timers/promises';
import type { EncodeRequest } from '../../protocol/infer.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import { EchoProcess } from './echo.ts';
import { type Benchmark, interleave, median, timeAll, timeEach } from './harness.ts';
import { offered, startBenchNodes } from './nodes.ts';
import { PlainEncoder } from './plain.ts';

const SIZES = [
  { name: '1x16', rows: 1, length: 16, calls: 60 },
  { name: '1x128', rows: 1, length: 128, calls: 15 },
  { name: '16x128', rows: 16, length: 128, calls: 1 },
] as const;

/** Requests of 16×128 in flight, and how many of them a throughput sample takes. */
const IN_FLIGHT = 4;
const THROUGHPUT_CALLS = 4;

/** Round trips without a model, each after a pause as long as MiniLM takes for 16 tokens. */
const HOPS = 40;
const PAUSE_MS = 9;
const HOP_BYTES = 1_600;

const options = () => ({ signal: new AbortController().signal, requestId: 'req_bench' });

export const remote: Benchmark = {
  name: 'remote',
  summary: 'MiniLM: plain loop, through the engine, and through a peer on loopback',
  async run({ rounds, threads, say }) {
    const plain = await PlainEncoder.open(threads);
    const echo = await EchoProcess.start();
    const nodes = await startBenchNodes(threads);
    try {
      const { model } = offered(nodes.entry, 'feature-extraction').offer;
      const requests = Object.fromEntries(
        SIZES.map(({ name, rows, length }) => {
          // Ordinary word pieces between [CLS] and [SEP], the same for every contender.
          const ids = Int32Array.from({ length: rows * length }, (_, index) => 2000 + ((index * 37) % 20_000));
          for (let row = 0; row < rows; row++) {
            ids[row * length] = 101;
            ids[(row + 1) * length - 1] = 102;
          }
          const lengths = new Int32Array(rows).fill(length);
          return [name, { model, ids, lengths, pooling: 'mean', normalize: true } satisfies EncodeRequest];
        }),
      ) as Record<string, EncodeRequest>;
      const calls: Record<string, (request: EncodeRequest) => Promise<unknown>> = {
        plain: ({ ids, lengths }) => plain.encode(ids, lengths.length, lengths[0] as number),
        engine: (request) => nodes.here.node.engine.encode(request, options()),
        peer: (request) => nodes.entry.node.dispatcher.encode(request, options()),
      };
      await agree(calls, requests['16x128'] as EncodeRequest);

      const contenders: Record<string, () => Promise<readonly number[]>> = {};
      for (const { name, calls: count } of SIZES) {
        for (const [who, call] of Object.entries(calls)) {
          contenders[`${who}_${name}_ms`] = () => timeEach(count, () => call(requests[name] as EncodeRequest));
        }
      }
      for (const [who, call] of Object.entries(calls)) {
        const request = requests['16x128'] as EncodeRequest;
        contenders[`${who}_texts_per_s`] = async () => [
          (THROUGHPUT_CALLS * 16 * 1000) /
            (await timeAll(THROUGHPUT_CALLS, who === 'plain' ? 1 : IN_FLIGHT, () => call(request))),
        ];
      }
      const probe = { incarnation: 1n, sequence: 1n, membersDigest: new Uint8Array(32) };
      const bytes = new Uint8Array(HOP_BYTES);
      contenders.hop_tcp_ms = () => timePaused(() => echo.roundTrip(bytes));
      contenders.hop_mesh_ms = () =>
        timePaused(() => nodes.entry.node.mesh.call(nodes.peer.node, PEER_METHODS.probe, probe, options()));
      say('  warming up');
      for (const warm of Object.values(contenders)) await warm();
      say(`  ${rounds} rounds`);
      const series = await interleave(rounds, contenders);
      // The median of each round, then the median over rounds: one slow round moves nothing.
      const typical = (name: string): number => median((series[name] ?? []).map(median));
      const over = (who: string, size: string): number =>
        median(
          (series[`${who}_${size}_ms`] ?? []).map(
            (round, index) => median(round) - median(series[`plain_${size}_ms`]?.[index] ?? []),
          ),
        );
      return {
        figures: {
          engine_overhead_ms_p50: over('engine', '1x16'),
          peer_overhead_ms_p50: over('peer', '1x16'),
          engine_overhead_1x128_ms_p50: over('engine', '1x128'),
          peer_overhead_1x128_ms_p50: over('peer', '1x128'),
          peer_over_engine_16x128_ms_p50: typical('peer_16x128_ms') - typical('engine_16x128_ms'),
          engine_throughput_ratio: typical('engine_texts_per_s') / typical('plain_texts_per_s'),
          peer_throughput_ratio: typical('peer_texts_per_s') / typical('plain_texts_per_s'),
          // What the machine itself takes for a round trip to another process, and what the mesh makes of it.
          hop_tcp_ms_p50: typical('hop_tcp_ms'),
          hop_mesh_ms_p50: typical('hop_mesh_ms'),
        },
        samples: Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()])),
      };
    } finally {
      echo.stop();
      await nodes.stop();
    }
  },
};

/** Milliseconds of each of HOPS calls, made from rest. */
async function timePaused(call: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < HOPS; index++) {
    await sleep(PAUSE_MS);
    samples.push(...(await timeEach(1, call)));
  }
  return samples;
}

/** All contenders give the same vectors: a fast wrong answer is no contender. */
async function agree(
  calls: Record<string, (request: EncodeRequest) => Promise<unknown>>,
  request: EncodeRequest,
): Promise<void> {
  const vectors = new Map<string, Float32Array>();
  for (const [who, call] of Object.entries(calls)) {
    const answer = (await call(request)) as Float32Array | { embeddings: Float32Array };
    vectors.set(who, answer instanceof Float32Array ? answer : answer.embeddings);
  }
  const reference = vectors.get('plain') as Float32Array;
  for (const [who, vector] of vectors) {
    const difference = Math.max(...vector.map((value, index) => Math.abs(value - (reference[index] as number))));
    if (vector.length !== reference.length || !(difference < 1e-4))
      throw new Error(`${who} differs from plain by ${difference}.`);
  }
}
