import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLoopback, isOrigin, parseApiAddress, parseSwarmAddress } from '../../../node/config/addresses.ts';
import { nearest } from '../../../node/config/nearest.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../node/config/units.ts';
import { runs } from '../../support/property.ts';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['2s', 2_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['2D', 172_800_000],
    ['0', 0],
    [' 3s ', 3_000],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '5', '-1', '-5m', '5 m', 'm', '1e3s', '5minutes', 'NaN', '999999999999999999d', '1h-30m', '5m!'])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe('what is written', () => {
  it.each([
    [0, '0'],
    [90_000, '1m30s'],
    [300_000, '5m'],
    [750, '750ms'],
    [172_800_000, '2d'],
  ])('%d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [4 * 2 ** 30, '4GiB'],
    [1_536 * 2 ** 20, '1536MiB'],
    [1_500, '1500'],
    [0, '0'],
  ])('%d bytes as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('is read as the same again', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 50 }), (number) => {
        expect(parseDuration(formatDuration(number))).toBe(number);
        expect(parseSize(formatSize(number))).toBe(number);
      }),
      runs(500),
    );
  });
});

describe('sizes', () => {
  it.each([
    ['4GiB', 4 * 2 ** 30],
    ['512 MiB', 512 * 2 ** 20],
    ['1.5gb', 1.5e9],
    ['100KB', 1e5],
    ['1TiB', 2 ** 40],
    ['17', 17],
    ['17B', 17],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'GiB', '-1GiB', '4G', '1e9', '4 Gibi', '0x10', '99999999TiB', '4GiB4GiB'])('%j is none', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});

describe('the address of the API', () => {
  it.each([
    ['127.0.0.1:9338', '127.0.0.1', 9338],
    ['[::1]:0', '::1', 0],
    ['localhost:80', 'localhost', 80],
    ['my-nas.home.arpa:65535', 'my-nas.home.arpa', 65535],
  ])('reads %s', (text, host, port) => {
    expect(parseApiAddress(text)).toEqual({ host, port });
  });

  it.each([
    '',
    '9338',
    ':9338',
    'localhost',
    '127.0.0.1',
    '::1:9338',
    '[localhost]:1',
    'a:65536',
    '1.2.3:4',
    '1.2.3.4.5:6',
    'a b:1',
    'http://a:1',
    '-a:1',
  ])('refuses %j', (text) => {
    expect(parseApiAddress(text)).toBeUndefined();
  });

  it('tells loopback from what others reach', () => {
    for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1']) {
      expect(isLoopback(host), host).toBe(true);
    }
    for (const host of ['0.0.0.0', '::', '192.168.0.1', 'localhost.example', '127.example', '::ffff:127.0.0.1']) {
      expect(isLoopback(host), host).toBe(false);
    }
  });
});

describe('swarm addresses', () => {
  const peer = '12D3KooWGQMdF5LLXPyhv3nk8TUsEJ7xAVGNPKz6TWvJBbNQqeCz';

  it.each(['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/9339', '/dns4/home.example/tcp/9339', `/ip4/1.2.3.4/tcp/1/p2p/${peer}`])(
    'reads %s',
    (text) => {
      expect(parseSwarmAddress(text)).toBeDefined();
    },
  );

  it.each([
    '',
    'ip4/1.2.3.4/tcp/1',
    '/ip4/1.2.3.256/tcp/1',
    '/ip6/1.2.3.4/tcp/1',
    '/ip4/1.2.3.4/udp/1',
    '/ip4/1.2.3.4/tcp/99999',
    '/dns4/1.2.3.4/tcp/1',
    '/ip4/1.2.3.4/tcp/1/ws',
  ])('refuses %j', (text) => {
    expect(parseSwarmAddress(text)).toBeUndefined();
  });
});

describe('origins', () => {
  it('are scheme and host, and never all of them', () => {
    for (const text of ['http://localhost:3000', 'https://app.example', 'app://weft'])
      expect(isOrigin(text)).toBe(true);
    for (const text of [
      '*',
      'null',
      '',
      'https://app.example/',
      'https://*.example',
      'app.example',
      'https://A.example',
    ]) {
      expect(isOrigin(text), text).toBe(false);
    }
  });
});

describe('the nearest name', () => {
  it('is found for slips, and for nothing else', () => {
    const names = ['offer', 'threads', 'logLevel', 'keepAlive'];
    expect(nearest('ofer', names)).toBe('offer');
    expect(nearest('loglevel', names)).toBe('logLevel');
    expect(nearest('keep-alive', names)).toBe('keepAlive');
    expect(nearest('colour', names)).toBeUndefined();
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat({ max: 20 }), (name, at) => {
        expect(nearest(name.slice(0, at) + name.slice(at + 1), names)).toBe(name);
      }),
    );
  });
});
