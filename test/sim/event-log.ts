// What happened in a world, as a hash over every event and as calls to whoever watches: two runs with the same hash did the
// same things at the same times.

/** What the world tells of. `node` is the node where it happened, `request` the number of the request it belongs to. */
export const EVENT_KINDS = [
  /** An app has handed a request to its entry node… */
  'submitted',
  /** …which chose this node for it: once for each attempt. */
  'placed',
  /** A call has left for this node. */
  'sent',
  /** The executor took it in, or… */
  'taken',
  /** …refused it, `declined` included. */
  'refused',
  'begun',
  /** The executor ended the work. */
  'done',
  /** The executor ended work that nobody waits for any more. */
  'stopped',
  /** The answer is at the entry, and somebody waited for it. */
  'answered',
  /** The call has failed, as the entry sees it. */
  'failed',
  /** The app has its outcome: once for each request. */
  'outcome',
  /** An entry has, doubts and has lost this node's connection. */
  'connected',
  'suspect',
  'gone',
  /** An entry has heard this node's advert. */
  'advert',
  /** A fault was begun or ended at this node. */
  'fault',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** @param request -1 where it belongs to none */
export type OnEvent = (kind: EventKind, atMs: number, node: string, request: number) => void;

const NUMBERS = new Map(EVENT_KINDS.map((kind, index) => [kind, index]));

export class EventLog {
  readonly #watchers: OnEvent[] = [];
  readonly #time = new Float64Array(1);
  readonly #words = new Int32Array(this.#time.buffer);
  #a = 0x243f_6a88;
  #b = 0x85a3_08d3;
  #count = 0;

  /** Of all events so far, in their order: 16 hex digits. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.#a) + hex(this.#b);
  }

  get count(): number {
    return this.#count;
  }

  watch(watcher: OnEvent): void {
    this.#watchers.push(watcher);
  }

  /** @param index of the node, from 0 */
  note(kind: EventKind, atMs: number, node: string, index: number, request: number): void {
    this.#count++;
    this.#time[0] = atMs;
    this.#mix(((NUMBERS.get(kind) ?? 0) << 24) | index);
    this.#mix(request);
    this.#mix(this.#words[0] ?? 0);
    this.#mix(this.#words[1] ?? 0);
    for (const watcher of this.#watchers) watcher(kind, atMs, node, request);
  }

  /** Two lanes of MurmurHash3's body (Appleby, 2011). */
  #mix(word: number): void {
    const scrambled = Math.imul(word, 0xcc9e_2d51);
    const turned = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b87_3593);
    const a = this.#a ^ turned;
    this.#a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe654_6b64) | 0;
    const b = this.#b + this.#a + turned;
    this.#b = (Math.imul((b << 7) | (b >>> 25), 9) + 0x9e37_79b9) | 0;
  }
}
