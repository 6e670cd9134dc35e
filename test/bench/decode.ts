// What streaming costs beside the arithmetic: SmolLM2, a 64-token prompt, 128 greedy tokens, in a plain onnxruntime-node
// loop, through the node's engine, and streamed from a second node process on loopback.
import type { GenerateRequest, OnTokens } from '../../protocol/infer.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { offered, startBenchNodes } from './nodes.ts';
import { PlainDecoder } from './plain.ts';

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;

const options = () => ({ signal: new AbortController().signal, requestId: 'req_bench' });

export const decode: Benchmark = {
  name: 'decode',
  summary: 'SmolLM2: plain loop, through the engine, and streamed from a peer on loopback',
  async run({ rounds, threads, say }) {
    const plain = await PlainDecoder.open(threads);
    const nodes = await startBenchNodes(threads);
    try {
      const { model } = offered(nodes.entry, 'text-generation').offer;
      const ids = Int32Array.from({ length: PROMPT_TOKENS }, (_, index) => 400 + ((index * 131) % 20_000));
      const request: GenerateRequest = {
        model,
        ids,
        promptLength: PROMPT_TOKENS,
        maxNewTokens: NEW_TOKENS,
        // No stop id: every contender draws the same number of tokens.
        stopIds: [],
        sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
      };
      const collect = async (work: (onTokens: OnTokens) => Promise<unknown>): Promise<number[]> => {
        const tokens: number[] = [];
        await work((_first, drawn) => tokens.push(...drawn));
        return tokens;
      };
      const contenders: Record<string, () => Promise<number[]>> = {
        plain: () => plain.generate(ids, NEW_TOKENS),
        engine: () => collect((onTokens) => nodes.here.node.engine.generate(request, options(), onTokens)),
        local: () => collect((onTokens) => nodes.here.node.dispatcher.generate(request, options(), onTokens)),
        peer: () => collect((onTokens) => nodes.entry.node.dispatcher.generate(request, options(), onTokens)),
      };
      const timed = (who: string, generate: () => Promise<number[]>) => async (): Promise<readonly number[]> => {
        const start = performance.now();
        const tokens = await generate();
        const rate = (NEW_TOKENS * 1000) / (performance.now() - start);
        if (tokens.length !== NEW_TOKENS) throw new Error(`${who} gave ${tokens.length} tokens.`);
        return [rate];
      };
      const series = Object.fromEntries(
        Object.entries(contenders).map(([who, generate]) => [`${who}_tokens_per_s`, timed(who, generate)]),
      );
      say('  warming up');
      for (const warm of Object.values(series)) await warm();
      say(`  ${rounds} rounds`);
      const results = await interleave(rounds, series);
      const flat = (who: string): number[] => (results[`${who}_tokens_per_s`] ?? []).flat();
      // Ratios pair by pair within a round: drift of the machine cancels.
      const ratio = (a: string, b: string): number =>
        median(flat(a).map((value, index) => value / (flat(b)[index] as number)));
      return {
        figures: {
          engine_ratio_vs_raw: ratio('engine', 'plain'),
          peer_ratio_vs_local: ratio('peer', 'local'),
          plain_tokens_per_s: median(flat('plain')),
          engine_tokens_per_s: median(flat('engine')),
          peer_tokens_per_s: median(flat('peer')),
        },
        samples: Object.fromEntries(Object.keys(contenders).map((who) => [`${who}_tokens_per_s`, flat(who)])),
      };
    } finally {
      await nodes.stop();
    }
  },
};
