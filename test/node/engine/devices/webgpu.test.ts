import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { detectDevices } from '../../../../node/engine/devices/detect.ts';
import { probeDevice } from '../../../../node/engine/devices/probe.ts';
import { softwareWebGpu, withoutWebGpu } from '../../../support/webgpu.ts';

const CHILD = fileURLToPath(new URL('webgpu-child.ts', import.meta.url));
const RUNNER_ENTRY = fileURLToPath(new URL('../../../../node/engine/runner/main.ts', import.meta.url));
const driver = softwareWebGpu();
const missing = withoutWebGpu(driver);
const note = missing === undefined ? '' : ` (skipped: ${missing})`;
const env = { ...process.env, ...driver, ORT_DISABLE_TELEMETRY: '1' };

/** What the child prints last; rejects where its process dies, as it does when the driver crashes. */
async function inChild<Answer>(task: string): Promise<Answer> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, task], { env, maxBuffer: 16 << 20 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Answer;
}

/** One answer for all who ask. */
function onFirstUse<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const TWICE_A_HALF_CUBED = [0.25, 0.5, 0.25, 0.5, 1, 0.5, 0.25, 0.5, 0.25];

describe.skipIf(missing !== undefined)(`a session on WebGPU${note}`, () => {
  const minilm = onFirstUse(() =>
    inChild<{ agreeing: number[][]; together: number[][]; badRequestFailed: boolean; providers: string[] }>('minilm'),
  );

  it('agrees with the processor', { timeout: 120_000 }, async () => {
    const { agreeing, providers } = await minilm();
    expect(providers).toEqual(['cpu', 'webgpu', 'webgpu']);
    const [cpu = [], webgpu = []] = agreeing;
    expect(webgpu).toHaveLength(384);
    const apart = Math.max(...cpu.map((value, index) => Math.abs(value - (webgpu[index] ?? Number.NaN))));
    expect(apart).toBeLessThan(1e-4);
  });

  it('takes requests on two models at once', { timeout: 120_000 }, async () => {
    const { together } = await minilm();
    expect(together).toHaveLength(3);
    for (const vector of together) expect(vector).toEqual(together[0]);
  });

  it('does not fall back for a request that nobody can compute', { timeout: 120_000 }, async () => {
    const { badRequestFailed, providers } = await minilm();
    expect(badRequestFailed).toBe(true);
    expect(providers).toContain('webgpu');
  });

  it('falls back to the processor while it loads, and says why', async () => {
    const { provider, reason, y } = await inChild<{ provider: string; reason: string; y: number[] }>('refusedAtLoad');
    expect(provider).toBe('cpu');
    expect(reason).toMatch(/^webgpu: .*Only Conv2d or Conv1d/);
    expect(y.slice(0, 9)).toEqual(TWICE_A_HALF_CUBED);
  });

  it('falls back to the processor in the middle, and the request is answered', async () => {
    type Answer = { before: string; provider: string; reason: string; y: number[]; again: number[] };
    const { before, provider, reason, y, again } = await inChild<Answer>('refusedAtRun');
    expect([before, provider]).toEqual(['webgpu', 'cpu']);
    expect(reason).toMatch(/^webgpu: /);
    expect(y.slice(0, 9)).toEqual(TWICE_A_HALF_CUBED);
    expect(again).toEqual(y);
  });

  it('is found, measured, and known for what it is', { timeout: 60_000 }, async () => {
    const init = { nodePath: process.execPath, entry: RUNNER_ENTRY, env };
    const { signal } = new AbortController();
    const { devices } = await detectDevices({ smi: () => Promise.reject(new Error('not here')) }, init, signal);
    const found = devices.find(({ kind }) => kind === 'webgpu');
    expect(found).toMatchObject({
      kind: 'webgpu',
      index: 0,
      name: 'SwiftShader (software)',
      software: true,
      pool: 'cpu',
    });
    expect(await probeDevice(init, { kind: 'webgpu', index: 0 }, 1, signal)).toMatchObject({ ok: true });
  });
});

describe('a session on a provider that the runtime can not load', () => {
  it('falls back to the processor, and says why', async () => {
    const answer = await inChild<{ provider: string; reason: string; inputs: string[] }>('absentProvider');
    expect(answer.provider).toBe('cpu');
    expect(answer.reason).toMatch(/^cuda: /);
    expect(answer.inputs).toContain('input_ids');
  });
});
