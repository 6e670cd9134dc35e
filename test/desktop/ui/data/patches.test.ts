import { describe, expect, it } from 'vitest';
import type { NodeEvent } from '../../../../desktop/ui/data/contract.ts';
import { REQUESTS_LISTED_MAX } from '../../../../desktop/ui/data/limits.ts';
import { patchPeers, patchRequests, patchStatus, patchTransfers } from '../../../../desktop/ui/data/patches.ts';
import type { PeersAnswer, StatusAnswer, TransfersAnswer } from '../../../../protocol/api/control.ts';
import { pulseAt, RECORDED } from '../../../support/recorded-answers.ts';

const event = (type: string, data: unknown, atMs = 5_000): NodeEvent => ({ id: '1', type, atMs, data }) as NodeEvent;

const REQUESTS = RECORDED['GET /api/v1/requests'];

describe('patchRequests', () => {
  it('puts new requests first, and moves known ones on where they stand', () => {
    const known = REQUESTS.requests[3]?.requestId ?? '';
    const { requests } = patchRequests(REQUESTS, [
      event('request', { requestId: 'a', phase: 'begun', name: 'chat' }),
      event('request', { requestId: 'b', phase: 'begun', name: 'chat', model: 'm' }),
      event('request', { requestId: 'b', phase: 'placed', name: 'chat', nodes: ['n'], predictedMs: 5 }),
      event('request', { requestId: known, phase: 'ended', name: 'chat', status: 'cancelled', durationMs: 7 }),
    ]);
    expect(requests.slice(0, 2).map(({ requestId, status }) => [requestId, status])).toEqual([
      ['b', 'running'],
      ['a', 'running'],
    ]);
    expect(requests[0]).toMatchObject({ nodes: ['n'], predictedMs: 5, model: 'm' });
    expect(requests[5]).toMatchObject({ requestId: known, status: 'cancelled', durationMs: 7 });
  });

  it('keeps no more than a node does', () => {
    const flood = Array.from({ length: REQUESTS_LISTED_MAX + 50 }, (_, at) =>
      event('request', { requestId: `r${at}`, phase: 'begun', name: 'chat' }),
    );
    expect(patchRequests(REQUESTS, flood).requests).toHaveLength(REQUESTS_LISTED_MAX);
  });

  it('changes nothing for steps between', () => {
    expect(patchRequests(REQUESTS, [event('request', { requestId: 'r', phase: 'progress', name: 'x', done: 1 })])).toBe(
      REQUESTS,
    );
  });
});

describe('patchTransfers', () => {
  it('takes over the last state of each, new ones first', () => {
    const before = { transfers: [{ id: 'old', phase: 'fetching' }] } as unknown as TransfersAnswer;
    const { transfers } = patchTransfers(before, [
      event('transfer', { id: 'new', phase: 'resolving' }),
      event('transfer', { id: 'old', phase: 'checking' }),
      event('transfer', { id: 'old', phase: 'done' }),
    ]);
    expect(transfers.map(({ id, phase }) => `${id} ${phase}`)).toEqual(['new resolving', 'old done']);
  });
});

describe('pulses', () => {
  const peers: PeersAnswer = RECORDED['GET /api/v1/peers'];
  const status: StatusAnswer = RECORDED['GET /api/v1/status'];

  it('bring the load of this node and the links of the others up to date', () => {
    const pulse = pulseAt(0, peers.peers);
    const told = { ...pulse, peers: [{ node: peers.peers[1]?.node ?? '', rttMs: 77 }] };
    const patched = patchPeers(peers, [event('pulse', told)]);
    expect(patched.peers[1]?.link).toEqual({ ...peers.peers[1]?.link, rttMs: 77 });
    expect(patched.peers[1]?.load).toEqual(peers.peers[1]?.load);
    expect(patched.peers[0]).toBe(peers.peers[0]);
    expect(patchStatus(status, [event('pulse', pulse)]).load).toMatchObject({ queuedMs: pulse.self.queuedMs });
    expect(patchStatus(status, [])).toBe(status);
  });
});
