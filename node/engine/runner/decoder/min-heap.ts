// The least valuable item first, with removal from the middle: items know their place, so the heap never holds more
// than what is in it. Used by the prefix tree for the blocks that may go.

/** What the heap orders by, which must not change while an item is in it, and where it keeps the item. */
export interface HeapItem {
  worth: number;
  /** Of two of equal worth the one with the lower number comes first. */
  used: number;
  /** The heap's own; −1 while the item is not in it. */
  heapIndex: number;
}

export class MinHeap<Item extends HeapItem> {
  readonly #items: Item[] = [];

  /** The least; undefined of none. */
  get least(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    item.heapIndex = this.#items.length;
    this.#items.push(item);
    this.#rise(item);
  }

  remove(item: Item): void {
    const last = this.#items.pop() as Item;
    if (last !== item) {
      this.#put(last, item.heapIndex);
      this.#rise(last);
      this.#sink(last);
    }
    item.heapIndex = -1;
  }

  #rise(item: Item): void {
    while (item.heapIndex > 0) {
      const parent = this.#items[(item.heapIndex - 1) >> 1] as Item;
      if (!isLess(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: Item): void {
    for (;;) {
      const left = this.#items[2 * item.heapIndex + 1];
      const right = this.#items[2 * item.heapIndex + 2];
      if (left === undefined) return;
      const child = right !== undefined && isLess(right, left) ? right : left;
      if (!isLess(child, item)) return;
      this.#swap(item, child);
    }
  }

  #swap(a: Item, b: Item): void {
    const index = a.heapIndex;
    this.#put(a, b.heapIndex);
    this.#put(b, index);
  }

  #put(item: Item, index: number): void {
    this.#items[index] = item;
    item.heapIndex = index;
  }
}

function isLess(a: HeapItem, b: HeapItem): boolean {
  return a.worth < b.worth || (a.worth === b.worth && a.used < b.used);
}
