import { describe, expect, it } from 'vitest';
import {
  hardwareText,
  holdsText,
  loadShare,
  loadText,
  peerInWords,
  peerLoadText,
  stateOf,
} from '../../../../../desktop/ui/views/overview/describe.ts';
import { peerOf, RECORDED } from '../../../../support/recorded-answers.ts';

const STATUS = RECORDED['GET /api/v1/status'];
const PEERS = RECORDED['GET /api/v1/peers'].peers;

describe('in words', () => {
  it('a machine is its accelerator, or its processor, and the memory that counts', () => {
    expect(hardwareText(STATUS.hardware)).toBe('RTX 4090 · 24 GiB');
    const { hardware } = peerOf(2);
    expect(hardwareText(hardware)).toBe('Intel Core i5-8250U · 16 GiB');
    expect(hardwareText(undefined)).toBe('not known');
    expect(
      hardwareText({
        ...STATUS.hardware,
        devices: [],
        cpuModel: 'Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz',
        memoryBytes: 2 ** 33,
      }),
    ).toBe('Intel Xeon E5-2680 v4 · 8 GiB');
  });

  it('a node holds what it has in memory, or else what it has on disk', () => {
    const { offers } = peerOf(0);
    expect(holdsText(offers)).toBe('SmolLM2-135M-Instruct');
    expect(holdsText(offers.map((offer) => ({ ...offer, state: 'available' })))).toBe(
      'SmolLM2-135M-Instruct and 1 more',
    );
    expect(holdsText([])).toBe('no model');
  });

  it('load grows with requests and with the time that they wait', () => {
    const load = { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 };
    expect(loadText(load)).toBe('idle');
    expect(loadText({ ...load, requestsInFlight: 2 })).toBe('2 under way');
    expect(loadText({ ...load, queuedMs: 4_000 })).toBe('4 s of work waits');
    expect(loadShare(load)).toBe(0);
    expect(loadShare({ ...load, requestsInFlight: 1 })).toBeGreaterThan(0.05);
    expect(loadShare({ ...load, requestsInFlight: 3, queuedMs: 1_000 })).toBeGreaterThan(
      loadShare({ ...load, requestsInFlight: 3 }),
    );
    expect(loadShare({ ...load, queuedMs: 1e9 })).toBe(1);
  });

  it('a peer that takes no work says so before what it does, and looks another on the map', () => {
    const peer = peerOf(0);
    expect(peerLoadText(peer)).toBe('idle');
    expect(peerLoadText({ ...peer, withheld: 'paused' })).toBe('paused · idle');
    expect(peerLoadText({ ...peer, withheld: 'unlent' })).toBe('lends nothing · idle');
    expect(peerInWords({ ...peer, withheld: 'paused' })).not.toBe(peerInWords(peer));
  });

  it('this node is serving, busy, alone, or out of reach', () => {
    const given = { connection: 'live', status: STATUS, peers: PEERS, models: 4 } as const;
    expect(stateOf(given)).toMatchObject({ word: 'Serving', sentence: '5 nodes in reach, 4 models to choose from.' });
    const [first, ...rest] = PEERS;
    if (first === undefined) throw new Error('no peers');
    expect(stateOf({ ...given, peers: [{ ...first, state: 'gone' }, ...rest] }).sentence).toContain(
      '4 nodes in reach, 1 not',
    );
    expect(stateOf({ ...given, lends: false }).word).toBe('For itself');
    expect(stateOf({ ...given, peers: [] }).sentence).toContain('only node');
    expect(stateOf({ ...given, status: { ...STATUS, load: { ...STATUS.load, queuedMs: 9_000 } } }).word).toBe('Busy');
    expect(stateOf({ ...given, connection: 'offline' }).word).toBe('Not reachable');
    expect(stateOf({ ...given, status: undefined }).word).toBe('Connecting');
  });
});
