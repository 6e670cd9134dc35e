// Models inspected in the caged process: what comes back, what it may not do, and what becomes of it when it tries.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { canonicalJson } from '../../../models/manifest.ts';
import { type Clock, systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { INSPECT_BYTES_MAX, INSPECT_BYTES_PER_MS_MIN, INSPECT_MS_MAX } from '../../../node/prep/limits.ts';
import { PrepProcess, type PrepProcessInit } from '../../../node/prep/prep-process.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import { model } from '../../models/onnx/onnx-bytes.ts';
import { MINILM, manifestOf } from '../../models/paths.ts';
import { until } from '../../support/wait.ts';

const ENTRY = fileURLToPath(new URL('../../../node/prep/main.ts', import.meta.url));
const HOSTILE = fileURLToPath(new URL('./hostile-entry.ts', import.meta.url));

const made: PrepProcess[] = [];
afterEach(() => Promise.all(made.splice(0).map((prep) => prep.stop())));

function prepOf(init: Partial<PrepProcessInit> = {}, clock: Clock = systemClock): PrepProcess {
  const prep = new PrepProcess({ clock, log: silentLog }, { entry: ENTRY, nodePath: process.execPath, ...init });
  made.push(prep);
  return prep;
}

const idle = new AbortController().signal;
const failure = (work: Promise<unknown>): Promise<WeftError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: WeftError) => error,
  );

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-prep-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('inspecting a model', () => {
  it('gives its manifest, its files and a reason, and tells of the bytes on the way', async () => {
    const { id } = manifestOf(MINILM);
    let bytes = 0;
    const inspected = await prepOf().inspect(
      { path: MINILM, id },
      {
        signal: idle,
        onBytes: (count) => {
          bytes += count;
        },
      },
    );
    expect(inspected.manifestJson).toBe(canonicalJson(manifestOf(MINILM)));
    expect(inspected.sources).toHaveLength(manifestOf(MINILM).files.length);
    expect([inspected.reason, inspected.warnings]).toEqual([expect.stringContaining('feature-extraction'), []]);
    expect(bytes).toBe(manifestOf(MINILM).files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  });

  it('passes the refusal of a hostile one on, and is there for the next', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'evil.onnx');
    const steal = [
      [2, 'y'],
      [4, 'Steal'],
      [7, 'evil'],
    ] as const;
    await writeFile(
      path,
      model([
        [1, steal],
        [
          12,
          [
            [1, 'y'],
            [2, [[1, [[1, 1]]]]],
          ],
        ],
      ]),
    );
    const prep = prepOf();
    expect(await failure(prep.inspect({ path }, { signal: idle }))).toMatchObject({
      code: 'model_corrupt',
      message: expect.stringContaining('"evil:Steal"'),
      remedy: expect.stringMatching(/trust/),
    });
    const { pid } = prep;
    expect((await prep.inspect({ path: MINILM }, { signal: idle })).warnings).toEqual([]);
    expect(prep.pid).toBe(pid);
  });

  it('ends at once when nobody waits for it any more', async () => {
    const abort = new AbortController();
    const work = failure(prepOf({ entry: HOSTILE }).inspect({ path: 'stand' }, { signal: abort.signal }));
    abort.abort();
    expect((await work).code).toBe('cancelled');
  });
});

describe('a process that what it read took over', () => {
  const deed = (what: string, init: Partial<PrepProcessInit> = {}) =>
    prepOf({ entry: HOSTILE, ...init }).inspect({ path: what }, { signal: idle });

  /** What the same program may do without the cage. */
  async function uncaged(what: string): Promise<string> {
    const env = { ...process.env, WEFT_DEED: what };
    const { stdout } = await promisify(execFile)(process.execPath, [HOSTILE], { env, timeout: 30_000 });
    return stdout.trim();
  }

  it.each(['write', 'makeFolder', 'link', 'thread'])('changes nothing on the disk: %s', async (what) => {
    const folder = await temporaryFolder();
    expect((await deed(`${what} ${join(folder, 'caged')}`)).reason).toBe('refused: ERR_ACCESS_DENIED');
    expect(existsSync(join(folder, 'caged'))).toBe(false);
    expect(await uncaged(`${what} ${join(folder, 'free')}`)).toBe('done');
  });

  it('deletes nothing', async () => {
    const folder = await temporaryFolder();
    for (const name of ['caged', 'free']) await writeFile(join(folder, name), 'text');
    expect((await deed(`remove ${join(folder, 'caged')}`)).reason).toBe('refused: ERR_ACCESS_DENIED');
    expect(existsSync(join(folder, 'caged'))).toBe(true);
    expect(await uncaged(`remove ${join(folder, 'free')}`)).toBe('done');
  });

  it('reaches no network, not even this machine', async () => {
    const server = createServer((socket) => socket.destroy());
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { readonly port: number };
    let met = 0;
    server.on('connection', () => met++);
    for (const what of [`connect ${port}`, 'listen', 'datagram', 'resolve']) {
      expect((await deed(what)).reason).toBe('refused: ERR_ACCESS_DENIED');
    }
    expect(met).toBe(0);
    for (const what of [`connect ${port}`, 'listen', 'datagram', 'resolve']) expect(await uncaged(what)).toBe('done');
  });

  it.each(['start', 'fork'])('starts no process: %s', async (what) => {
    expect((await deed(what)).reason).toBe('refused: ERR_ACCESS_DENIED');
    expect(await uncaged(what)).toBe('done');
  });

  it.each([
    ['fills its heap', 'fillHeap 200', { heapMbMax: 64 }],
    ['fills buffers outside of its heap', 'fillBuffers 400', { residentMbMax: 256 }],
  ])('ends when it %s, and this one keeps its memory', async (_how, what, init) => {
    const prep = prepOf({ entry: HOSTILE, ...init });
    const before = process.memoryUsage().rss;
    const error = await failure(prep.inspect({ path: what }, { signal: idle }));
    expect([error.code, error.message]).toEqual(['model_corrupt', expect.stringContaining('memory')]);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 << 20);
    expect((await deed(what)).reason).toBe('done');
    // The next one gets a fresh process.
    expect((await prep.inspect({ path: 'write /nowhere' }, { signal: idle })).reason).toContain('refused');
  });

  it('ends when it stands still, and the next one gets a fresh process', async () => {
    const prep = prepOf({ entry: HOSTILE, workMsMax: 300 });
    expect((await failure(prep.inspect({ path: 'stand' }, { signal: idle }))).code).toBe('deadline_exceeded');
    const patient = prepOf({ entry: HOSTILE });
    const lost = failure(patient.inspect({ path: 'exit' }, { signal: idle }));
    expect((await lost).code).toBe('runner_lost');
    expect((await patient.inspect({ path: 'write /nowhere' }, { signal: idle })).reason).toContain('refused');
  });
});

/** Shows every timer that is set, and lets one go off when the test says so. */
class WatchedClock implements Clock {
  readonly set: number[] = [];
  nowMs = 0;
  wallNow = systemClock.wallNow;
  now(): number {
    return this.nowMs;
  }

  after(ms: number, callback: () => void): { cancel(): void } {
    this.set.push(ms);
    return systemClock.after(ms, callback);
  }
}

describe('time', () => {
  it('grows with the bytes that were hashed, less what was used', async () => {
    const clock = new WatchedClock();
    const prep = prepOf({ entry: HOSTILE }, clock);
    const bytes = 100 * INSPECT_BYTES_PER_MS_MIN;
    const abort = new AbortController();
    const work = failure(prep.inspect({ path: `boast ${bytes}` }, { signal: abort.signal, onBytes: () => undefined }));
    clock.nowMs = 40;
    await until('the report', () => clock.set.includes(INSPECT_MS_MAX + 100 - 40));
    expect(clock.set.filter((ms) => ms === INSPECT_MS_MAX)).toHaveLength(1);
    abort.abort();
    expect((await work).code).toBe('cancelled');
  });

  it('does not grow without end for what is no size of a model', async () => {
    const prep = prepOf({ entry: HOSTILE });
    const error = await failure(prep.inspect({ path: `boast ${INSPECT_BYTES_MAX + 1}` }, { signal: idle }));
    expect([error.code, error.message]).toEqual(['model_corrupt', expect.stringContaining('more bytes')]);
  });
});
