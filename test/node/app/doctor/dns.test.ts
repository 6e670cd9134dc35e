import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeQuery, readDns } from '../../../../node/app/doctor/dns.ts';
import { runs } from '../../../support/property.ts';

const SERVICE = '_weft-0011223344556677._udp.local';

/** A name as labels; a number stands for a pointer to that offset. */
const name = (...parts: readonly (string | number)[]): number[] =>
  parts.flatMap((part) =>
    typeof part === 'number' ? [0xc0 | (part >> 8), part & 0xff] : [part.length, ...Buffer.from(part)],
  );

const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
const record = (type: number, data: readonly number[]): number[] => [
  0,
  type,
  0,
  1,
  0,
  0,
  0,
  120,
  0,
  data.length,
  ...data,
];

describe('a DNS message', () => {
  it('asks for a name', () => {
    expect(readDns(encodeQuery(SERVICE))).toEqual({ isResponse: false, names: [SERVICE], addresses: [] });
  });

  it('answers with the addresses of a node, names being compressed', () => {
    const address = '/ip4/10.0.0.1/tcp/9339/p2p/12D3';
    const pointer = record(12, name('node', 12));
    const txt = record(16, [...text(`dnsaddr=${address}`), ...text('other=1')]);
    const bytes = [
      0,
      0,
      0x84,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      1,
      ...name('_weft', 'local'),
      0,
      ...pointer,
      ...name('node', 12),
      ...txt,
    ];
    expect(readDns(Uint8Array.from(bytes))).toEqual({
      isResponse: true,
      names: ['_weft.local', 'node._weft.local'],
      addresses: [address],
    });
  });

  it('is none when it runs in circles, or is cut off', () => {
    const circle = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name(12), 0, 12, 0, 1];
    expect(readDns(Uint8Array.from(circle))).toBeUndefined();
    const whole = encodeQuery(SERVICE);
    for (let length = 0; length < whole.length - 4; length++)
      expect(readDns(whole.subarray(0, length))).toBeUndefined();
  });

  it('may be any bytes at all', () => {
    const header = fc
      .tuple(fc.nat(3), fc.nat(3))
      .map(([questions, answers]) => [0, 0, 0, 0, 0, questions, 0, answers, 0, 0, 0, 0]);
    const datagram = fc
      .tuple(header, fc.uint8Array({ maxLength: 64 }))
      .map(([head, rest]) => Uint8Array.from([...head, ...rest]));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), datagram), (bytes) => {
        const message = readDns(bytes);
        expect(message === undefined || message.names.length <= 128).toBe(true);
      }),
      runs(500),
    );
  });
});
