import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { SIGNAL_REPEAT_MS_MIN } from '../../../node/cli/limits.ts';
import { watchSignals } from '../../../node/cli/signals.ts';

function setUp() {
  const source = new EventEmitter();
  const forced: number[] = [];
  let time = 1_000;
  const watch = watchSignals({ source, now: () => time, onForced: (exitCode) => forced.push(exitCode) });
  return {
    watch,
    forced,
    source,
    send: (name: string, afterMs: number) => {
      time += afterMs;
      source.emit(name, name);
    },
  };
}

describe('watchSignals', () => {
  it('asks for an end in good order at the first signal, with its exit code', () => {
    const { watch, forced, send } = setUp();
    expect(watch.signal.aborted).toBe(false);
    send('SIGTERM', 0);
    expect(watch.signal.reason).toBe(143);
    expect(forced).toEqual([]);
  });

  it('takes signals of one moment as one: npm passes on what the terminal has sent as well', () => {
    const { forced, send } = setUp();
    send('SIGINT', 0);
    send('SIGINT', SIGNAL_REPEAT_MS_MIN - 1);
    expect(forced).toEqual([]);
  });

  it('forces the end at a second Ctrl-C', () => {
    const { watch, forced, send } = setUp();
    send('SIGINT', 0);
    send('SIGINT', SIGNAL_REPEAT_MS_MIN);
    expect(watch.signal.reason).toBe(130);
    expect(forced).toEqual([130]);
  });

  it('leaves nothing behind', () => {
    const { watch, source } = setUp();
    watch[Symbol.dispose]();
    expect(source.eventNames()).toEqual([]);
  });
});
