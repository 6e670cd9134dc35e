// What is kept of answers, and when it is forgotten. Each bound has a twin without it, in which the store grows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GATEWAY_LIMITS } from '../../../node/gateway/limits.ts';
import { ResponseStore, type StoredResponse } from '../../../node/gateway/response-store.ts';
import type { OutputItem, Response } from '../../../protocol/api/openai.ts';
import { runs } from '../../support/property.ts';
import { ManualClock } from '../core/manual-clock.ts';

const LIMITS = {
  storedResponsesMax: 3,
  storedBytesMax: 10_000,
  storedResponseBytesMax: 8_000,
  storedMsMax: 1_000,
};

function start(limits: Partial<typeof LIMITS> = {}) {
  const clock = new ManualClock();
  return { clock, store: new ResponseStore({ clock }, { ...LIMITS, ...limits }) };
}

const itemOf = (id: string): OutputItem => ({
  type: 'function_call',
  id: `fc_${id}`,
  status: 'completed',
  call_id: 'call_1',
  name: 'f',
  arguments: '{"city":"Malmö"}',
});

/** Only what the store looks at. */
const answer = (id: string, text = ''): StoredResponse => ({
  response: { id, metadata: { text }, output: [itemOf(id)] } as unknown as Response,
  conversation: [{ role: 'user', content: 'wörld \ud800' }],
});

const kept = (store: ResponseStore, ...ids: readonly string[]) => ids.filter((id) => store.get(id) !== undefined);

describe('the store', () => {
  it('gives back what it was given, and its items', () => {
    const { store } = start();
    expect(store.keep(answer('a'))).toBe(true);
    expect(store.get('a')).toEqual(answer('a'));
    expect(store.item('fc_a')).toEqual(itemOf('a'));
    expect([store.get('b'), store.item('fc_b'), store.item('a')]).toEqual([undefined, undefined, undefined]);
  });

  it('forgets an answer with its items when it is told to, once', () => {
    const { store } = start();
    store.keep(answer('a'));
    expect([store.delete('a'), store.delete('a')]).toEqual([true, false]);
    expect([store.get('a'), store.item('fc_a'), store.size, store.bytes]).toEqual([undefined, undefined, 0, 0]);
  });

  it('has bounds in every node', () => {
    const { storedResponsesMax, storedBytesMax, storedResponseBytesMax, storedMsMax } = GATEWAY_LIMITS;
    expect([storedResponsesMax, storedBytesMax, storedMsMax].every(Number.isFinite)).toBe(true);
    expect(storedResponseBytesMax).toBeLessThan(storedBytesMax);
  });
});

describe('bounds', () => {
  it.each([
    ['bounded', 3, 3],
    ['not bounded', Number.POSITIVE_INFINITY, 20],
  ])('by count: %s', (_what, storedResponsesMax, size) => {
    const { store } = start({ storedResponsesMax });
    for (let index = 0; index < 20; index += 1) store.keep(answer(`r${index}`));
    expect(store.size).toBe(size);
    expect(kept(store, 'r0', 'r16', 'r17', 'r18', 'r19').slice(-3)).toEqual(['r17', 'r18', 'r19']);
  });

  it.each([
    ['bounded', 10_000, 9],
    ['not bounded', Number.POSITIVE_INFINITY, 20],
  ])('by bytes of all: %s', (_what, storedBytesMax, sizeMax) => {
    const { store } = start({ storedBytesMax, storedResponsesMax: 100 });
    for (let index = 0; index < 20; index += 1) store.keep(answer(`r${index}`, 'x'.repeat(1_000)));
    expect(store.bytes).toBeLessThanOrEqual(storedBytesMax);
    expect(store.size).toBeLessThanOrEqual(sizeMax);
    expect(store.bytes).toBeGreaterThan(store.size * 1_000);
    expect(kept(store, 'r0', 'r19').at(-1)).toBe('r19');
  });

  it.each([
    ['bounded', 8_000, ['a']],
    ['not bounded', Number.POSITIVE_INFINITY, []],
  ])('by bytes of one, which must not push out all others: %s', (_what, storedResponseBytesMax, ids) => {
    const { store } = start({ storedResponseBytesMax });
    store.keep(answer('a'));
    expect(store.keep(answer('b', 'é'.repeat(5_000)))).toBe(storedResponseBytesMax > 8_000);
    expect(kept(store, 'a')).toEqual(ids);
  });

  it.each([
    ['bounded', 1_000, []],
    ['not bounded', 1e9, ['a', 'b']],
  ])('by age, without anybody asking: %s', (_what, storedMsMax, ids) => {
    const { clock, store } = start({ storedMsMax });
    store.keep(answer('a'));
    clock.advance(600);
    store.keep(answer('b'));
    expect(kept(store, 'b')).toEqual(['b']);
    clock.advance(1_000);
    // Nothing has been asked for since: what is left is what was not forgotten by itself.
    expect(store.size).toBe(ids.length);
    expect(kept(store, 'a', 'b')).toEqual(ids);
  });

  it('spare what was used last', () => {
    const { clock, store } = start();
    for (const id of ['a', 'b', 'c']) store.keep(answer(id));
    store.get('a');
    store.keep(answer('d'));
    expect(store.size).toBe(3);
    clock.advance(900);
    store.item('fc_a');
    clock.advance(900);
    expect(store.size).toBe(1);
    expect(store.get('a')).toBeDefined();
  });

  it('wait for nothing when there is nothing', () => {
    const { clock, store } = start();
    store.keep(answer('a'));
    store.keep(answer('b'));
    expect(clock.waiting).toBe(1);
    clock.advance(1_000);
    expect([store.size, clock.waiting]).toEqual([0, 0]);
  });

  it('hold whatever is done', () => {
    const id = fc.integer({ min: 0, max: 8 }).map(String);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('keep' as const), length: fc.integer({ min: 0, max: 9_000 }) }),
      fc.record({ kind: fc.constantFrom('get' as const, 'item' as const, 'delete' as const), id }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1_500 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { clock, store } = start();
        const usedAt = new Map<string, number>();
        for (const [index, one] of steps.entries()) {
          if (one.kind === 'wait') clock.advance(one.ms);
          else if (one.kind === 'keep') {
            const name = String(index);
            if (store.keep(answer(name, 'x'.repeat(one.length)))) usedAt.set(name, clock.now());
          } else if (one.kind === 'delete') store.delete(one.id);
          else {
            const found = one.kind === 'get' ? store.get(one.id)?.response.id : store.item(`fc_${one.id}`)?.id.slice(3);
            expect(found ?? one.id).toBe(one.id);
            if (found !== undefined) {
              expect(clock.now() - (usedAt.get(one.id) ?? Number.NaN)).toBeLessThan(LIMITS.storedMsMax);
              usedAt.set(one.id, clock.now());
            }
          }
          expect(store.size).toBeLessThanOrEqual(LIMITS.storedResponsesMax);
          expect(store.bytes).toBeLessThanOrEqual(LIMITS.storedBytesMax);
          expect(store.bytes > 0).toBe(store.size > 0);
          expect(clock.waiting).toBeLessThanOrEqual(1);
        }
        for (const name of usedAt.keys()) store.delete(name);
        expect([store.size, store.bytes]).toEqual([0, 0]);
      }),
      runs(200),
    );
  });
});
