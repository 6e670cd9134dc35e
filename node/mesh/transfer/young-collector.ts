// Collects what bulk work leaves behind while it is still cheap. Each 64 KiB that cross a connection leave three buffers
// of as much, which live for a few milliseconds. Left alone, V8 lets 64 MB of them gather and then goes through the whole
// heap: at 200 MB/s that took more of the event loop than encryption did, and 100 MB of memory. Looking through the young
// objects alone takes a fraction of a millisecond and frees the same buffers.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects young objects. Does nothing where the runtime doesn't offer it. */
export type Collect = () => void;

/** Makes the runtime's own collector callable; nothing else of the process gets to see it. */
export function youngCollector(): Collect {
  try {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
    setFlagsFromString('--no-expose-gc');
    collect({ type: 'minor' });
    return () => collect({ type: 'minor' });
  } catch {
    // A runtime without it is only slower.
    return () => undefined;
  }
}

/** Lets the heap grow before it is looked through as a whole, or leaves that to the runtime again. */
export type HeapRoom = (isRoomy: boolean) => void;

/** The largest that V8 chooses by itself: four times what was alive. */
const GROWING_PERCENT = 300;

/**
 * What is on its way counts as much as the heap: with 40 MB of it beside a heap of 25 MB, V8 set its limit so that it went
 * through the whole heap for every few megabytes, and found nothing to free. Takes effect at the next collection.
 */
export function heapRoom(isRoomy: boolean): void {
  setFlagsFromString(`--heap-growing-percent=${isRoomy ? GROWING_PERCENT : 0}`);
}
