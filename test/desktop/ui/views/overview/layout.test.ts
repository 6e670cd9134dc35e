import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignSlots, formFor, placeOf } from '../../../../../desktop/ui/views/overview/layout.ts';

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `n${at}`);

describe('the map', () => {
  it('puts no node onto another, nor onto this one, however many there are', () => {
    for (const count of [1, 6, 7, 12, 13, 50, 300]) {
      const form = formFor(count);
      const places = [{ x: 0, y: 0 }, ...names(count).map((_, slot) => placeOf(slot, form))];
      for (const [at, a] of places.entries()) {
        for (const b of places.slice(at + 1)) {
          const apart = Math.abs(a.x - b.x) >= form.nodeWidth || Math.abs(a.y - b.y) >= form.nodeHeight;
          expect(apart, `${count} nodes: ${JSON.stringify([a, b])}`).toBe(true);
        }
      }
    }
  });

  it('gives every slot one place, whatever was asked for before', () => {
    const form = formFor(50);
    const before = names(20).map((_, slot) => placeOf(slot, form));
    placeOf(400, form);
    expect(names(20).map((_, slot) => placeOf(slot, form))).toEqual(before);
  });

  it('is readable with fifty nodes: at a width of 1,000 pixels names are drawn at nine pixels at least', () => {
    const form = formFor(50);
    const reach = Math.max(...names(50).map((_, slot) => Math.abs(placeOf(slot, form).x))) + form.nodeWidth / 2;
    const zoom = (1_000 * 0.94) / (reach * 2);
    expect(12 * zoom).toBeGreaterThanOrEqual(9);
  });

  it('keeps nodes where they are while others come and go', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(fc.constantFrom(...names(12)), { minLength: 1 }), { maxLength: 12 }),
        (turns) => {
          let slots: ReadonlyMap<string, number> = new Map();
          for (const nodes of turns) {
            const next = assignSlots(slots, nodes);
            expect([...next.keys()].sort()).toEqual([...nodes].sort());
            expect(new Set(next.values()).size).toBe(nodes.length);
            for (const [node, slot] of slots) {
              if (nodes.includes(node) && slot < nodes.length * 2 + 6) expect(next.get(node)).toBe(slot);
            }
            slots = next;
          }
        },
      ),
    );
  });

  it('moves nodes in from the edge once most of the others have gone', () => {
    const many = assignSlots(new Map(), names(50));
    const left = assignSlots(many, ['n49', 'n3']);
    expect(left.get('n3')).toBe(3);
    expect(left.get('n49')).toBeLessThan(3);
  });
});
