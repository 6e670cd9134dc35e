// SmolLM2, several chats at once: what a batch gains, how even its streams are, and how a long prompt disturbs them;
// beside llama.cpp with eight sequences in one context.
import { availableParallelism } from 'node:os';
import { type Benchmark, interleave, median } from './harness.ts';
import { ggufOf, type LlamaConfig, LlamaCpp } from './llama.ts';
import { RewrittenDecoder } from './plain.ts';
import { generateWhole, promptOf, quantile, Stream, startTextNode, type TextNode } from './streams.ts';

const SIZES = [1, 2, 4, 8, 16] as const;
const COMPARED = 8;
const CONTEXT = 256;
/** Tokens of each stream that are timed. */
const STEPS = 48;
/** Streams are stopped long before: the last one to begin finds all others still at it. */
const NEW_TOKENS_MAX = 512;
/** Chats beside the long prompt. */
const OTHERS = 4;
const LONG_PROMPT = 2_000;
const OTHERS_TOKENS_MAX = 1_536;

interface Window {
  readonly tokensPerS: number;
  /** Milliseconds between consecutive tokens of the same stream. */
  readonly gapsMs: readonly number[];
}

/** What arrived after `fromMs`, up to `toMs`. */
function windowOf(streams: readonly Stream[], fromMs: number, toMs: number): Window {
  const gapsMs: number[] = [];
  let tokens = 0;
  for (const { atMs } of streams) {
    for (const [index, at] of atMs.entries()) {
      const previous = atMs[index - 1];
      if (previous === undefined || at <= fromMs || at > toMs) continue;
      tokens++;
      gapsMs.push(at - previous);
    }
  }
  return { tokensPerS: (tokens * 1000) / (toMs - fromMs), gapsMs };
}

/** Starts that many chats; each has its prompt, the same in every round. Resolves when all are decoding. */
async function startChats(text: TextNode, count: number, newTokensMax: number): Promise<Stream[]> {
  const prompts = Array.from({ length: count }, (_, chat) => promptOf(CONTEXT, 1 + chat));
  // Known prompts: all chats then decode from the start, instead of some while the others' prompts are computed.
  for (const ids of prompts) await generateWhole(text, ids, 1);
  const streams = prompts.map((ids) => new Stream(text, ids, newTokensMax));
  await Promise.all(streams.map((stream) => stream.reached(2)));
  return streams;
}

async function stopChats(streams: readonly Stream[]): Promise<void> {
  await Promise.all(streams.map((stream) => stream.stop()));
}

/** So many chats, decoding at once. */
async function decodeTogether(text: TextNode, count: number): Promise<Window> {
  const streams = await startChats(text, count, NEW_TOKENS_MAX);
  const fromMs = performance.now();
  await Promise.all(streams.map((stream) => stream.reached(stream.ids.length + STEPS)));
  const toMs = performance.now();
  await stopChats(streams);
  return windowOf(streams, fromMs, toMs);
}

interface Disturbance {
  /** Milliseconds of a step of the others, undisturbed. */
  readonly stepMs: number;
  readonly worstGapMs: number;
  /** The same over as many steps, with nothing beside them. */
  readonly quietWorstGapMs: number;
  /** Milliseconds to the first token behind the long prompt. */
  readonly ttftMs: number;
}

/** A long prompt that nobody has seen comes in while others decode. */
async function disturb(text: TextNode, prompt: Int32Array): Promise<Disturbance> {
  const streams = await startChats(text, OTHERS, OTHERS_TOKENS_MAX);
  const fromMs = performance.now();
  await Promise.all(streams.map((stream) => stream.reached(stream.ids.length + STEPS)));
  const beganMs = performance.now();
  const long = await generateWhole(text, prompt, 1);
  const endedMs = performance.now();
  // The gap that was open at the end counts whole.
  await Promise.all(streams.map((stream) => stream.reached(stream.ids.length + 1)));
  const { gapsMs } = windowOf(streams, beganMs, performance.now());
  const quietFromMs = performance.now();
  const steps = Math.ceil(gapsMs.length / OTHERS);
  await Promise.all(streams.map((stream) => stream.reached(stream.ids.length + steps)));
  const quiet = windowOf(streams, quietFromMs, performance.now());
  await stopChats(streams);
  if (gapsMs.length === 0) throw new Error(`Nothing came while the prompt was read for ${endedMs - beganMs} ms.`);
  return {
    stepMs: median(windowOf(streams, fromMs, beganMs).gapsMs),
    worstGapMs: Math.max(...gapsMs),
    quietWorstGapMs: Math.max(...quiet.gapsMs),
    ttftMs: long.ttftMs,
  };
}

export const batch: Benchmark = {
  name: 'batch',
  summary: 'SmolLM2, 1 to 16 chats at once, a long prompt beside them, and llama.cpp with 8 (needs --gguf)',
  threads: availableParallelism(),
  async run({ rounds, threads, gguf, say }) {
    const llama = await LlamaCpp.start(await ggufOf(gguf), say);
    const text = await startTextNode(threads, Math.max(...SIZES));
    try {
      const configOf = (flashAttention: boolean): LlamaConfig => ({ threads, flashAttention, sequences: COMPARED });
      const llamaRate = async (flashAttention: boolean): Promise<number> => {
        const config = configOf(flashAttention);
        const prompts = Array.from({ length: COMPARED }, (_, chat) => [...promptOf(CONTEXT, 1 + chat)]);
        const { stepMs } = await llama.run({ config, prompts, count: STEPS + 1 });
        return (COMPARED * stepMs.length * 1000) / stepMs.reduce((sum, ms) => sum + ms);
      };
      const p95: Record<number, number[]> = Object.fromEntries(SIZES.map((size) => [size, []]));
      const stepMs: number[] = [];
      const longTtftMs: number[] = [];
      const quietGaps: number[] = [];
      let seed = 1_000;
      const contenders: Record<string, () => Promise<readonly number[]>> = {};
      for (const size of SIZES) {
        contenders[`batch${size}_tokens_per_s`] = async () => {
          const { tokensPerS, gapsMs } = await decodeTogether(text, size);
          p95[size]?.push(quantile(gapsMs, 0.95));
          return [tokensPerS];
        };
      }
      // What the runtime allows, with nothing around it.
      const bare = await RewrittenDecoder.open(threads);
      for (const size of [1, COMPARED]) {
        contenders[`bare${size}_tokens_per_s`] = async () => [(size * 1000) / (await bare.stepMs(size, CONTEXT))];
      }
      contenders.prefill_worst_gap_steps = async () => {
        const result = await disturb(text, promptOf(LONG_PROMPT, seed++));
        stepMs.push(result.stepMs);
        longTtftMs.push(result.ttftMs);
        quietGaps.push(result.quietWorstGapMs / result.stepMs);
        return [result.worstGapMs / result.stepMs];
      };
      say('  warming up');
      for (const warm of Object.values(contenders)) await warm();
      for (const list of [...Object.values(p95), stepMs, longTtftMs, quietGaps]) list.length = 0;
      for (const flashAttention of [false, true]) await llama.check(configOf(flashAttention));
      const [without, withFlash] = [await llamaRate(false), await llamaRate(true)];
      const flashAttention = withFlash > without;
      say(
        `  llama.cpp: ${without.toFixed(0)} tokens/s, with flash attention ${withFlash.toFixed(0)}; the better is compared`,
      );
      contenders[`llamacpp${COMPARED}_tokens_per_s`] = async () => [await llamaRate(flashAttention)];
      say(`  ${rounds} rounds`);
      const results = await interleave(rounds, contenders);

      const flat = (name: string): number[] => (results[name] ?? []).flat();
      // Pair by pair within a round: drift of the machine cancels.
      const pairs = (a: readonly number[], b: readonly number[]): number =>
        median(a.map((value, index) => value / (b[index] as number)));
      const rates = (size: number): number[] => flat(`batch${size}_tokens_per_s`);
      const gaps = (size: number): number[] => p95[size] ?? [];
      return {
        figures: {
          batch8_throughput_ratio: pairs(rates(COMPARED), rates(1)),
          batch8_ratio_vs_llamacpp: pairs(rates(COMPARED), flat(`llamacpp${COMPARED}_tokens_per_s`)),
          bare8_throughput_ratio: pairs(flat(`bare${COMPARED}_tokens_per_s`), flat('bare1_tokens_per_s')),
          p95_gap_ratio_8: pairs(gaps(COMPARED), gaps(1)),
          prefill_worst_gap_steps: median(flat('prefill_worst_gap_steps')),
          quiet_worst_gap_steps: median(quietGaps),
          threads,
          llamacpp_flash_attention: Number(flashAttention),
          llamacpp_amx: Number(llama.usesAmx),
          ...Object.fromEntries(SIZES.map((size) => [`batch${size}_tokens_per_s`, median(rates(size))])),
          llamacpp8_tokens_per_s: median(flat(`llamacpp${COMPARED}_tokens_per_s`)),
          ...Object.fromEntries(SIZES.map((size) => [`batch${size}_gap_ms_p95`, median(gaps(size))])),
          long_prompt_ttft_ms: median(longTtftMs),
        },
        samples: {
          ...Object.fromEntries(Object.entries(results).map(([name, list]) => [name, list.flat()])),
          ...Object.fromEntries(SIZES.map((size) => [`batch${size}_gap_ms_p95`, gaps(size)])),
          others_step_ms: stepMs,
          quiet_worst_gap_steps: quietGaps,
          long_prompt_ttft_ms: longTtftMs,
        },
      };
    } finally {
      await text.node.stop();
      await llama.stop();
    }
  },
};
