// Reads a request's body as JSON, within bounds that hold while it arrives: bytes of one body, bytes of all bodies,
// depth and number of values. Used by the exchange.
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { WeftError } from '../../protocol/errors.ts';
import { HttpError } from './errors.ts';
import type { GatewayLimits } from './limits.ts';

/** First size of a body's buffer; it doubles as bytes arrive, whatever length was declared. */
const BUFFER_BYTES_START = 4_096;

/** How often a connection that lingers is looked at. */
const LINGER_CHECK_MS = 50;

/** Bytes that the bodies of all unanswered requests may hold together. */
export class ByteBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws WeftError `overloaded` when that many are not left */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax)
      throw new WeftError({ code: 'overloaded', message: 'Too many large requests are under way.' });
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * Reads the body into one buffer. Fastify's own reader keeps every chunk as it came: 16 MiB in chunks of one byte would
 * hold gigabytes of them.
 * @param take asked for every byte of memory before it is allocated; may throw
 * @throws WeftError `body_too_large`, what `take` throws, or `cancelled` when the client goes away
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyBytesMax }: Pick<GatewayLimits, 'bodyBytesMax'>,
  take: (bytes: number) => void,
): Promise<Buffer> {
  const tooLarge = (): WeftError =>
    new WeftError({ code: 'body_too_large', message: `The body is larger than ${bodyBytesMax} bytes.` });
  return new Promise((resolve, reject) => {
    let buffer: Buffer = Buffer.alloc(0);
    let length = 0;
    const settle = (outcome: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      outcome();
    };
    // Without its listener the stream flows on, and what still comes is dropped: see `linger`.
    const fail = (error: unknown): void => settle(() => reject(error));
    const onData = (chunk: Buffer): void => {
      try {
        if (length + chunk.length > bodyBytesMax) throw tooLarge();
        buffer = grown(buffer, length, length + chunk.length, bodyBytesMax, take);
      } catch (error) {
        fail(error);
        return;
      }
      length += chunk.copy(buffer, length);
    };
    const onEnd = (): void => settle(() => resolve(buffer.subarray(0, length)));
    const onClose = (): void =>
      fail(new WeftError({ code: 'cancelled', message: 'The client went away before the body was complete.' }));

    if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) {
      reject(tooLarge());
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    request.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

/** The buffer, or a larger one with the same beginning, so that `needed` bytes fit. @throws what `take` throws */
export function grown(
  buffer: Buffer,
  length: number,
  needed: number,
  bytesMax: number,
  take: (bytes: number) => void,
): Buffer {
  if (needed <= buffer.length) return buffer;
  let size = Math.max(buffer.length, BUFFER_BYTES_START);
  while (size < needed) size *= 2;
  size = Math.max(needed, Math.min(size, bytesMax));
  take(size - buffer.length);
  const next = Buffer.allocUnsafeSlow(size);
  buffer.copy(next, 0, 0, length);
  return next;
}

/**
 * After an answer that came before the end of the body: reads on for a moment and drops it, because a connection that is
 * closed on unread bytes is reset, and the client would lose the answer. Past its bounds the connection is cut.
 */
export function linger(request: IncomingMessage, { lingerBytesMax, lingerMs }: GatewayLimits): void {
  const { socket } = request;
  const bytesBefore = socket.bytesRead;
  let checksLeft = Math.ceil(lingerMs / LINGER_CHECK_MS);
  // Node drops the bytes itself, and tells nobody of them: only the socket knows how many there were.
  const timer = setInterval(() => {
    checksLeft -= 1;
    if (request.complete || socket.destroyed) clearInterval(timer);
    else if (checksLeft <= 0 || socket.bytesRead - bytesBefore > lingerBytesMax) socket.destroy();
  }, LINGER_CHECK_MS).unref();
}

type JsonLimits = Pick<GatewayLimits, 'jsonDepthMax' | 'jsonValuesMax' | 'jsonNumbersMax'>;

/** @throws WeftError `bad_request` for bytes that are not JSON, or too deep or too many values */
export function parseJson(bytes: Buffer, limits: JsonLimits): unknown {
  if (bytes.length === 0) throw badJson('The body is empty.');
  if (!isUtf8(bytes)) throw badJson('The body is not UTF-8.');
  checkJson(bytes, limits);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    // The engine's own message quotes the body, which is nobody's business in a log.
    const position = cause instanceof SyntaxError ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
    throw badJson(`The body is not JSON${position === undefined ? '' : ` (at position ${position})`}.`, cause);
  }
}

/** @throws HttpError 415 for a body that would have to be unpacked: no gzip bomb is ever opened */
export function checkEncoding({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity') return;
  throw new HttpError(415, {
    code: 'unsupported',
    message: 'Compressed bodies are not supported.',
    remedy: 'Send the body without Content-Encoding.',
  });
}

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Counts what a parser would allocate, without allocating: one pass over the bytes, 2 ns each. */
function checkJson(bytes: Buffer, { jsonDepthMax, jsonValuesMax, jsonNumbersMax }: JsonLimits): void {
  let depth = 0;
  let values = 0;
  let numbers = 0;
  const { length } = bytes;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      // To the closing quote. Past the end the byte is undefined, which ends the string too: the parser will complain.
      for (at += 1; ; ) {
        const inner = bytes[at];
        if (inner === QUOTE || inner === undefined) break;
        at += inner === BACKSLASH ? 2 : 1;
      }
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      values += 1;
      if (depth > jsonDepthMax) throw badJson(`The body is nested deeper than ${jsonDepthMax} levels.`);
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
    } else if (byte === COMMA) {
      // Behind a comma an object has a name: a number there is an element of an array.
      if (isNumberStart(bytes[afterSpace(bytes, at + 1)])) numbers += 1;
      else values += 1;
    }
    if (numbers > jsonNumbersMax) throw badJson(`The body has more than ${jsonNumbersMax} numbers.`);
    if (values > jsonValuesMax) throw badJson(`The body has more than ${jsonValuesMax} values.`);
  }
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  // The four spaces that JSON has are 0x20 and below; the parser refuses what else is.
  while ((bytes[at] ?? QUOTE) <= SPACE) at += 1;
  return at;
}

function isNumberStart(byte: number | undefined): boolean {
  return byte !== undefined && (byte === MINUS || (byte >= ZERO && byte <= NINE));
}

function badJson(message: string, cause?: unknown): WeftError {
  return new WeftError(
    { code: 'bad_request', message, remedy: 'Send a JSON object as the API describes it.' },
    cause === undefined ? undefined : { cause },
  );
}
