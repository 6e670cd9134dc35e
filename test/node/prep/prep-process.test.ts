import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { CANCEL_GRACE_MS, IDLE_MS, QUEUE_LENGTH_MAX, WAIT_MS_MAX, WORK_MS_MAX } from '../../../node/prep/limits.ts';
import { PrepProcess, type PrepProcessInit } from '../../../node/prep/prep-process.ts';
import { WeftError } from '../../../protocol/errors.ts';

const ENTRY = fileURLToPath(new URL('../../../node/prep/main.ts', import.meta.url));
const PARENT = fileURLToPath(new URL('./parent.ts', import.meta.url));
const BUNDLED = fileURLToPath(new URL('../../../models/bundled', import.meta.url));
const MINILM = join(BUNDLED, 'Xenova', 'all-MiniLM-L6-v2');
const SMOLLM2 = join(BUNDLED, 'HuggingFaceTB', 'SmolLM2-135M-Instruct');

const made: PrepProcess[] = [];
const parents: ChildProcess[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((prep) => prep.stop()));
  for (const parent of parents.splice(0)) parent.kill('SIGKILL');
});

/** Time that passes when the test says so: no deadline is missed because the machine is busy. */
class ManualClock implements Clock {
  readonly #timers = new Set<{ readonly ms: number; readonly callback: () => void }>();
  now = systemClock.now;
  wallNow = systemClock.wallNow;

  after(ms: number, callback: () => void): { cancel(): void } {
    const timer = { ms, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Lets every timer that was set to this long go off. */
  pass(ms: number): void {
    const due = [...this.#timers].filter((timer) => timer.ms === ms);
    if (due.length === 0) throw new Error(`no timer was set to ${ms} ms`);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

function prepOf(init: Partial<PrepProcessInit> = {}, clock: Clock = systemClock): PrepProcess {
  const all = { entry: ENTRY, nodePath: process.execPath, ...init };
  const prep = new PrepProcess({ clock, log: silentLog }, all);
  made.push(prep);
  return prep;
}

const options = (signal: AbortSignal = new AbortController().signal) => ({
  tokensMax: 512,
  specialTokens: true,
  signal,
});
const short = (prep: PrepProcess) => prep.tokenize(MINILM, 'Hello world!', options());
/** Takes about nine seconds on a quiet machine. */
const slow = (prep: PrepProcess, signal?: AbortSignal) => prep.tokenize(SMOLLM2, ' '.repeat(1 << 20), options(signal));

/** The error that a promise rejects with; attached at once, so that none goes unhandled. */
const failure = (work: Promise<unknown>): Promise<WeftError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => (error instanceof WeftError ? error : Promise.reject(error)),
  );

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = systemClock.now() + 20_000;
  while (!condition()) {
    if (systemClock.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** True while the process is there and is no zombie. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function pidOf(prep: PrepProcess): number {
  if (prep.pid === undefined) throw new Error('no process');
  return prep.pid;
}

describe('the prep process', () => {
  it('gives the ids of a text, and says whether it went on', async () => {
    const prep = prepOf();
    expect(prep.pid).toBeUndefined();
    expect(await short(prep)).toEqual({ ids: Int32Array.of(101, 7592, 2088, 999, 102), truncated: false });
    const long = await prep.tokenize(MINILM, 'word '.repeat(1_000_000), options());
    expect([long.ids.length, long.truncated]).toEqual([512, true]);
  });

  it('passes errors on as they are', async () => {
    const prep = prepOf();
    const error = await failure(prep.tokenize(MINILM, 'a'.repeat((1 << 20) + 1), options()));
    expect([error.code, error.remedy]).toEqual(['bad_request', expect.stringContaining('spaces')]);
    expect((await failure(prep.tokenize('/nowhere', 'text', options()))).code).toBe('model_corrupt');
    expect(await short(prep)).toMatchObject({ truncated: false });
  });

  it('answers in order however many ask at once', async () => {
    const prep = prepOf();
    const texts = Array.from({ length: 20 }, (_value, index) => 'word '.repeat(index));
    const results = await Promise.all(texts.map((text) => prep.tokenize(MINILM, text, options())));
    expect(results.map(({ ids }) => ids.length)).toEqual(texts.map((_text, index) => index + 2));
  });

  it('can neither write, start processes, reach a network, nor see the environment', async () => {
    const probe = ['--import', `data:text/javascript,${encodeURIComponent(PROBE)}`];
    // The probe ends its process when it may do any of these; without the cage, it may.
    expect(await short(prepOf({ execArgv: probe }))).toMatchObject({ truncated: false });
    const open = spawn(process.execPath, [...probe, '-e', '0'], { stdio: 'ignore' });
    parents.push(open);
    expect((await once(open, 'exit'))[0]).toBe(77);
  });
});

/** Exits with 77 when its process may do what the cage should prevent. */
const PROBE = `
  import { spawnSync } from 'node:child_process';
  import { mkdtempSync, rmdirSync } from 'node:fs';
  import { connect } from 'node:net';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import { isMainThread } from 'node:worker_threads';
  const may = (work) => { try { work(); return true; } catch { return false; } };
  if (isMainThread) {
    const can = [
      may(() => rmdirSync(mkdtempSync(join(tmpdir(), 'weft-probe-')))),
      may(() => spawnSync(process.execPath, ['--version'])),
      await new Promise((done) => {
        const socket = connect(9, '127.0.0.1', () => done(true));
        socket.on('error', (error) => done(error.code !== 'ERR_ACCESS_DENIED'));
      }),
      process.env.PATH !== undefined,
    ];
    if (can.includes(true)) process.exit(77);
  }`;

describe('a text that takes too long or too much', () => {
  it('is given up at its deadline, and the next one is read by a fresh process', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    await short(prep);
    const first = pidOf(prep);
    const error = failure(slow(prep));
    const next = short(prep);
    clock.pass(WORK_MS_MAX);
    expect((await error).code).toBe('deadline_exceeded');
    expect((await next).truncated).toBe(false);
    expect(pidOf(prep)).not.toBe(first);
    await until(() => !alive(first), 'the first process is gone');
  });

  it('is given up when the process is stopped (SIGSTOP)', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    await short(prep);
    const pid = pidOf(prep);
    process.kill(pid, 'SIGSTOP');
    const error = failure(short(prep));
    clock.pass(WORK_MS_MAX);
    expect((await error).code).toBe('deadline_exceeded');
    await until(() => !alive(pid), 'the stopped process is gone');
    expect((await short(prep)).truncated).toBe(false);
  });

  it('is given up by the clock of the machine as well', async () => {
    const prep = prepOf({ workMsMax: 300 });
    expect((await failure(slow(prep))).code).toBe('deadline_exceeded');
  });

  it('fails by itself when the heap is full', async () => {
    const prep = prepOf({ heapMbMax: 48 });
    const waiting = failure(slow(prep));
    const next = short(prep);
    const error = await waiting;
    expect([error.code, error.message]).toEqual(['bad_request', expect.stringContaining('more memory')]);
    expect((await next).truncated).toBe(false);
  });
});

describe('a prep process that is killed', () => {
  it('costs the text in work a typed error, and those behind it nothing', async () => {
    const prep = prepOf();
    await short(prep);
    const error = failure(slow(prep));
    const behind = [short(prep), short(prep)];
    process.kill(pidOf(prep), 'SIGKILL');
    expect((await error).code).toBe('runner_lost');
    expect((await Promise.all(behind)).map(({ ids }) => ids.length)).toEqual([5, 5]);
  });

  it('is started anew when it was idle', async () => {
    const prep = prepOf();
    await short(prep);
    const pid = pidOf(prep);
    process.kill(pid, 'SIGKILL');
    await until(() => prep.pid === undefined, 'the end was noticed');
    expect((await short(prep)).truncated).toBe(false);
    expect(pidOf(prep)).not.toBe(pid);
  });

  it('that cannot be started fails every text with a typed error', async () => {
    const prep = prepOf({ nodePath: '/nowhere/node' });
    const errors = await Promise.all([failure(short(prep)), failure(short(prep))]);
    expect(errors.map((error) => error.code)).toEqual(['runner_lost', 'runner_lost']);
  });
});

describe('waiting', () => {
  it('ends at once for a text that is cancelled before its turn', async () => {
    const prep = prepOf();
    const first = failure(slow(prep));
    const abort = new AbortController();
    const waiting = failure(prep.tokenize(MINILM, 'text', options(abort.signal)));
    abort.abort();
    expect((await waiting).code).toBe('cancelled');
    expect((await failure(prep.tokenize(MINILM, 'text', options(abort.signal)))).code).toBe('cancelled');
    await prep.stop();
    expect((await first).code).toBe('stopping');
  });

  it('ends after a while for a text whose turn does not come', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    const first = failure(slow(prep));
    const waiting = failure(short(prep));
    clock.pass(WAIT_MS_MAX);
    expect((await waiting).code).toBe('deadline_exceeded');
    await prep.stop();
    expect((await first).code).toBe('stopping');
  });

  it('ends at once for a text that is cancelled in work, and soon for those behind it', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    await short(prep);
    const pid = pidOf(prep);
    const abort = new AbortController();
    const reason = new WeftError({ code: 'deadline_exceeded', message: 'Not done within 5 ms.' });
    const error = failure(slow(prep, abort.signal));
    const behind = short(prep);
    abort.abort(reason);
    expect(await error).toBe(reason);
    clock.pass(CANCEL_GRACE_MS);
    expect((await behind).truncated).toBe(false);
    expect(pidOf(prep)).not.toBe(pid);
  });

  it('costs no process when the cancelled text ends by itself', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    await short(prep);
    const pid = pidOf(prep);
    const abort = new AbortController();
    const error = failure(prep.tokenize(MINILM, 'text', options(abort.signal)));
    abort.abort();
    expect((await error).code).toBe('cancelled');
    await short(prep);
    expect(pidOf(prep)).toBe(pid);
    expect(() => clock.pass(CANCEL_GRACE_MS)).toThrow('no timer');
  });

  it('is refused when too many wait', async () => {
    const prep = prepOf();
    const work = Array.from({ length: QUEUE_LENGTH_MAX + 1 }, () => failure(slow(prep)));
    expect((await failure(short(prep))).code).toBe('overloaded');
    await prep.stop();
    expect(new Set((await Promise.all(work)).map((error) => error.code))).toEqual(new Set(['stopping']));
  });
});

describe('ending', () => {
  it('leaves no process behind, however busy it was', async () => {
    const prep = prepOf();
    await short(prep);
    const error = failure(slow(prep));
    const pid = pidOf(prep);
    await prep.stop();
    expect((await error).code).toBe('stopping');
    expect(alive(pid)).toBe(false);
    expect((await failure(short(prep))).code).toBe('stopping');
    await prep.stop();
  });

  it('comes by itself when nobody asks for anything', async () => {
    const clock = new ManualClock();
    const prep = prepOf({}, clock);
    await short(prep);
    const pid = pidOf(prep);
    clock.pass(IDLE_MS);
    await until(() => !alive(pid), 'the idle process is gone');
    expect(prep.pid).toBeUndefined();
    expect(() => clock.pass(IDLE_MS)).toThrow('no timer');
    expect((await short(prep)).truncated).toBe(false);
  });

  it('comes within a second of the death of the node, in the middle of work', async () => {
    const parent = spawn(process.execPath, [PARENT, ENTRY, SMOLLM2], { stdio: ['ignore', 'pipe', 'inherit'] });
    parents.push(parent);
    const [line] = await once(createInterface({ input: parent.stdout }), 'line');
    const pid = Number(line);
    expect(alive(pid)).toBe(true);
    const startMs = systemClock.now();
    parent.kill('SIGKILL');
    await until(() => !alive(pid), 'the prep process is gone');
    // 10 ms on a quiet machine; the text itself would go on for nine seconds.
    expect(systemClock.now() - startMs).toBeLessThan(3_000);
  });
});
