// The chat of `weft run MODEL` at a terminal: lines in, streamed answers out, what was said in memory.
import { createInterface, type Interface } from 'node:readline';
import { toWeftError } from '../../protocol/errors.ts';
import { type ChatCommand, FENCE, HELP, HELP_SET, parseCommand } from './chat-commands.ts';
import { type ChatSettings, describeSettings, readFormat } from './chat-settings.ts';
import { type ChatReading, type Message, streamChat } from './chat-stream.ts';
import type { Client } from './client.ts';
import type { CommandContext } from './context.ts';
import { describeError } from './errors.ts';
import { factSheet, printableLines } from './format.ts';
import { CHAT_LINES_WAITING_MAX, CHAT_MESSAGES_MAX, HISTORY_LINES_MAX } from './limits.ts';
import type { LineHistory } from './line-history.ts';
import { dimLine } from './style.ts';

export interface ChatLoopInit {
  /** Finds the daemon, anew for each answer: a later run may have another port. */
  readonly connect: () => Promise<Client>;
  readonly model: string;
  readonly settings: ChatSettings;
  /** Of every request: how soon answers are wanted. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Stands before every request; `/clear` keeps it. */
  readonly system: string | undefined;
  readonly context: CommandContext;
  /** Lines of earlier chats, and where those of this one go. */
  readonly history: LineHistory;
  /** The line under an answer. */
  readonly summary: (reading: ChatReading, signal: AbortSignal) => Promise<string>;
  /** The model's facts, for `/show`. */
  readonly describe: (signal: AbortSignal) => Promise<string>;
}

const PROMPT = '>>> ';
const PROMPT_MORE = '... ';

/** Chats until /bye, Ctrl-D or the context's signal. Failures of single answers are printed, and the chat goes on. */
export async function chatLoop(init: ChatLoopInit): Promise<void> {
  const chat = new Chat(init);
  await chat.run();
  await init.history.close();
}

class Chat {
  readonly #init: ChatLoopInit;
  readonly #lines: Interface;
  /** Lines that came while an answer was streaming, oldest first. */
  readonly #waiting: string[] = [];
  readonly #said: Message[] = [];
  #settings: ChatSettings;
  #system: string | undefined;
  /** Lines are kept for the next chat. */
  #keeping = true;
  /** A line under each answer says who gave it. */
  #verbose = true;
  /** Lines of an open `"""`, and what they become. */
  #block: { readonly lines: string[]; readonly becomes: 'message' | 'system' } | undefined;
  #working: AbortController | undefined;
  /** Ctrl-C was the last thing that was typed, at an empty prompt. */
  #leaving = false;
  #closed = false;

  constructor(init: ChatLoopInit) {
    this.#init = init;
    this.#settings = init.settings;
    this.#system = init.system;
    const { stdin, stdout } = init.context;
    this.#lines = createInterface({
      input: stdin,
      output: stdout,
      terminal: true,
      prompt: PROMPT,
      history: [...init.history.lines],
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
    });
  }

  run(): Promise<void> {
    const { stdout, signal } = this.#init.context;
    stdout.write(`Chat with ${this.#init.model}. /help shows what you can type, /bye leaves.\n`);
    return new Promise((resolve, reject) => {
      const leave = () => this.#lines.close();
      signal.addEventListener('abort', leave, { once: true });
      this.#lines
        .on('line', (line) => {
          this.#leaving = false;
          if (this.#waiting.length < CHAT_LINES_WAITING_MAX) this.#waiting.push(line);
          if (this.#working === undefined) this.#work().catch(reject);
        })
        .on('SIGINT', () => this.#onInterrupt())
        .on('close', () => {
          this.#closed = true;
          signal.removeEventListener('abort', leave);
          this.#working?.abort();
          stdout.write('\n');
          resolve();
        });
      this.#lines.prompt();
      if (signal.aborted) leave();
    });
  }

  /** Ctrl-C: stops the answer; without one it empties the line, and on an empty one the second in a row leaves. */
  #onInterrupt(): void {
    if (this.#working !== undefined) {
      this.#working.abort();
      return;
    }
    const isEmpty = this.#lines.line === '' && this.#block === undefined;
    if (isEmpty && this.#leaving) {
      this.#lines.close();
      return;
    }
    this.#leaving = isEmpty;
    this.#block = undefined;
    this.#init.context.stdout.write(isEmpty ? '\nCtrl-C once more leaves; so do /bye and Ctrl-D.\n' : '\n');
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#prompt();
  }

  async #work(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      if (this.#closed) return;
      // In turn with the commands: what follows a pasted `/set history off` is not kept.
      if (this.#keeping) this.#init.history.add(line);
      this.#working = new AbortController();
      try {
        await this.#read(line, AbortSignal.any([this.#init.context.signal, this.#working.signal]));
      } finally {
        this.#working = undefined;
      }
    }
    this.#prompt();
  }

  #prompt(): void {
    if (this.#closed) return;
    this.#lines.setPrompt(this.#block === undefined ? PROMPT : PROMPT_MORE);
    this.#lines.prompt();
  }

  /** Takes a line in, and does what it says once that is whole. */
  async #read(line: string, signal: AbortSignal): Promise<void> {
    const text = line.trim();
    if (this.#block !== undefined) {
      const { lines, becomes } = this.#block;
      const ends = text.endsWith(FENCE);
      lines.push(ends ? line.trimEnd().slice(0, -FENCE.length) : line);
      if (!ends) return;
      this.#block = undefined;
      const whole = lines.join('\n').trim();
      if (becomes === 'system') this.#instruct(whole === '' ? undefined : whole);
      else await this.#answer(whole, signal);
    } else if (text.startsWith(FENCE)) {
      const first = text.slice(FENCE.length);
      if (first.endsWith(FENCE)) await this.#answer(first.slice(0, -FENCE.length).trim(), signal);
      else this.#block = { lines: [first], becomes: 'message' };
    } else if (text.startsWith('/')) {
      await this.#obey(parseCommand(text), signal);
    } else {
      await this.#answer(text, signal);
    }
  }

  async #obey(command: ChatCommand, signal: AbortSignal): Promise<void> {
    const { stdout } = this.#init.context;
    switch (command.kind) {
      case 'bye':
        return this.#lines.close();
      case 'clear':
        this.#said.length = 0;
        return;
      case 'help':
        return void stdout.write(HELP);
      case 'help-set':
        return void stdout.write(HELP_SET);
      case 'show':
        return this.#show(command.what, signal);
      case 'parameter':
        return this.#set({ [command.key]: command.value });
      case 'stop':
        return this.#set({ stop: command.texts.length === 0 ? undefined : command.texts });
      case 'format':
        return this.#guarded(signal, async () => {
          this.#set({ responseFormat: command.format === undefined ? undefined : await readFormat(command.format) });
        });
      case 'system':
        return this.#instruct(command.text);
      case 'system-open':
        this.#block = { lines: [command.first], becomes: 'system' };
        return;
      case 'history':
        this.#keeping = command.on;
        return void stdout.write(`Lines are ${command.on ? 'kept' : 'not kept'} for the next chat.\n`);
      case 'verbose':
        this.#verbose = command.on;
        return;
      case 'wrong':
        return void stdout.write(`${printableLines(command.message)}\n`);
    }
  }

  #set(changes: { readonly [Key in keyof ChatSettings]?: ChatSettings[Key] | undefined }): void {
    const all = Object.entries({ ...this.#settings, ...changes });
    this.#settings = Object.fromEntries(all.filter(([, value]) => value !== undefined));
    this.#init.context.stdout.write('Set. /show settings says what counts now.\n');
  }

  #instruct(system: string | undefined): void {
    this.#system = system;
    this.#init.context.stdout.write(system === undefined ? 'No instructions stand before the chat.\n' : 'Set.\n');
  }

  async #show(what: 'all' | 'model' | 'settings', signal: AbortSignal): Promise<void> {
    const { context, describe } = this.#init;
    if (what !== 'settings') {
      await this.#guarded(signal, async () => void context.stdout.write(`${await describe(signal)}\n`));
    }
    if (what === 'model') return;
    const system: [string, string][] = this.#system === undefined ? [] : [['system', JSON.stringify(this.#system)]];
    const facts = [...describeSettings(this.#settings), ...system];
    context.stdout.write(
      facts.length === 0 ? 'Nothing is set: answers come as the API draws them.\n' : factSheet(facts),
    );
  }

  /** Does something that may fail: that is printed, and the chat goes on. */
  async #guarded(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!signal.aborted) this.#init.context.stderr.write(describeError(toWeftError(error)));
    }
  }

  async #answer(content: string, signal: AbortSignal): Promise<void> {
    if (content === '') return;
    const { connect, model, headers = {}, context, summary } = this.#init;
    const { stdout, stderr } = context;
    let text = '';
    const onText = (piece: string) => {
      text += piece;
      stdout.write(printableLines(piece));
    };
    const question: Message = { role: 'user', content };
    const messages: Message[] = [
      ...(this.#system === undefined ? [] : [{ role: 'system' as const, content: this.#system }]),
      ...this.#said,
      question,
    ];
    const now = () => performance.now();
    let reading: ChatReading | undefined;
    await this.#guarded(signal, async () => {
      const settings = this.#settings;
      reading = await streamChat(await connect(), { model, messages, settings, headers, signal, onText, now });
    });
    stdout.write('\n');
    // What was said stays said, a stopped answer too; a question without any answer is forgotten.
    if (text !== '') {
      this.#said.push(question, { role: 'assistant', content: text });
      this.#said.splice(0, this.#said.length - CHAT_MESSAGES_MAX);
    }
    if (reading === undefined || !this.#verbose) return;
    const whole = reading;
    await this.#guarded(signal, async () => void stderr.write(dimLine(stderr, await summary(whole, signal))));
  }
}
