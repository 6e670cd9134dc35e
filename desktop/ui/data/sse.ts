// Server-sent events out of a stream of text, as the HTML standard's "event stream interpretation" says. Pure: text goes in as it
// comes, events come out when they are whole.
import { EVENT_CHARS_MAX } from './limits.ts';

/** One block of a stream. */
export interface SseEvent {
  /** `message` where the block names none. */
  readonly event: string;
  readonly data: string;
  /** The id that holds at this point of the stream; '' before the first. */
  readonly id: string;
}

export class SseParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #dataChars = 0;
  #id = '';
  #retryMs: number | undefined;

  /** Id of the last block, with or without data: where to come back behind. */
  get lastId(): string {
    return this.#id;
  }

  /** The pause that the server asks for before coming back. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /**
   * @returns the events that these characters complete
   * @throws RangeError for an event past the cap
   */
  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    this.#rest += text;
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
      if (end === null) break;
      this.#line(this.#rest.slice(0, end.index), events);
      this.#rest = this.#rest.slice(end.index + end[0].length);
    }
    if (this.#rest.length + this.#dataChars > EVENT_CHARS_MAX) throw new RangeError('an event is longer than the cap');
    return events;
  }

  #line(line: string, events: SseEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) {
        events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      }
      this.#event = '';
      this.#data = [];
      this.#dataChars = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.#retryMs = Number(value);
    else if (field === 'data') {
      this.#data.push(value);
      this.#dataChars += value.length;
    }
  }
}
