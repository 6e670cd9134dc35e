// SmolLM2, one sequence at a time: the engine against the graph that it runs, against the plain loop, and against
// llama.cpp at three lengths of context; the second turn of a conversation; and what the runner's JavaScript holds.
import { availableParallelism } from 'node:os';
import { type Benchmark, interleave, median } from './harness.ts';
import { ggufOf, type LlamaConfig, LlamaCpp } from './llama.ts';
import { PlainDecoder, RewrittenDecoder, rateOf, smolKernelTimes } from './plain.ts';
import { heapAndExternal, inspectable } from './runner-heap.ts';
import { generateWhole, promptOf, Stream, startTextNode, type TextNode, threadCounts } from './streams.ts';

/** Tokens before the first one that is timed. */
const CONTEXTS = [32, 256, 1_024] as const;
const BARE_CONTEXT = 256;
const PLAIN_CONTEXT = 512;
const PLAIN_THREADS = 2;
const PREFILL_TOKENS = 256;
/** The first of them ends the prefill and is not timed. */
const NEW_TOKENS = 49;
/** A conversation of 400 tokens, and what is said next. */
const CONVERSATION = { prompt: 352, answer: 48, next: 24 } as const;
const HEAP_CONTEXT = 1_024;
const HEAP_SAMPLES = 3;
/** Of each setting, before the rounds; the best of them counts. */
const TRIALS = 4;
/** Generations at once that the node may be asked for, as it is set by default. */
const PARALLEL = 4;

type Measure<Setting> = (setting: Setting) => Promise<number>;

/** Which setting gives the highest rate. */
async function best<Setting>(settings: readonly Setting[], measure: Measure<Setting>): Promise<Setting> {
  let found: { readonly setting: Setting; readonly rate: number } | undefined;
  for (let trial = 0; trial < TRIALS; trial++) {
    for (const setting of settings) {
      const rate = await measure(setting);
      if (found === undefined || rate > found.rate) found = { setting, rate };
    }
  }
  if (found === undefined) throw new RangeError('No settings.');
  return found.setting;
}

export const llm: Benchmark = {
  name: 'llm',
  summary: 'SmolLM2, one sequence: the engine, its bare graph, the plain loop and llama.cpp (needs --gguf)',
  threads: availableParallelism(),
  async run({ rounds, threads, gguf, say }) {
    const llama = await LlamaCpp.start(await ggufOf(gguf), say);
    const engines = new Map<number, TextNode>();
    const engine = async (count: number): Promise<TextNode> => {
      const text = engines.get(count) ?? (await startTextNode(count, PARALLEL));
      engines.set(count, text);
      return text;
    };
    try {
      let seed = 1;
      const fresh = (length: number): Int32Array => promptOf(length, 1_000 + seed++);
      const decodes = (context: number) => async (count: number) =>
        (await generateWhole(await engine(count), promptOf(context, context), NEW_TOKENS)).decodeRate;
      const prefills = async (count: number): Promise<number> =>
        (PREFILL_TOKENS * 1000) / (await generateWhole(await engine(count), fresh(PREFILL_TOKENS), 1)).ttftMs;
      const llamaDecodes = (context: number) => async (config: LlamaConfig) => {
        const prompts = [[...promptOf(context, context)]];
        const { stepMs } = await llama.run({ config, prompts, count: NEW_TOKENS });
        return (stepMs.length * 1000) / stepMs.reduce((sum, ms) => sum + ms);
      };
      const llamaPrefills = async (config: LlamaConfig): Promise<number> => {
        const { ttftMs } = await llama.run({ config, prompts: [[...fresh(PREFILL_TOKENS)]], count: 1 });
        return (PREFILL_TOKENS * 1000) / (ttftMs[0] ?? Number.NaN);
      };

      const counts = threadCounts();
      const configs = counts.flatMap((count) =>
        [false, true].map((flashAttention) => ({ threads: count, flashAttention, sequences: 1 })),
      );
      for (const config of configs) await llama.check(config);
      const chosen: Record<string, number> = {};
      const contenders: Record<string, () => Promise<readonly number[]>> = {};
      const compare = async (what: string, ours: Measure<number>, theirs: Measure<LlamaConfig>): Promise<void> => {
        const count = await best(counts, ours);
        const config = await best(configs, theirs);
        say(
          `  ${what}: engine best at ${count} threads, llama.cpp at ${config.threads}, ` +
            `flash attention ${config.flashAttention ? 'on' : 'off'}`,
        );
        chosen[`engine_${what}_threads`] = count;
        chosen[`llamacpp_${what}_threads`] = config.threads;
        chosen[`llamacpp_${what}_flash_attention`] = Number(config.flashAttention);
        contenders[`engine_${what}_tokens_per_s`] = async () => [await ours(count)];
        contenders[`llamacpp_${what}_tokens_per_s`] = async () => [await theirs(config)];
      };
      for (const context of CONTEXTS) await compare(`decode_${context}`, decodes(context), llamaDecodes(context));
      await compare('prefill', prefills, llamaPrefills);

      const bare = await RewrittenDecoder.open(threads);
      const plain = await PlainDecoder.open(PLAIN_THREADS);
      const bareRate = (): Promise<number> =>
        rateOf((onToken) => bare.generate(promptOf(BARE_CONTEXT, 2), NEW_TOKENS, onToken));
      const plainRate = (): Promise<number> =>
        rateOf((onToken) => plain.generate(promptOf(PLAIN_CONTEXT, 3), NEW_TOKENS, onToken));
      const engineRate = async (count: number, ids: Int32Array): Promise<number> =>
        (await generateWhole(await engine(count), ids, NEW_TOKENS)).decodeRate;
      contenders.bare_rewritten_tokens_per_s = async () => [await bareRate()];
      contenders.engine_beside_bare_tokens_per_s = async () => [await engineRate(threads, promptOf(BARE_CONTEXT, 2))];
      contenders.plain_512_tokens_per_s = async () => [await plainRate()];
      contenders.engine_512_tokens_per_s = async () => [await engineRate(PLAIN_THREADS, promptOf(PLAIN_CONTEXT, 3))];
      const { prompt, answer, next } = CONVERSATION;
      contenders.ttft_cold_ms = async () => {
        const { ttftMs } = await generateWhole(await engine(threads), fresh(prompt + answer + next), 1);
        return [ttftMs];
      };
      contenders.ttft_second_turn_ms = async () => {
        const text = await engine(threads);
        const asked = fresh(prompt);
        const first = await generateWhole(text, asked, answer);
        const { ttftMs } = await generateWhole(text, Int32Array.from([...asked, ...first.ids, ...fresh(next)]), 1);
        return [ttftMs];
      };

      say('  warming up');
      for (const warm of Object.values(contenders)) await warm();
      const draftedBefore = acceptedDrafts(engines);
      say(`  ${rounds} rounds`);
      const results = await interleave(rounds, contenders);
      const drafted = acceptedDrafts(engines) - draftedBefore;
      await stopAll(engines);
      const heapMb = await heapAt(HEAP_CONTEXT, threads);
      const kernels = await smolKernelTimes({ threads: chosen.engine_decode_256_threads ?? threads, context: 256 });

      const flat = (name: string): number[] => (results[name] ?? []).flat();
      // Ratios pair by pair within a round: drift of the machine cancels.
      const ratio = (a: string, b: string): number =>
        median(flat(a).map((value, index) => value / (flat(b)[index] as number)));
      const against = (what: string): number => ratio(`engine_${what}_tokens_per_s`, `llamacpp_${what}_tokens_per_s`);
      return {
        figures: {
          ratio_vs_bare_rewritten: ratio('engine_beside_bare_tokens_per_s', 'bare_rewritten_tokens_per_s'),
          decode_ratio_vs_plain_512: ratio('engine_512_tokens_per_s', 'plain_512_tokens_per_s'),
          ...Object.fromEntries(
            CONTEXTS.map((context) => [`decode_ratio_vs_llamacpp_${context}`, against(`decode_${context}`)]),
          ),
          prefill_ratio_vs_llamacpp: against('prefill'),
          ttft_cached_prefix_ratio: ratio('ttft_second_turn_ms', 'ttft_cold_ms'),
          heap_external_mb_1024: median(heapMb),
          ...chosen,
          llamacpp_amx: Number(llama.usesAmx),
          // The runtime's kernels of one step, and those of them that multiply with weights: what no code around them changes.
          kernels_ms_256: kernels.allMs,
          weight_kernels_ms_256: kernels.weightsMs,
          // 0 where every token that is compared came from a step of its own.
          accepted_drafts: drafted,
          ...Object.fromEntries(Object.keys(contenders).map((name) => [name, median(flat(name))])),
        },
        samples: {
          ...Object.fromEntries(Object.keys(contenders).map((name) => [name, flat(name)])),
          heap_external_mb_1024: heapMb,
        },
      };
    } finally {
      await stopAll(engines);
      await llama.stop();
    }
  },
};

async function stopAll(engines: Map<number, TextNode>): Promise<void> {
  for (const { node } of engines.values()) await node.stop();
  engines.clear();
}

/** Tokens that were guessed rather than computed one by one, since the nodes started. */
function acceptedDrafts(engines: ReadonlyMap<number, TextNode>): number {
  return [...engines.values()]
    .flatMap(({ engine }) => engine.loaded())
    .reduce((sum, { generation }) => sum + (generation?.acceptedTokens ?? 0), 0);
}

/** Megabytes of heap and external memory in the runner of a sequence that has reached this context. */
async function heapAt(context: number, threads: number): Promise<number[]> {
  const { value: text, port } = await inspectable(() => startTextNode(threads, PARALLEL));
  try {
    const lead = 16;
    const stream = new Stream(text, promptOf(context - lead, 4), context);
    await stream.reached(lead);
    const { runnerPid } = text.engine.loaded().find(({ id }) => id === text.model.id) ?? {};
    if (runnerPid === undefined) throw new Error('Nobody generates.');
    const megabytes: number[] = [];
    for (let sample = 0; sample < HEAP_SAMPLES; sample++)
      megabytes.push((await heapAndExternal(runnerPid, port)) / 2 ** 20);
    await stream.stop();
    return megabytes;
  } finally {
    await text.node.stop();
  }
}
