// `npm start`, before anything else is said: one embedding and one chat by this very node, with times and places.
import type { Coordinator } from '../core/coordinator.ts';
import { describeError } from './errors.ts';
import { printable } from './format.ts';
import { SELF_CHECK_TOKENS_MAX } from './limits.ts';

const TEXT = 'Hello world!';
/** The likeliest token leads by a margin at every step, so that kernels of any processor give the same answer. */
const QUESTION = 'Name the capital of France.';

export interface SelfCheckComponents {
  readonly coordinator: Coordinator;
  /** A node as a person names it. */
  readonly nameOf: (node: string) => string;
  readonly newRequestId: () => string;
  readonly print: (text: string) => void;
}

/**
 * Runs both, prints each as it is answered. A failure is printed too, and the node goes on: it may well serve other
 * models, or get what it lacks from a peer that comes later.
 * @returns true when both were answered
 */
export async function selfCheck(components: SelfCheckComponents, signal: AbortSignal): Promise<boolean> {
  const { print } = components;
  print('Self-check: the first answers, models being loaded\n');
  let passed = true;
  for (const check of [embed, chat]) {
    try {
      print(await check(components, signal));
    } catch (error) {
      if (signal.aborted) return false;
      passed = false;
      print(describeError(error));
    }
  }
  print('\n');
  return passed;
}

async function embed({ coordinator, nameOf, newRequestId }: SelfCheckComponents, signal: AbortSignal): Promise<string> {
  const startedAt = performance.now();
  const answer = await coordinator.embed({ model: 'minilm', inputs: [TEXT] }, { signal, requestId: newRequestId() });
  const first = [...answer.embeddings.subarray(0, 3)].map((value) => value.toFixed(4));
  return describe(
    'minilm',
    TEXT,
    `${answer.dimensions} values [${first.join(', ')}, …]`,
    `${milliseconds(performance.now() - startedAt)} on ${answer.nodes.map(nameOf).join(', ')}`,
  );
}

async function chat({ coordinator, nameOf, newRequestId }: SelfCheckComponents, signal: AbortSignal): Promise<string> {
  let text = '';
  const result = await coordinator.chat(
    {
      model: 'smollm2',
      messages: [{ role: 'user', content: QUESTION }],
      maxTokens: SELF_CHECK_TOKENS_MAX,
      temperature: 0,
      topP: 1,
      stop: [],
    },
    { signal, requestId: newRequestId() },
    {
      onDelta: (delta) => {
        text += delta.text;
      },
    },
  );
  const { ttftMs, totalMs, tokensPerSecond } = result.timings;
  return describe(
    'smollm2',
    QUESTION,
    text,
    `${milliseconds(totalMs)}, first token ${milliseconds(ttftMs)}, ${tokensPerSecond.toFixed(1)} tokens/s ` +
      `on ${result.nodes.map(nameOf).join(', ')}`,
  );
}

/** Always in one unit, so that the lines compare. */
const milliseconds = (ms: number): string => `${Math.round(ms)} ms`;

function describe(model: string, question: string, answer: string, how: string): string {
  return `  ${model.padEnd(9)}${question} → ${printable(answer)}\n${' '.repeat(11)}${how}\n`;
}
