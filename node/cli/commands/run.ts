// `weft run MODEL [PROMPT…]`: one answer for an argument or a pipe, else a chat at the terminal.
import { type Command, InvalidArgumentError } from 'commander';
import { WeftError } from '../../../protocol/errors.ts';
import { chatLoop } from '../chat-repl.ts';
import { type ChatReading, type Message, streamChat } from '../chat-stream.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson, readPipe } from '../context.ts';
import { formatMs, printableLines } from '../format.ts';
import { nameNodes } from '../node-names.ts';
import { dimLine } from '../style.ts';

interface Options extends ClientOptions {
  readonly json?: true;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<model>', 'short name or hub id, such as smollm2')
    .argument('[prompt...]', 'what to ask; without it the prompt comes from a pipe, or a chat begins')
    .option('--system <text>', 'instructions that stand before the chat')
    .option('--max-tokens <n>', 'most tokens of an answer', integer)
    .option('--temperature <x>', '0 takes the likeliest token each time, 2 is the wildest', decimal)
    .option('--top-p <x>', 'draw from the likeliest tokens that reach this probability', decimal)
    .option('--seed <n>', 'the same seed gives the same answer', integer)
    .option('--json', 'print one JSON object when the answer is whole')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .addHelpText('after', '\nIn a chat: """ begins and ends several lines, /clear forgets, /bye or Ctrl-D leaves.')
    .action(async (model: string, words: readonly string[], options: Options) => {
      if (words.length === 0 && context.stdin.isTTY && !options.json) {
        const { client } = await connect(context, options);
        return chatLoop({
          client,
          model,
          settings: options,
          system: options.system,
          context,
          summary: summaryOf(client),
        });
      }
      const prompt = words.length > 0 ? words.join(' ') : context.stdin.isTTY ? '' : await readPipe(context);
      if (prompt.trim() === '') {
        throw new WeftError({
          code: 'bad_request',
          message: 'There is no prompt.',
          remedy: 'Write it behind the model, or send it through a pipe.',
        });
      }
      const { client } = await connect(context, options);
      await answerOnce(client, model, prompt, options, context);
    });
}

async function answerOnce(client: Client, model: string, prompt: string, options: Options, context: CommandContext) {
  const messages: Message[] = [
    ...(options.system === undefined ? [] : [{ role: 'system' as const, content: options.system }]),
    { role: 'user', content: prompt },
  ];
  const { stdout, stderr, signal } = context;
  let open = false; // a line has been begun that isn't ended
  const onText = (text: string) => {
    if (options.json) return;
    open = true;
    stdout.write(stdout.isTTY ? printableLines(text) : text);
  };
  try {
    const reading = await streamChat(client, { model, messages, settings: options, signal, onText, now: monotonic });
    if (options.json) return printJson(context, toJson(reading));
    stdout.write('\n');
    open = false;
    stderr.write(dimLine(stderr, await summaryOf(client)(reading, signal)));
  } finally {
    if (open) stdout.write('\n');
  }
}

const monotonic = () => performance.now();

/** `laptop (here) · first token 210 ms · 71.3 tokens/s · 24 tokens` */
function summaryOf(client: Client): (reading: ChatReading, signal: AbortSignal) => Promise<string> {
  return async (reading, signal) => {
    const parts = [await nameNodes(client, reading.nodes, { signal }), `first token ${formatMs(reading.ttftMs)}`];
    if (reading.tokensPerSecond !== undefined) parts.push(`${reading.tokensPerSecond.toFixed(1)} tokens/s`);
    parts.push(`${reading.completionTokens} tokens${reading.finishReason === 'length' ? ', cut at the limit' : ''}`);
    return parts.join(' · ');
  };
}

/** The stable schema of `--json`; see docs/cli.md. */
function toJson(reading: ChatReading): object {
  const rounded = (value: number) => Math.round(value * 100) / 100;
  return {
    model: reading.model,
    text: reading.text,
    finish_reason: reading.finishReason,
    usage: {
      prompt_tokens: reading.promptTokens,
      completion_tokens: reading.completionTokens,
      total_tokens: reading.promptTokens + reading.completionTokens,
    },
    nodes: reading.nodes,
    ttft_ms: rounded(reading.ttftMs),
    total_ms: rounded(reading.totalMs),
    tokens_per_second: reading.tokensPerSecond === undefined ? null : rounded(reading.tokensPerSecond),
  };
}

function integer(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('Write a whole number.');
  return value;
}

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Write a number.');
  return value;
}
