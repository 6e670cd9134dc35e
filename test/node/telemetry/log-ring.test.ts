// The last lines of the log, as `weft logs` shows them.
import { describe, expect, it } from 'vitest';
import { LOG_LINE_LENGTH_MAX } from '../../../node/telemetry/limits.ts';
import { LogRing, type LogRingInit } from '../../../node/telemetry/log-ring.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { Published, recordingLog } from './support.ts';

function make(init: Partial<LogRingInit> = {}) {
  const clock = new ManualClock();
  const printed = recordingLog();
  const events = new Published();
  const ring = new LogRing({ clock, printed, events }, { level: 'warn', ...init });
  const messages = (level?: 'debug' | 'info' | 'warn' | 'error', limit = 1_000): string[] =>
    ring.lines(level === undefined ? { limit } : { level, limit }).map(({ message }) => message);
  return { clock, printed, events, ring, log: ring.log, messages };
}

describe('the log', () => {
  it.each([
    ['silent', [], ['i', 'w', 'e']],
    ['error', ['e'], ['i', 'w', 'e']],
    ['info', ['i', 'w', 'e'], ['i', 'w', 'e']],
    ['debug', ['d', 'i', 'w', 'e'], ['d', 'i', 'w', 'e']],
  ] as const)('at %s prints %j and keeps %j', (level, printedLines, keptLines) => {
    const { log, printed, messages, ring, clock } = make({ level });
    clock.advance(9);
    log.debug({}, 'd');
    log.info({ ms: 3 }, 'i');
    log.warn({}, 'w');
    log.error({}, 'e');
    expect(printed.lines.map(({ message }) => message)).toEqual(printedLines);
    expect(messages()).toEqual(keptLines);
    expect(ring.lines({ level: 'info', limit: 10 })[0]).toEqual({
      atMs: 9,
      level: 'info',
      message: 'i',
      fields: { ms: 3 },
    });
  });

  it('changes its level while it runs, and with it every log that was made from it', () => {
    const { log, ring, printed, messages } = make({ level: 'error' });
    const child = log.child({ peer: 'a' });
    child.debug({}, 'no');
    ring.setLevel('debug');
    child.debug({}, 'yes');
    ring.setLevel('silent');
    child.error({}, 'kept');
    expect(printed.lines.map(({ message }) => message)).toEqual(['yes']);
    expect(messages()).toEqual(['yes', 'kept']);
  });

  it('gives the last ones, at a level and above', () => {
    const { log, messages } = make();
    for (const number of [1, 2, 3]) {
      log.info({}, `i${number}`);
      log.error({}, `e${number}`);
    }
    expect(messages(undefined, 3)).toEqual(['e2', 'i3', 'e3']);
    expect(messages('warn')).toEqual(['e1', 'e2', 'e3']);
    expect(messages('error', 1)).toEqual(['e3']);
    expect(messages('error', 0)).toEqual([]);
  });

  it('hands its fields down to children', () => {
    const { log, ring, printed } = make();
    log.child({ peer: 'a' }).child({ stream: 1 }).warn({ code: 'x' }, 'lost');
    expect(ring.lines({ limit: 1 })[0]?.fields).toEqual({ peer: 'a', stream: 1, code: 'x' });
    expect(printed.lines[0]?.fields).toEqual({ peer: 'a', stream: 1, code: 'x' });
  });

  it('publishes what it keeps', () => {
    const { log, ring, events } = make();
    log.debug({}, 'no');
    log.info({ a: 1 }, 'yes');
    expect(events.all).toEqual([{ type: 'log', data: ring.lines({ limit: 1 })[0] }]);
  });

  it('keeps no secret, as it prints none', () => {
    const { log, ring } = make();
    log.info({ apiKey: 'hunter2', config: { secret: 'hunter2' }, headers: { authorization: 'hunter2' } }, 'started');
    log.child({ token: 'hunter2' }).info({}, 'more');
    expect(JSON.stringify(ring.lines({ limit: 10 }))).not.toContain('hunter2');
  });

  it('keeps errors with their message and stack, and circles without harm', () => {
    const { log, ring } = make();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    log.error({ error: new Error('broken'), circle }, 'failed');
    expect(ring.lines({ limit: 1 })[0]?.fields).toMatchObject({
      error: { message: 'broken', stack: expect.stringMatching(/log-ring\.test/) },
    });
  });

  it('lets no field pass for the level, the time or the message', () => {
    const { log, ring } = make();
    log.info({ level: 'error', msg: 'forged', time: 'never', real: 1 }, 'true');
    expect(ring.lines({ limit: 1 })[0]).toEqual({ atMs: 0, level: 'info', message: 'true', fields: { real: 1 } });
  });
});

describe('its memory', () => {
  it('is bounded in lines', () => {
    const { log, messages } = make({ linesMax: 3 });
    for (let index = 0; index < 10; index += 1) log.info({}, String(index));
    expect(messages()).toEqual(['7', '8', '9']);
  });

  it('is bounded in bytes', () => {
    const { log, ring } = make({ bytesMax: 10_000 });
    for (let index = 0; index < 200; index += 1) log.info({ text: 'x'.repeat(1_000) }, String(index));
    const kept = ring.lines({ limit: 1_000 });
    expect(kept.at(-1)?.message).toBe('199');
    expect(kept.length).toBeGreaterThan(5);
    expect(JSON.stringify(kept).length).toBeLessThan(11_000);
  });

  it('is not taken by one long line: its fields go, and its message is cut', () => {
    const { log, ring, printed } = make();
    log.warn({ text: 'x'.repeat(100_000) }, 'm'.repeat(100_000));
    const [line] = ring.lines({ limit: 1 });
    expect(line?.fields).toEqual({ truncated: true });
    expect(line?.message).toHaveLength(LOG_LINE_LENGTH_MAX);
    expect(printed.lines[0]?.message).toHaveLength(100_000);
  });
});
