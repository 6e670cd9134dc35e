// Follows one answer while it is written: joins its stream behind the characters that are here, has it shown now and then, and joins
// again, a little later each time, where the stream breaks. What reads, waits and paints is given to it.
import type { AnswerPiece, ConversationMessage } from '../../../../protocol/api/control/conversations.ts';
import { REJOIN_MS_MAX, REJOIN_MS_MIN } from './limits.ts';

/** `gone`: the node doesn't know the message any more, or not this page. */
export type FollowState = 'following' | 'broken' | 'ended' | 'gone';

export interface AnswerStreamComponents {
  /** Reads the stream from this character on until it ends; rejects with what has a `status`, as ApiError does. */
  readonly open: (init: {
    readonly from: number;
    readonly signal: AbortSignal;
    readonly onEvent: (event: { readonly event: string; readonly data: string }) => void;
  }) => Promise<void>;
  /** Calls back after so many milliseconds; returns what calls it off. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Calls back when the page may show something new. */
  readonly frame: (callback: () => void) => void;
}

export interface AnswerStreamInit {
  /** What is here already. */
  readonly text: string;
  readonly onChange: () => void;
  /** The answer has ended: the whole message. */
  readonly onDone: (message: ConversationMessage) => void;
}

export class AnswerStream {
  readonly #components: AnswerStreamComponents;
  readonly #init: AnswerStreamInit;
  readonly #stopped = new AbortController();
  #text: string;
  #state: FollowState = 'following';
  #failures = 0;
  #framed = false;
  #cancelWait: (() => void) | undefined;

  constructor(components: AnswerStreamComponents, init: AnswerStreamInit) {
    this.#components = components;
    this.#init = init;
    this.#text = init.text;
  }

  get text(): string {
    return this.#text;
  }

  get state(): FollowState {
    return this.#state;
  }

  /** Called once. */
  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
    this.#cancelWait?.();
  }

  /** Joins at once where it waits: the node is back. */
  retryNow(): void {
    if (this.#cancelWait === undefined) return;
    this.#cancelWait();
    this.#cancelWait = undefined;
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopped;
    let status = 0;
    try {
      await this.#components.open({
        from: this.#text.length,
        signal,
        onEvent: ({ event, data }) => this.#take(event, JSON.parse(data) as AnswerPiece | ConversationMessage),
      });
    } catch (error) {
      ({ status = 0 } = error as { readonly status?: number });
    }
    if (signal.aborted || this.#state === 'ended') return;
    if (status === 404 || status === 401) {
      this.#enter('gone');
      return;
    }
    this.#enter('broken');
    const waitMs = Math.min(REJOIN_MS_MAX, REJOIN_MS_MIN * 2 ** this.#failures);
    this.#failures += 1;
    this.#cancelWait = this.#components.after(waitMs, () => {
      this.#cancelWait = undefined;
      void this.#follow();
    });
  }

  #take(event: string, data: AnswerPiece | ConversationMessage): void {
    if (this.#stopped.signal.aborted) return;
    this.#failures = 0;
    if (event === 'done' && 'content' in data) {
      this.#text = data.content;
      this.#state = 'ended';
      this.#init.onDone(data);
      return;
    }
    if (!('at' in data) || data.at > this.#text.length) return;
    // Pieces may begin before the end of what is here: after a break the node may send some again.
    this.#text = this.#text.slice(0, data.at) + data.text;
    this.#state = 'following';
    this.#paint();
  }

  #enter(state: FollowState): void {
    this.#state = state;
    this.#paint();
  }

  /** However many pieces come, the page is rendered once for all of them. */
  #paint(): void {
    if (this.#framed) return;
    this.#framed = true;
    this.#components.frame(() => {
      this.#framed = false;
      if (!this.#stopped.signal.aborted) this.#init.onChange();
    });
  }
}
