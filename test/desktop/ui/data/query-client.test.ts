import { QueryObserver } from '@tanstack/react-query';
import { describe, expect, it } from 'vitest';
import type { NodeEvent } from '../../../../desktop/ui/data/contract.ts';
import { FRESHNESS } from '../../../../desktop/ui/data/freshness.ts';
import { createQueryClient, Freshener } from '../../../../desktop/ui/data/query-client.ts';

const event = (type: string, data: unknown): NodeEvent => ({ id: '1', type, atMs: 1, data }) as NodeEvent;

async function rig(key: readonly string[]) {
  const client = createQueryClient();
  let reads = 0;
  const observer = new QueryObserver(client, {
    queryKey: key,
    queryFn: () => {
      reads += 1;
      return { reads };
    },
  });
  const unsubscribe = observer.subscribe(() => undefined);
  await client.fetchQuery({ queryKey: key, queryFn: () => ({ reads }) });
  reads = 0;
  const timers: { ms: number; callback: () => void }[] = [];
  let now = 1_000_000;
  const freshener = new Freshener({
    client,
    after: (ms, callback) => timers.push({ ms, callback }),
    now: () => now,
  });
  return {
    client,
    freshener,
    timers,
    unsubscribe,
    reads: () => reads,
    advance: (ms: number) => {
      now += ms;
    },
  };
}

describe('Freshener', () => {
  it('reads an answer again at once, then at most as often as the table says', async () => {
    const { freshener, timers, reads, advance, unsubscribe } = await rig(['peers']);
    const change = event('node', { node: 'n', state: 'connected' });
    freshener.take([change, change]);
    expect(reads()).toBe(1);
    advance(100);
    for (let at = 0; at < 50; at += 1) freshener.take([change]);
    expect(reads()).toBe(1);
    // Fifty frames, and one reading of each answer that waits for its turn.
    const waiting = Object.values(FRESHNESS).filter(({ events }) => events.includes('node'));
    expect(timers.map(({ ms }) => ms).sort()).toEqual(waiting.map(({ everyMs }) => everyMs - 100).sort());
    await Promise.resolve();
    for (const { callback } of timers) callback();
    await Promise.resolve();
    expect(reads()).toBe(2);
    unsubscribe();
  });

  it('reads the conversation that has changed, and no other', async () => {
    const one = await rig(['conversation', 'c1']);
    one.freshener.take([event('conversation', { id: 'c2', change: 'changed' })]);
    expect(one.reads()).toBe(0);
    one.unsubscribe();
    const two = await rig(['conversation', 'c1']);
    two.freshener.take([event('conversation', { id: 'c1', change: 'changed' })]);
    expect(two.reads()).toBe(1);
    two.unsubscribe();
  });

  it('takes requests, transfers and loads from the events themselves', async () => {
    const { client, freshener, unsubscribe } = await rig(['other']);
    client.setQueryData(['requests'], { requests: [] });
    client.setQueryData(['transfers'], { transfers: [{ id: 't', phase: 'fetching' }] });
    freshener.take([
      event('request', { requestId: 'r', phase: 'begun', name: 'chat' }),
      event('transfer', { id: 't', phase: 'done' }),
    ]);
    expect(client.getQueryData(['requests'])).toMatchObject({ requests: [{ requestId: 'r', status: 'running' }] });
    expect(client.getQueryData(['transfers'])).toMatchObject({ transfers: [{ id: 't', phase: 'done' }] });
    unsubscribe();
  });
});
