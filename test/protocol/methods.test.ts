import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MESSAGE_BYTES_MAX } from '../../protocol/limits.ts';
import { type AnyMethod, PEER_METHODS, protocolId, RUNNER_METHODS } from '../../protocol/methods.ts';

const peers: AnyMethod[] = Object.values(PEER_METHODS);
const runners: AnyMethod[] = Object.values(RUNNER_METHODS);

describe('the table of methods', () => {
  it('never changes the meaning of a number', () => {
    // Numbers and names that a release has used; a new method is a new line.
    const used = [
      '1 sync/1',
      '2 probe/1',
      '3 sample/1',
      '10 run/1',
      '11 encode/1',
      '12 generate/1',
      '13 cut-table/1',
      '20 manifest/1',
      '21 read-file/1',
      '22 holding/1',
      '30 join-hello/1',
      '31 join-prove/1',
      '40 manage/1',
      '41 watch/1',
      '100 load/1',
      '101 unload/1',
      '102 stats/1',
      '103 weigh/1',
      '104 cuts/1',
    ];
    const rows = new Set([...peers, ...runners].map(({ id, name, version }) => `${id} ${name}/${version}`));
    expect([...rows]).toEqual(used);
  });

  it.each([...peers, ...runners].map((method) => [method.name, method] as const))('bounds %s', (_name, method) => {
    const { quota, timeouts, pooledStreams } = method;
    expect(quota.callsPerPeer).toBeGreaterThan(0);
    expect(quota.requestBytesMax).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
    expect(quota.answerBytesMax).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
    expect(pooledStreams).toBeLessThanOrEqual(quota.callsPerPeer);
    expect(timeouts.ackMs).toBeGreaterThan(0);
    expect(timeouts.totalMs).toBeGreaterThanOrEqual(timeouts.ackMs);
    // What a 32-bit timer holds.
    expect(timeouts.totalMs).toBeLessThan(2 ** 31);
  });

  it('lets strangers do nothing but join', () => {
    expect(peers.filter(({ access }) => access === 'joiner').map(({ name }) => name)).toEqual([
      'join-hello',
      'join-prove',
    ]);
    expect(peers.every(({ access }) => access !== 'daemon')).toBe(true);
    expect(runners.every(({ access }) => access === 'daemon')).toBe(true);
  });

  it('speaks to runners with the peers’ codecs', () => {
    for (const name of ['run', 'encode', 'generate'] as const) {
      expect(RUNNER_METHODS[name].request).toBe(PEER_METHODS[name].request);
      expect(RUNNER_METHODS[name].response).toBe(PEER_METHODS[name].response);
    }
  });

  it('names libp2p protocols by method and version', () => {
    expect(protocolId(PEER_METHODS.readFile)).toBe('/weft/read-file/1');
    expect(new Set(peers.map(protocolId)).size).toBe(peers.length);
  });

  it('is in docs/protocol.md as it is here', () => {
    const size = (bytes: number): string => {
      if (bytes === 0) return '0';
      return bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / (1 << 10)} KiB`;
    };
    const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
    const rows = text.split('\n').flatMap((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      // The fourth column is words.
      return /^\d+$/.test(cells[1] ?? '') && cells.length === 13 ? [cells.slice(1, 5).concat(cells.slice(6, 12))] : [];
    });
    const { load, unload, stats, weigh, cuts } = RUNNER_METHODS;
    expect(rows).toEqual(
      [...peers, load, unload, stats, weigh, cuts].map(
        ({ id, name, version, access, pooledStreams, quota, timeouts }) => [
          `${id}`,
          name,
          `${version}`,
          access,
          `${pooledStreams}`,
          `${quota.callsPerPeer}`,
          size(quota.requestBytesMax),
          size(quota.answerBytesMax),
          `${timeouts.ackMs / 1000} s`,
          `${timeouts.totalMs / 1000} s`,
        ],
      ),
    );
  });
});
