// Reads a stream of server-sent events (the HTML standard's event stream format). For `weft run`, `logs` and `top`.
import { WeftError } from '../../protocol/errors.ts';
import { SSE_EVENT_CHARS_MAX } from './limits.ts';

/** One event. */
export interface SseEvent {
  /** @default 'message' */
  readonly event: string;
  /** The data lines, joined by line feeds. */
  readonly data: string;
  /** Of the last event that had one: where to go on after a lost connection. */
  readonly id?: string;
}

/**
 * Events of a byte stream, wherever the bytes were cut. An event without its closing empty line is dropped, as the
 * standard says: the caller knows by the protocol's own last event whether the stream was whole.
 * @throws WeftError `frame_invalid` for an event past the bound; whatever the stream throws
 */
export async function* readSse(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<SseEvent, void> {
  let event = '';
  let id: string | undefined;
  let data: string[] = [];
  let chars = 0;
  for await (const line of readLines(bytes)) {
    if (line === '') {
      if (data.length > 0) {
        const whole = { event: event === '' ? 'message' : event, data: data.join('\n') };
        yield id === undefined ? whole : { ...whole, id };
      }
      event = '';
      data = [];
      chars = 0;
      continue;
    }
    // `retry` is for browsers; lines that begin with a colon are comments.
    const { field, value } = parseLine(line);
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id') id = value;
    chars += line.length;
    if (chars > SSE_EVENT_CHARS_MAX) throw tooLong();
  }
}

/** Whole lines, ended by CR, LF or both; what follows the last line end is dropped. */
async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder(); // drops a byte order mark, joins characters that were cut
  let rest = '';
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the very end may be half of a CRLF: it waits for the next chunk.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > SSE_EVENT_CHARS_MAX) throw tooLong();
  }
  if (rest.endsWith('\r')) yield rest.slice(0, -1);
}

function parseLine(line: string): { field: string; value: string } {
  const colon = line.indexOf(':');
  if (colon === -1) return { field: line, value: '' };
  const value = line.slice(colon + 1);
  return { field: line.slice(0, colon), value: value.startsWith(' ') ? value.slice(1) : value };
}

function tooLong(): WeftError {
  return new WeftError({ code: 'frame_invalid', message: 'The node sent an event longer than this client reads.' });
}
