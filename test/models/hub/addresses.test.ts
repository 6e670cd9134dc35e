// Which addresses count as private, however they are written.
import type { LookupFunction } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guardedLookup, isPrivateAddress, isPrivateHost, leadsToPrivate } from '../../../models/hub/addresses.ts';
import { runs } from '../../support/property.ts';

describe('an address', () => {
  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'ff02::1',
  ])('%s is private', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
    expect(isPrivateHost(address.includes(':') ? `[${address}]` : address)).toBe(true);
  });

  it.each([
    '1.1.1.1',
    '93.184.215.14',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '::ffff:1.1.1.1',
    '64:ff9b::1.1.1.1',
  ])('%s is public', (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });

  it('is judged the same however IPv6 wraps it', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const judged = isPrivateAddress(address);
        expect(isPrivateAddress(`::ffff:${address}`)).toBe(judged);
        expect(isPrivateAddress(`64:ff9b::${address}`)).toBe(judged);
        // As URLs write it: 0x7f.1 and 2130706433 become 127.0.0.1 there.
        expect(isPrivateHost(new URL(`http://[::ffff:${address}]/`).hostname)).toBe(judged);
      }),
      runs(200),
    );
  });

  it.each(['http://0x7f.1/', 'http://2130706433/', 'http://127.1/', 'http://localhost./', 'http://a.localhost/'])(
    '%s leads to this machine',
    (url) => {
      expect(isPrivateHost(new URL(url).hostname)).toBe(true);
    },
  );
});

describe('a name', () => {
  const names: Readonly<Record<string, readonly string[]>> = {
    'public.example': ['1.1.1.1', '2606:4700::1111'],
    'both.example': ['1.1.1.1', '10.0.0.1'],
  };
  const lookup: LookupFunction = (hostname, _options, callback) => {
    const addresses = names[hostname];
    if (addresses === undefined) return callback(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), []);
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  const guarded = (hostname: string, all: boolean) =>
    new Promise((resolve) => {
      guardedLookup(isPrivateAddress, lookup)(hostname, { all }, (error, address, family) =>
        resolve(error === null ? [address, family] : error.code),
      );
    });

  it('leads where its addresses do, and nowhere when one of them is private', async () => {
    expect(await guarded('public.example', true)).toEqual([
      [
        { address: '1.1.1.1', family: 4 },
        { address: '2606:4700::1111', family: 6 },
      ],
      undefined,
    ]);
    expect(await guarded('public.example', false)).toEqual(['1.1.1.1', 4]);
    expect(await guarded('both.example', true)).toBe('EPRIVATE');
    expect(await guarded('both.example', false)).toBe('EPRIVATE');
    expect(await guarded('unknown.example', true)).toBe('ENOTFOUND');
  });

  it('is that of a private hub when an address of it is private', async () => {
    expect(await leadsToPrivate('both.example', lookup)).toBe(true);
    expect(await leadsToPrivate('public.example', lookup)).toBe(false);
    expect(await leadsToPrivate('unknown.example', lookup)).toBe(false);
    expect(await leadsToPrivate('127.0.0.1', lookup)).toBe(true);
    expect(await leadsToPrivate('1.1.1.1', lookup)).toBe(false);
    expect(await leadsToPrivate('[::1]', lookup)).toBe(true);
  });
});
