// Log lines as they are written.
import { describe, expect, it } from 'vitest';
import { createPinoLog } from '../../../node/telemetry/pino-log.ts';

function make(level: 'debug' | 'info' | 'silent' = 'debug') {
  const lines: string[] = [];
  const log = createPinoLog({ level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

describe('createPinoLog', () => {
  it('writes one object a line, with level, time, fields and message', () => {
    const { log, last, lines } = make();
    log.info({ requestId: 'req_1', ms: 3 }, 'placed request');
    expect(last()).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      requestId: 'req_1',
      ms: 3,
      msg: 'placed request',
    });
    expect(lines.at(-1)?.endsWith('\n')).toBe(true);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = make('info');
    log.debug({}, 'no');
    log.warn({}, 'yes');
    expect(lines).toHaveLength(1);
    const silent = make('silent');
    silent.log.error({}, 'no');
    expect(silent.lines).toHaveLength(0);
  });

  it('hands its fields down to children', () => {
    const { log, last } = make();
    log.child({ peer: 'a' }).child({ stream: 1 }).error({ code: 'x' }, 'lost');
    expect(last()).toMatchObject({ level: 'error', peer: 'a', stream: 1, code: 'x' });
  });

  it('keeps the stack and cause of errors', () => {
    const { log, last } = make();
    for (const field of ['err', 'error', 'cause']) {
      log.error({ [field]: new Error('broken', { cause: new Error('deeper') }) }, 'failed');
      expect(last()[field]).toMatchObject({
        message: expect.stringContaining('broken'),
        stack: expect.stringMatching(/pino-log\.test[\s\S]*deeper/),
      });
    }
  });

  it('lets nobody forge a line', () => {
    const { log, lines } = make();
    log.info({ name: 'x\n{"level":"error"}' }, 'peer\nhello');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toContain('\n');
  });

  it('hides fields that hold secrets', () => {
    const { log, lines } = make();
    log.info({ apiKey: 'hunter2', config: { secret: 'hunter2' }, headers: { authorization: 'hunter2' } }, 'started');
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('[redacted]');
  });

  it('survives fields that go round in circles', () => {
    const { log, lines } = make();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    log.info({ circle }, 'round');
    expect(lines).toHaveLength(1);
  });
});
