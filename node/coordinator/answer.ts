// One choice's tokens → what goes out: whole characters, calls of tools taken out, cut at stop strings. Text goes out as
// soon as no stop string and no call can begin in it any more. Fed by the choices.
//
// Stop strings are looked for in the text alone, from one call of a tool to the next: they can't end a call half-way.
import { StopMatcher } from '../../models/tasks/stop-matcher.ts';
import type { TextGenerationTask } from '../../models/tasks/text-generation.ts';
import { type AnswerPiece, ToolCallParser } from '../../models/tasks/tool-calls.ts';
import type { TokenLogprob } from '../../protocol/infer.ts';
import type { AnswerDelta } from '../core/coordinator.ts';
import { TokenReports } from './token-reports.ts';

export interface AnswerInit {
  readonly task: Pick<TextGenerationTask, 'detokenizer' | 'eosIds' | 'piece'>;
  readonly stops: readonly string[];
  /** Names of the tools that it may call; none = nothing is taken out. */
  readonly tools: readonly string[];
  /** Report log probabilities. */
  readonly logprobs: boolean;
  readonly newCallId: () => string;
  readonly onDelta: (delta: Omit<AnswerDelta, 'choice'>) => void;
}

export class Answer {
  readonly #init: AnswerInit;
  readonly #eosIds: ReadonlySet<number>;
  readonly #detokenizer: ReturnType<TextGenerationTask['detokenizer']>;
  readonly #parser: ToolCallParser | undefined;
  readonly #matcher: StopMatcher;
  readonly #reports: TokenReports | undefined;
  /** How many were drawn, up to the one that ended it. */
  tokens = 0;
  /** Calls of tools that went out. */
  calls = 0;
  /** A stop string was found: nothing more comes. */
  stopped = false;

  constructor(init: AnswerInit) {
    const { task, stops, tools, logprobs } = init;
    this.#init = init;
    this.#eosIds = new Set(task.eosIds);
    this.#detokenizer = task.detokenizer();
    this.#parser = tools.length > 0 ? new ToolCallParser(tools) : undefined;
    this.#matcher = new StopMatcher(stops);
    this.#reports = logprobs ? new TokenReports({ piece: task.piece }) : undefined;
  }

  take(ids: readonly number[], logprobs: readonly TokenLogprob[] = []): void {
    for (const [index, id] of ids.entries()) {
      if (this.stopped) return;
      this.tokens++;
      // The token that ends a turn is drawn and counted, and has no text.
      if (this.#eosIds.has(id)) continue;
      this.#reports?.drawn(id, logprobs[index]);
      this.#text(this.#detokenizer.push([id]));
    }
  }

  /** No token follows: what was held back goes out, a call that was cut as the text that it is. */
  end(): void {
    if (this.stopped) return;
    this.#text(this.#detokenizer.flush());
    for (const piece of this.#parser?.end() ?? []) this.#piece(piece);
    if (!this.stopped) this.#show(this.#matcher.flush());
  }

  #text(text: string): void {
    this.#reports?.text(text.length);
    if (this.#parser === undefined) this.#match(text);
    else for (const piece of this.#parser.push(text)) this.#piece(piece);
  }

  #piece(piece: AnswerPiece): void {
    if (this.stopped) return;
    if (piece.kind === 'text') {
      this.#match(piece.text);
      return;
    }
    if (piece.kind === 'call') this.#show(this.#matcher.flush());
    this.#reports?.dropped(piece.length);
    if (piece.kind === 'blank') return;
    this.calls++;
    this.#init.onDelta({ text: '', toolCall: { id: this.#init.newCallId(), ...piece.call } });
  }

  #match(text: string): void {
    const { text: shown, stopped } = this.#matcher.push(text);
    this.stopped = stopped;
    this.#show(shown);
  }

  #show(text: string): void {
    if (text === '') return;
    const logprobs = this.#reports?.shown(text.length);
    this.#init.onDelta(logprobs === undefined ? { text } : { text, logprobs });
  }
}
