import { describe, expect, it } from 'vitest';
import type { NodeEvent } from '../../../../desktop/ui/data/contract.ts';
import { FRESHNESS, type QueryName, staleAfter } from '../../../../desktop/ui/data/freshness.ts';
import { EVENT_TYPES } from '../../../../protocol/api/control.ts';

const event = (type: string, data: unknown): NodeEvent => ({ id: '1', type, atMs: 1, data }) as NodeEvent;

const names = (...events: readonly NodeEvent[]): QueryName[] => [...staleAfter(events).keys()].sort();

describe('freshness', () => {
  it('names only events that a node sends', () => {
    for (const { events } of Object.values(FRESHNESS)) for (const type of events) expect(EVENT_TYPES).toContain(type);
  });

  it('reads everything anew after a reset', () => {
    const stale = staleAfter([event('reset', {})]);
    expect([...stale.keys()].sort()).toEqual(Object.keys(FRESHNESS).sort());
    expect([...stale.values()].every((keys) => keys === 'all')).toBe(true);
  });

  it('reads nodes, members and models anew when a node comes or goes', () => {
    expect(names(event('node', { node: 'n', state: 'gone' }))).toEqual(
      expect.arrayContaining(['members', 'models', 'peers', 'status']),
    );
  });

  it('reads what is in memory when a model has been loaded, not at each step of its loading', () => {
    expect(names(event('model', { id: 'm', state: 'loading', fraction: 0.4 }))).toEqual([]);
    expect(names(event('model', { id: 'm', state: 'loaded' }))).toContain('ps');
  });

  it('reads models when a pull has ended, not at each of its pieces', () => {
    expect(names(event('transfer', { id: 't', phase: 'fetching' }))).toEqual([]);
    expect(names(event('transfer', { id: 't', phase: 'done' }))).toEqual(
      expect.arrayContaining(['models', 'mesh-models']),
    );
  });

  it('reads one conversation where one has changed, and the answers about one node', () => {
    const stale = staleAfter([
      event('conversation', { id: 'c1', change: 'changed' }),
      event('node', { node: 'n1', state: 'connected' }),
    ]);
    expect(stale.get('conversation')).toEqual(new Set(['c1']));
    expect(stale.get('conversations')).toBe('all');
    expect(stale.get('node')).toEqual(new Set(['n1']));
  });
});
