// Through the HTTP API, as an app would: 16-token embeddings with 1, 8 and 32 in flight and chat streams, against a plain
// Fastify + onnxruntime-node server with equal threads; then ten times as many requests as the node can answer.
import { readFile } from 'node:fs/promises';
import { startDaemon } from '../support/daemon.ts';
import { closedLoop, connections, openLoop, post, type Target } from '../support/http-load.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { PlainServer } from './plain-server.ts';

/** How long each contender is asked in each round. */
const SLICE_MS = 1_500;
const IN_FLIGHT = [1, 8, 32] as const;
const CHAT_TOKENS = 32;
const CHATS = [1, 4] as const;

/** Offered load over capacity, and for how long. */
const OVERLOAD = 10;
const OVERLOAD_MS = 20_000;
const OVERLOAD_WARM_MS = 15_000;
/** Fewer than the node takes connections. */
const OVERLOAD_IN_FLIGHT = 400;

const NOUNS = ['river', 'garden', 'window', 'teacher', 'bridge', 'market', 'forest', 'engine'];
/** Texts of 16 tokens each, special ones included. */
const TEXTS = NOUNS.flatMap((a) =>
  NOUNS.map((b) => `the ${a} was quiet when the ${b} opened again on a very cold morning`),
);
const EMBEDDINGS = TEXTS.map((input) => Buffer.from(JSON.stringify({ model: 'minilm', input })));
const CHAT = Buffer.from(
  JSON.stringify({
    model: 'smollm2',
    messages: [{ role: 'user', content: 'Tell me a long story about a river.' }],
    max_tokens: CHAT_TOKENS,
    temperature: 0,
    stream: true,
  }),
);

export const http: Benchmark = {
  name: 'http',
  summary: 'embeddings and chat over HTTP against a plain server, and overload',
  async run({ rounds, threads, say }) {
    const daemon = await startDaemon({ env: { WEFT_THREADS: String(threads) } });
    const plain = await PlainServer.start(threads);
    const weft: Target = { url: daemon.url, key: daemon.key, agent: connections(OVERLOAD_IN_FLIGHT) };
    const targets: Record<string, Target> = { plain: { url: plain.url, agent: connections(64) }, weft };
    try {
      await agree(targets);
      const contenders: Record<string, () => Promise<readonly number[]>> = {};
      for (const [who, target] of Object.entries(targets)) {
        for (const inFlight of IN_FLIGHT) {
          contenders[`${who}_embeds_per_s_${inFlight}`] = async () => [
            await closedLoop(inFlight, SLICE_MS, () => embed(target)),
          ];
        }
        for (const streams of CHATS) {
          contenders[`${who}_tokens_per_s_${streams}`] = async () => [
            CHAT_TOKENS * (await closedLoop(streams, 1, () => chat(target))),
          ];
        }
      }
      say('  warming up');
      for (const warm of Object.values(contenders)) await warm();
      say(`  ${rounds} rounds`);
      const series = await interleave(rounds, contenders);
      const ratio = (name: string): number =>
        median(
          (series[`weft_${name}`] ?? []).map(
            (round, index) => median(round) / median(series[`plain_${name}`]?.[index] ?? []),
          ),
        );
      plain.stop();
      say('  overload');
      const overload = await overloaded(weft, daemon.pid);
      return {
        figures: {
          embed_ratio_vs_plain_1: ratio('embeds_per_s_1'),
          embed_ratio_vs_plain_8: ratio('embeds_per_s_8'),
          embed_ratio_vs_plain_32: ratio('embeds_per_s_32'),
          chat_ratio_vs_plain_1: ratio('tokens_per_s_1'),
          chat_ratio_vs_plain_4: ratio('tokens_per_s_4'),
          ...overload.figures,
        },
        samples: {
          ...Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()])),
          ...overload.samples,
        },
      };
    } finally {
      plain.stop();
      for (const { agent } of Object.values(targets)) agent.destroy();
      await daemon.stop();
    }
  },
};

let turn = 0;

async function embed(target: Target): Promise<void> {
  const { status, body } = await post(target, '/v1/embeddings', EMBEDDINGS[turn++ % EMBEDDINGS.length] as Buffer);
  if (status !== 200) throw new Error(`Status ${status}: ${body}`);
}

async function chat(target: Target): Promise<void> {
  const { status, body } = await post(target, '/v1/chat/completions', CHAT);
  if (status !== 200 || !body.includes('[DONE]')) throw new Error(`Status ${status}: ${body}`);
}

/** Offers ten times the capacity, steadily. What is served is compared with the capacity, measured just before. */
async function overloaded(target: Target, pid: number) {
  const capacity: number[] = [];
  const served: number[] = [];
  const refusalMs: number[] = [];
  const residentMb: number[] = [];
  let others = 0;
  let withoutRetryAfter = 0;
  // Capacity as this very client sees it.
  for (let round = 0; round < 3; round++) capacity.push(await closedLoop(32, SLICE_MS, () => embed(target)));
  const offered = OVERLOAD * median(capacity);
  let answered = 0;
  let lastAnswerAt = 0;
  const one = async (): Promise<void> => {
    const at = performance.now();
    const { status, retryAfter } = await post(
      target,
      '/v1/embeddings',
      EMBEDDINGS[turn++ % EMBEDDINGS.length] as Buffer,
    );
    const now = performance.now();
    if (status === 200) {
      answered++;
      lastAnswerAt = now;
      return;
    }
    if (status === 429 || status === 503) refusalMs.push(now - at);
    else others++;
    if (retryAfter === undefined) withoutRetryAfter++;
  };
  // Connections, and the heap's young generation, grow to what this load needs; from then on memory should stay.
  await openLoop(offered, OVERLOAD_WARM_MS, OVERLOAD_IN_FLIGHT, one);
  residentMb.push(await residentMegabytes(pid));
  answered = 0;
  const begun = performance.now();
  const loop = await openLoop(offered, OVERLOAD_MS, OVERLOAD_IN_FLIGHT, one);
  served.push((answered * 1000) / (lastAnswerAt - begun));
  residentMb.push(await residentMegabytes(pid));
  if (others > 0) throw new Error(`${others} answers were neither served nor refused.`);
  return {
    figures: {
      overload_served_share: median(served) / median(capacity),
      overload_offered_over_capacity: loop.begun / (OVERLOAD_MS / 1000) / median(capacity),
      overload_refusal_ms_p50: refusalMs.length === 0 ? 0 : median(refusalMs),
      overload_refusals_without_retry_after: withoutRetryAfter,
      overload_growth_mb: (residentMb[1] as number) - (residentMb[0] as number),
    },
    samples: { overload_capacity_per_s: capacity, overload_served_per_s: served, overload_resident_mb: residentMb },
  };
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Both give the same vectors for texts of 16 tokens. */
async function agree(targets: Record<string, Target>): Promise<void> {
  const answers = await Promise.all(
    Object.values(targets).map(async (target) => {
      const { body } = await post(target, '/v1/embeddings', EMBEDDINGS[0] as Buffer);
      return JSON.parse(String(body)) as { data: { embedding: number[] }[]; usage: { prompt_tokens: number } };
    }),
  );
  const [plain, weft] = answers.map(({ data }) => data[0]?.embedding ?? []);
  const difference = Math.max(...(plain ?? []).map((value, index) => Math.abs(value - (weft?.[index] ?? 1))));
  const tokens = answers.map(({ usage }) => usage.prompt_tokens);
  if (!(difference < 1e-4) || tokens.some((count) => count !== 16))
    throw new Error(`The servers differ by ${difference}, or the texts are not of 16 tokens but ${tokens}.`);
}
