// The heap against a sorted list.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type HeapItem, MinHeap } from '../../../../../node/engine/runner/decoder/min-heap.ts';
import { runs } from '../../../../support/property.ts';

it('has the least first, whatever is pushed and removed', () => {
  const commands = fc.array(fc.record({ worth: fc.nat(8), removes: fc.boolean(), which: fc.nat() }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(commands, (list) => {
      const heap = new MinHeap<HeapItem>();
      const model: HeapItem[] = [];
      for (const [used, { worth, removes, which }] of list.entries()) {
        if (removes && model.length > 0) {
          const [item] = model.splice(which % model.length, 1) as [HeapItem];
          heap.remove(item);
          expect(item.heapIndex).toBe(-1);
        } else {
          const item = { worth, used, heapIndex: -1 };
          heap.push(item);
          model.push(item);
        }
        expect(heap.least).toBe(model.toSorted((a, b) => a.worth - b.worth || a.used - b.used)[0]);
        expect(model.map(({ heapIndex }) => heapIndex).sort((a, b) => a - b)).toEqual([...model.keys()]);
      }
    }),
    runs(200),
  );
});
