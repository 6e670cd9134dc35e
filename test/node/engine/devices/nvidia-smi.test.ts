import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICES_MAX } from '../../../../node/core/devices.ts';
import { NAME_CHARS_MAX } from '../../../../node/engine/devices/limits.ts';
import {
  parseGpus,
  parseProcesses,
  queryGpus,
  queryProcesses,
  visibleGpus,
} from '../../../../node/engine/devices/nvidia-smi.ts';
import { runs } from '../../../support/property.ts';

const TWO = `0, GPU-5a4f0000-1111-2222-3333-444455556666, 00000000:01:00.0, 550.90.07, 24576, 24210, NVIDIA GeForce RTX 4090
1, GPU-77770000-1111-2222-3333-444455556666, 00000000:C1:00.0, 550.90.07, 143771, 143000, NVIDIA H200
`;
const { signal } = new AbortController();

describe('what nvidia-smi says of devices', () => {
  it('is read with names, memory, driver and address', () => {
    expect(parseGpus(TWO)).toEqual([
      {
        index: 0,
        uuid: 'GPU-5a4f0000-1111-2222-3333-444455556666',
        bus: '00000000:01:00.0',
        name: 'NVIDIA GeForce RTX 4090',
        memoryBytes: 24_576 * 2 ** 20,
        memoryFreeBytes: 24_210 * 2 ** 20,
        driver: '550.90.07',
      },
      expect.objectContaining({ index: 1, name: 'NVIDIA H200', bus: '00000000:c1:00.0' }),
    ]);
  });

  it('leaves memory open where it is shared or not told', () => {
    const [gpu] = parseGpus('0, GPU-aa, 0000:01:00.0, 560.1, [N/A], [N/A], NVIDIA GB10\n');
    expect(gpu).toMatchObject({ name: 'NVIDIA GB10', memoryBytes: undefined, memoryFreeBytes: undefined });
  });

  it('keeps commas of a name, and no control characters', () => {
    const [gpu] = parseGpus('0, GPU-aa, 0000:01:00.0, 560.1, 1, 2, A, B\u001b[31m\u202e C');
    expect(gpu).toMatchObject({ name: 'A,B [31m C', memoryFreeBytes: 2 ** 20 });
  });

  it.each([
    ['an error', 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'],
    ['nothing', ''],
    ['a negative index', '-1, GPU-aa, b, 1, 1, 1, n'],
    ['an index that no machine has', '999, GPU-aa, b, 1, 1, 1, n'],
    ['an id that is none', '0, ../../etc, b, 1, 1, 1, n'],
    ['too few fields', '0, GPU-aa, b, 1, 1, 1'],
  ])('reads no device out of %s', (_what, output) => {
    expect(parseGpus(output)).toEqual([]);
  });

  it('is bounded and well-formed, whatever is printed', () => {
    const line = fc.array(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom(...TWO.split(', '))),
      {
        maxLength: 12,
      },
    );
    const output = fc.oneof(
      fc.array(line.map((fields) => fields.join(', '))).map((lines) => lines.join('\n')),
      fc.array(fc.constantFrom(...TWO, '\n', ',', '9', '-'), { maxLength: 400 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(output, (text) => {
        const gpus = parseGpus(text);
        expect(gpus.length).toBeLessThanOrEqual(DEVICES_MAX);
        expect(new Set(gpus.map(({ index }) => index)).size).toBe(gpus.length);
        for (const { name, memoryBytes, memoryFreeBytes, uuid } of gpus) {
          expect(name).not.toMatch(/\p{C}/u);
          expect([...name].length).toBeLessThanOrEqual(NAME_CHARS_MAX);
          expect(uuid).toMatch(/^GPU-[\w-]+$/);
          if (memoryBytes !== undefined) expect(memoryBytes).toBeGreaterThanOrEqual(memoryFreeBytes ?? 0);
        }
        for (const [pid, bytes] of parseProcesses(text)) {
          expect(Number.isSafeInteger(pid) && Number.isSafeInteger(bytes)).toBe(true);
        }
      }),
      runs(300),
    );
  });

  it('is nothing where there is no such tool', async () => {
    const smi = () => Promise.reject(new Error('ENOENT'));
    expect(await queryGpus(smi, signal)).toEqual([]);
    expect((await queryProcesses(smi, signal)).size).toBe(0);
  });

  it('is asked for in one line that the tool understands', async () => {
    const asked: string[] = [];
    const smi = async (args: readonly string[]) => {
      asked.push(args.join(' '));
      return TWO;
    };
    expect(await queryGpus(smi, signal)).toHaveLength(2);
    expect(asked).toEqual([
      '--query-gpu=index,uuid,pci.bus_id,driver_version,memory.total,memory.free,name --format=csv,noheader,nounits',
    ]);
  });
});

describe('what nvidia-smi says of processes', () => {
  it('is added up over devices', () => {
    expect(parseProcesses('12, 100\n13, [N/A]\n12, 28\n')).toEqual(new Map([[12, 128 * 2 ** 20]]));
  });
});

describe('CUDA_VISIBLE_DEVICES', () => {
  const gpus = parseGpus(TWO);
  const seen = (visible: string | undefined): number[] => visibleGpus(gpus, visible).map(({ index }) => index);

  it('chooses and orders devices, as CUDA does', () => {
    expect(seen(undefined)).toEqual([0, 1]);
    expect(seen('1,0')).toEqual([1, 0]);
    expect(seen('GPU-7777')).toEqual([1]);
    expect(seen('')).toEqual([]);
    expect(seen('-1')).toEqual([]);
    // It ends at the first one that isn't there.
    expect(seen('1,5,0')).toEqual([1]);
    expect(seen('0,0')).toEqual([0]);
  });

  it('names a part of a device, whose memory nobody tells', () => {
    const [part] = visibleGpus(gpus, 'MIG-11110000-1111-2222-3333-444455556666');
    expect(part).toMatchObject({ name: 'NVIDIA GeForce RTX 4090, a part', memoryBytes: undefined });
  });
});
