// llama.cpp as node-llama-cpp brings it, in a process of its own: the contender of `llm` and `batch`, started by llama.ts.
// One JSON object per line comes in on stdin, one per line goes out on stdout.
import { createInterface } from 'node:readline';
import { getLlama, type LlamaContext, LlamaLogLevel, type LlamaModel, type Token } from 'node-llama-cpp';
import type { LlamaAnswer, LlamaConfig, LlamaWork } from './llama.ts';

const CONTEXT_TOKENS = 2_048;

/** Keeps one context open: the one of the last work. */
class Worker {
  readonly #model: LlamaModel;
  #context: LlamaContext | undefined;
  #config: LlamaConfig | undefined;

  constructor(model: LlamaModel) {
    this.#model = model;
  }

  async #open(config: LlamaConfig): Promise<LlamaContext> {
    if (this.#context !== undefined && JSON.stringify(config) === JSON.stringify(this.#config)) return this.#context;
    await this.#context?.dispose();
    this.#config = config;
    this.#context = await this.#model.createContext({
      contextSize: CONTEXT_TOKENS,
      sequences: config.sequences,
      threads: config.threads,
      flashAttention: config.flashAttention,
    });
    return this.#context;
  }

  async run({ config, prompts, count }: LlamaWork): Promise<LlamaAnswer> {
    const context = await this.#open(config);
    if (context.idealThreads !== config.threads) throw new Error(`llama.cpp takes ${context.idealThreads} threads.`);
    const sequences = prompts.map(() => context.getSequence());
    try {
      const ttftMs: number[] = [];
      const ids: number[][] = [];
      const streams = [];
      for (const [index, sequence] of sequences.entries()) {
        if (sequence.tokenPredictor !== undefined) throw new Error('llama.cpp would speculate.');
        const stream = sequence.evaluate(prompts[index] as Token[], { temperature: 0, yieldEogToken: true });
        const begun = performance.now();
        const { value } = await stream.next();
        ttftMs.push(performance.now() - begun);
        ids.push([value as Token]);
        streams.push(stream);
      }
      const stepMs: number[] = [];
      // In step: every batch then holds all the sequences.
      for (let step = 1; step < count; step++) {
        const begun = performance.now();
        const drawn = await Promise.all(streams.map((stream) => stream.next()));
        stepMs.push(performance.now() - begun);
        for (const [index, { value }] of drawn.entries()) ids[index]?.push(value as Token);
      }
      for (const [index, sequence] of sequences.entries()) {
        // The last token was drawn and not evaluated.
        const expected = (prompts[index] as readonly number[]).length + count - 1;
        if (sequence.nextTokenIndex !== expected)
          throw new Error(`llama.cpp holds ${sequence.nextTokenIndex} tokens instead of ${expected}.`);
      }
      await Promise.all(streams.map((stream) => stream.return()));
      return { ids, ttftMs, stepMs };
    } finally {
      for (const sequence of sequences) await sequence.dispose();
    }
  }
}

const [gguf = ''] = process.argv.slice(2);
// What is installed, on the CPU: nothing is downloaded, nothing is built.
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  progressLogs: false,
  logLevel: LlamaLogLevel.error,
  // No limit of its own: a context has the threads that it is asked for.
  maxThreads: 0,
});
const worker = new Worker(await llama.loadModel({ modelPath: gguf }));
process.stdout.write(`${JSON.stringify({ ready: true, systemInfo: llama.systemInfo })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await worker.run(JSON.parse(line) as LlamaWork).catch((error: Error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await llama.dispose();
