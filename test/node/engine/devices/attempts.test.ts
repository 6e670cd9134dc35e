import { describe, expect, it } from 'vitest';
import type { MeasuredProfile } from '../../../../node/core/profile.ts';
import { type LoadedOn, loadWhereItWorks } from '../../../../node/engine/devices/attempts.ts';
import { type DeviceChoice, PROCESSOR_CHOICE } from '../../../../node/engine/devices/choose.ts';
import { type DeviceChooser, processorOnly } from '../../../../node/engine/devices/chooser.ts';
import { measurementsOf, usualMs } from '../../../../node/engine/devices/measurements.ts';
import { type ErrorCode, WeftError } from '../../../../protocol/errors.ts';

const gpu = (index: number): DeviceChoice => ({ provider: 'cuda', index, pool: `gpu:${index}`, reason: 'asked for' });
const model = { digest: 'model', neededBytes: 1, residents: [] };
const error = (code: ErrorCode) => new WeftError({ code, message: `it is ${code}` });

function setUp(order: readonly DeviceChoice[], answers: readonly (LoadedOn | WeftError)[]) {
  const failed: string[] = [];
  const tried: string[] = [];
  const left = [...answers];
  const chooser: DeviceChooser = {
    ...processorOnly(),
    choose: async () => ({ order: [...order, PROCESSOR_CHOICE], passedOver: [], fallbackReason: undefined }),
    failed: (digest, { provider, index }, reason) => failed.push(`${digest} ${provider}:${index} ${reason}`),
  };
  const load = async ({ provider, index }: DeviceChoice): Promise<LoadedOn> => {
    tried.push(`${provider}:${index}`);
    const answer = left.shift();
    if (answer === undefined || answer instanceof WeftError) throw answer;
    return answer;
  };
  return { placed: loadWhereItWorks(chooser, model, load), failed, tried };
}

const onCuda: LoadedOn = { provider: 'cuda', fallbackReason: '' };
const onCpu: LoadedOn = { provider: 'cpu', fallbackReason: '' };

describe('a load', () => {
  it('takes the first device, and its memory', async () => {
    const { placed, tried } = setUp([gpu(0), gpu(1)], [onCuda]);
    expect(await placed).toEqual({ loaded: onCuda, pool: 'gpu:0', fallbackReason: undefined });
    expect(tried).toEqual(['cuda:0']);
  });

  it('takes the next one where there is no room, which is no failure of the device', async () => {
    const { placed, tried, failed } = setUp([gpu(0), gpu(1)], [error('out_of_memory'), onCuda]);
    expect(await placed).toMatchObject({ pool: 'gpu:1', fallbackReason: undefined });
    expect([tried, failed]).toEqual([['cuda:0', 'cuda:1'], []]);
  });

  it('ends on the processor with the reason where there is no room anywhere else', async () => {
    const { placed } = setUp([gpu(0)], [error('out_of_memory'), onCpu]);
    expect(await placed).toEqual({ loaded: onCpu, pool: 'cpu', fallbackReason: 'cuda: it is out_of_memory' });
  });

  it('notes a device on which the runner fell back, and counts the memory of the processor', async () => {
    const { placed, tried, failed } = setUp([gpu(0), gpu(1)], [{ provider: 'cpu', fallbackReason: 'cuda: no kernel' }]);
    expect(await placed).toMatchObject({ pool: 'cpu', fallbackReason: 'cuda: no kernel' });
    expect([tried, failed]).toEqual([['cuda:0'], ['model cuda:0 cuda: no kernel']]);
  });

  it.each(['runner_lost', 'runner_timeout'] as const)(
    'goes to the processor after %s, past other devices',
    async (code) => {
      const { placed, tried, failed } = setUp([gpu(0), gpu(1)], [error(code), onCpu]);
      expect(await placed).toMatchObject({ loaded: onCpu, pool: 'cpu', fallbackReason: `cuda: it is ${code}` });
      expect([tried, failed]).toEqual([['cuda:0', 'cpu:0'], [`model cuda:0 cuda: it is ${code}`]]);
    },
  );

  it('fails by what is no fault of the device, and by what fails on the processor', async () => {
    const corrupt = setUp([gpu(0)], [error('model_corrupt')]);
    await expect(corrupt.placed).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(corrupt.failed).toEqual([]);
    await expect(setUp([], [error('runner_lost')]).placed).rejects.toMatchObject({ code: 'runner_lost' });
  });
});

describe('measured profiles', () => {
  const profile = (perToken: number, perStep?: number): MeasuredProfile => ({
    device: '',
    machine: '',
    version: '',
    measuredAtMs: 0,
    work: [
      { tokens: 10, ms: 10 * perToken },
      { tokens: 100, ms: 100 * perToken },
    ],
    decode: perStep === undefined ? [] : [{ context: 32, ms: perStep }],
    batch: [],
    loadMs: 0,
  });

  it('compare devices by a usual request', () => {
    expect(usualMs(profile(1))).toBeCloseTo(128);
    expect(usualMs(profile(1, 10))).toBeCloseTo(128 + 640);
    expect(usualMs({ work: [], decode: [] })).toBeUndefined();
    const found = measurementsOf((kind) => (kind === 'cpu' ? profile(2) : kind === 'cuda' ? profile(1) : undefined));
    expect(found).toEqual([
      { kind: 'cpu', index: undefined, ms: 256 },
      { kind: 'cuda', index: undefined, ms: 128 },
    ]);
  });
});
