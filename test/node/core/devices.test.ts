import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_KINDS, DEVICES_MAX, formatDeviceSetting, parseDeviceSetting } from '../../../node/core/devices.ts';
import { runs } from '../../support/property.ts';

describe('the setting of a device', () => {
  it.each([
    ['auto', { kind: 'auto', index: undefined }],
    ['cpu', { kind: 'cpu', index: undefined }],
    [' WebGPU ', { kind: 'webgpu', index: undefined }],
    ['cuda:1', { kind: 'cuda', index: 1 }],
    ['cuda:01', { kind: 'cuda', index: 1 }],
  ])('reads %s', (text, setting) => {
    expect(parseDeviceSetting(text)).toEqual(setting);
  });

  it.each(['', 'gpu', 'cuda:', 'cuda:-1', 'cuda:99', 'cuda:1:2', 'auto:0', 'cuda 1', 'constructor', '__proto__'])(
    'does not read "%s"',
    (text) => {
      expect(parseDeviceSetting(text)).toBeUndefined();
    },
  );

  it('comes back as it was written', () => {
    const setting = fc.record({
      kind: fc.constantFrom(...DEVICE_KINDS),
      index: fc.option(fc.nat(DEVICES_MAX - 1), { nil: undefined }),
    });
    fc.assert(
      fc.property(setting, (value) => {
        expect(parseDeviceSetting(formatDeviceSetting(value))).toEqual(value);
      }),
      runs(200),
    );
  });

  it('is understood or refused, whatever is written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z]{0,6}:?\d{0,3}$/)), (text) => {
        const setting = parseDeviceSetting(text);
        if (setting?.index !== undefined) expect(setting.index).toBeLessThan(DEVICES_MAX);
      }),
      runs(300),
    );
  });
});
