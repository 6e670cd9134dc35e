// The chat of `weft run MODEL` at a terminal: lines in, streamed answers out, history in memory.
import { createInterface, type Interface } from 'node:readline';
import { toWeftError } from '../../protocol/errors.ts';
import { type ChatReading, type ChatSettings, type Message, streamChat } from './chat-stream.ts';
import type { Client } from './client.ts';
import type { CommandContext } from './context.ts';
import { describeError } from './errors.ts';
import { printableLines } from './format.ts';
import { CHAT_LINES_WAITING_MAX, CHAT_MESSAGES_MAX } from './limits.ts';
import { dimLine } from './style.ts';

export interface ChatLoopInit {
  readonly client: Client;
  readonly model: string;
  readonly settings: ChatSettings;
  /** Stands before every request; `/clear` keeps it. */
  readonly system: string | undefined;
  readonly context: CommandContext;
  /** The line under an answer. */
  readonly summary: (reading: ChatReading, signal: AbortSignal) => Promise<string>;
}

const PROMPT = '>>> ';
const PROMPT_MORE = '... ';
const FENCE = '"""';
const HELP = `  """       begin several lines; """ ends them
  /clear    forget what was said
  /bye      leave (Ctrl-D too); Ctrl-C stops an answer
`;

/** Chats until /bye, Ctrl-D or the context's signal. Failures of single answers are printed, and the chat goes on. */
export async function chatLoop(init: ChatLoopInit): Promise<void> {
  const chat = new Chat(init);
  await chat.run();
}

class Chat {
  readonly #init: ChatLoopInit;
  readonly #lines: Interface;
  /** Lines that came while an answer was streaming, oldest first. */
  readonly #waiting: string[] = [];
  readonly #history: Message[] = [];
  /** Lines of an open `"""`. */
  #block: string[] | undefined;
  #answering: AbortController | undefined;
  #closed = false;

  constructor(init: ChatLoopInit) {
    this.#init = init;
    const { stdin, stdout } = init.context;
    this.#lines = createInterface({ input: stdin, output: stdout, terminal: true, prompt: PROMPT });
  }

  run(): Promise<void> {
    const { stdout, signal } = this.#init.context;
    stdout.write(`Chat with ${this.#init.model}. /help shows what you can type, /bye leaves.\n`);
    return new Promise((resolve, reject) => {
      const leave = () => this.#lines.close();
      signal.addEventListener('abort', leave, { once: true });
      this.#lines
        .on('line', (line) => {
          if (this.#waiting.length < CHAT_LINES_WAITING_MAX) this.#waiting.push(line);
          if (this.#answering === undefined) this.#work().catch(reject);
        })
        .on('SIGINT', () => this.#onInterrupt())
        .on('close', () => {
          this.#closed = true;
          signal.removeEventListener('abort', leave);
          this.#answering?.abort();
          stdout.write('\n');
          resolve();
        });
      this.#lines.prompt();
      if (signal.aborted) leave();
    });
  }

  /** Ctrl-C: stops the answer; without one it empties the line. */
  #onInterrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort();
      return;
    }
    this.#block = undefined;
    this.#init.context.stdout.write('\n/bye or Ctrl-D leaves.\n');
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#prompt();
  }

  async #work(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      if (this.#closed) return;
      const message = this.#read(line);
      if (message !== undefined) await this.#answer(message);
    }
    this.#prompt();
  }

  #prompt(): void {
    if (this.#closed) return;
    this.#lines.setPrompt(this.#block === undefined ? PROMPT : PROMPT_MORE);
    this.#lines.prompt();
  }

  /** Takes a line in; returns a message when one is whole. */
  #read(line: string): string | undefined {
    if (this.#block !== undefined) {
      const ends = line.trimEnd().endsWith(FENCE);
      this.#block.push(ends ? line.trimEnd().slice(0, -FENCE.length) : line);
      return ends ? this.#closeBlock() : undefined;
    }
    const text = line.trim();
    if (text.startsWith(FENCE)) {
      const first = text.slice(FENCE.length);
      const ends = first.endsWith(FENCE);
      this.#block = [ends ? first.slice(0, -FENCE.length) : first];
      return ends ? this.#closeBlock() : undefined;
    }
    const { stdout } = this.#init.context;
    if (text === '/bye') this.#lines.close();
    else if (text === '/clear') this.#history.length = 0;
    else if (text === '/help' || text === '/?') stdout.write(HELP);
    else if (text.startsWith('/')) stdout.write(`There is no ${text}.\n${HELP}`);
    else if (text !== '') return text;
    return undefined;
  }

  #closeBlock(): string | undefined {
    const text = (this.#block ?? []).join('\n').trim();
    this.#block = undefined;
    return text === '' ? undefined : text;
  }

  async #answer(content: string): Promise<void> {
    const { client, model, settings, system, context, summary } = this.#init;
    const { stdout, stderr } = context;
    const answering = new AbortController();
    this.#answering = answering;
    const signal = AbortSignal.any([context.signal, answering.signal]);
    let text = '';
    const onText = (piece: string) => {
      text += piece;
      stdout.write(printableLines(piece));
    };
    const question: Message = { role: 'user', content };
    const messages: Message[] = [
      ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
      ...this.#history,
      question,
    ];
    try {
      const reading = await streamChat(client, {
        model,
        messages,
        settings,
        signal,
        onText,
        now: () => performance.now(),
      });
      stdout.write('\n');
      stderr.write(dimLine(stderr, await summary(reading, signal)));
    } catch (error) {
      stdout.write('\n');
      if (!signal.aborted) stderr.write(describeError(toWeftError(error)));
    } finally {
      this.#answering = undefined;
    }
    // What was said stays said, a stopped answer too; a question without any answer is forgotten.
    if (text === '') return;
    this.#history.push(question, { role: 'assistant', content: text });
    this.#history.splice(0, this.#history.length - CHAT_MESSAGES_MAX);
  }
}
