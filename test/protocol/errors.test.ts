import { describe, expect, it } from 'vitest';
import { errorFromMessage, errorToMessage, readMessage, writeMessage } from '../../protocol/codec.ts';
import { ERRORS, type ErrorCode, isErrorCode, toWeftError, WeftError } from '../../protocol/errors.ts';
import { ERROR_FACTS_MAX, ERROR_TEXT_LENGTH_MAX } from '../../protocol/limits.ts';
import { ErrorSchema } from '../../protocol/messages/weft_pb.js';

const overTheWire = (error: unknown): WeftError =>
  errorFromMessage(readMessage(ErrorSchema, writeMessage(ErrorSchema, errorToMessage(error))));

describe('codes', () => {
  it.each(Object.entries(ERRORS))('%s has a status and a remedy of one line', (code, { status, remedy }) => {
    expect(isErrorCode(code)).toBe(true);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(remedy).toMatch(/^[^\n]{10,140}\.$/);
    const error = new WeftError({ code: code as ErrorCode, message: 'What happened.' });
    expect(error).toMatchObject({ status, remedy, facts: {}, elsewhere: ERRORS[code as ErrorCode].elsewhere });
  });

  it('are not taken from the prototype', () => {
    for (const code of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
      expect(isErrorCode(code)).toBe(false);
    }
  });
});

describe('toWeftError', () => {
  it('leaves a WeftError as it is', () => {
    const error = new WeftError({ code: 'overloaded', message: 'Full.' });
    expect(toWeftError(error)).toBe(error);
  });

  it('tells nothing of an unknown error, and keeps it as the cause', () => {
    const secret = new Error('/home/someone/prompt.txt');
    const error = toWeftError(secret);
    expect(error).toMatchObject({ code: 'internal', cause: secret });
    expect(error.message + error.remedy).not.toContain('someone');
    for (const thrown of [undefined, null, 'text', 5, {}]) expect(toWeftError(thrown).code).toBe('internal');
  });

  it('knows aborts, their causes, and timeouts', () => {
    const abort = new Error('aborted');
    abort.name = 'AbortError';
    expect(toWeftError(abort).code).toBe('cancelled');
    abort.cause = new WeftError({ code: 'deadline_exceeded', message: 'Late.' });
    expect(toWeftError(abort)).toBe(abort.cause);
    expect(toWeftError(new DOMException('late', 'TimeoutError')).code).toBe('deadline_exceeded');
  });
});

describe('errors on the wire', () => {
  it('keep code, words and facts, and leave the cause behind', () => {
    const error = new WeftError(
      { code: 'out_of_memory', message: 'Too large.', remedy: 'Buy more.', facts: { model: 'm', ['__proto__']: 'p' } },
      { cause: new Error('secret') },
    );
    const received = overTheWire(error);
    expect(received).toMatchObject({ code: 'out_of_memory', message: 'Too large.', remedy: 'Buy more.' });
    expect(Object.entries(received.facts)).toEqual([
      ['model', 'm'],
      ['__proto__', 'p'],
    ]);
    expect(received.cause).toBeUndefined();
  });

  it('become internal for what is no WeftError', () => {
    expect(overTheWire(new TypeError('secret'))).toMatchObject({ code: 'internal', facts: {} });
  });

  it('of a later version become internal, with the code as a fact', () => {
    for (const code of ['too_shiny', '__proto__', 'constructor', '']) {
      const bytes = writeMessage(ErrorSchema, { code, message: 'm', remedy: 'r', facts: { a: 'b' } });
      const error = errorFromMessage(readMessage(ErrorSchema, bytes));
      expect(error).toMatchObject({ code: 'internal', message: 'm', remedy: 'r', facts: { a: 'b', code } });
    }
  });

  it('get the usual remedy where none came, and a reason where there is no error', () => {
    const bytes = writeMessage(ErrorSchema, { code: 'peer_lost', message: 'Gone.' });
    expect(errorFromMessage(readMessage(ErrorSchema, bytes)).remedy).toBe(ERRORS.peer_lost.remedy);
    expect(errorFromMessage(undefined).code).toBe('internal');
  });

  it('are as long as this side allows, whoever wrote them', () => {
    const long = 'x'.repeat(100_000);
    const facts = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`${n}${long}`, long]));
    const bytes = writeMessage(ErrorSchema, { code: 'bad_request', message: long, remedy: long, facts: { a: long } });
    const received = errorFromMessage(readMessage(ErrorSchema, bytes));
    const sent = errorToMessage(new WeftError({ code: 'bad_request', message: long, remedy: long, facts }));
    for (const { message, remedy, facts: kept } of [received, sent]) {
      expect(message).toHaveLength(ERROR_TEXT_LENGTH_MAX);
      expect(remedy).toHaveLength(ERROR_TEXT_LENGTH_MAX);
      expect(Object.keys(kept).length).toBeLessThanOrEqual(ERROR_FACTS_MAX);
      for (const text of Object.entries(kept).flat()) expect(text.length).toBeLessThanOrEqual(ERROR_TEXT_LENGTH_MAX);
    }
  });
});
