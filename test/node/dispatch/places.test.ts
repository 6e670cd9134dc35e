import { describe, expect, it } from 'vitest';
import { Places } from '../../../node/dispatch/places.ts';

const load = (requestsInFlight: number, queuedMs: number) => ({
  requestsInFlight,
  queuedMs,
  latencyMs: 0,
  memoryFreeBytes: 0,
});

describe('places of a node', () => {
  it('are one more than it does without a queue', () => {
    const places = new Places();
    expect(places.at('a', load(0, 0))).toBe(1);
    expect(places.at('a', load(3, 0))).toBe(4);
    expect(places.at('a', load(1, 0))).toBe(4);
    expect(places.at('b', load(1, 0))).toBe(2);
  });

  it('are no more than it had when something waited', () => {
    const places = new Places();
    expect(places.at('a', load(3, 0))).toBe(4);
    expect(places.at('a', load(9, 50))).toBe(4);
    expect(places.at('a', load(2, 50))).toBe(2);
    expect(places.at('a', load(0, 50))).toBe(1);
  });
});
