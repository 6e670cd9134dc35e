// What each source has given to one pull, over all its downloads. Pure.
import type { DownloadProgress, SourceProgress } from '../core/transfer.ts';

export class Tally {
  /** Of downloads that are over, by source. */
  readonly #before = new Map<string, SourceProgress>();
  #now: readonly SourceProgress[] = [];

  /** How far the present download is. */
  take({ sources }: Pick<DownloadProgress, 'sources'>): void {
    this.#now = sources;
  }

  /** The present download is over. */
  next(): void {
    const all = this.list();
    this.#now = [];
    this.#before.clear();
    for (const source of all) this.#before.set(keyOf(source), { ...source, bytesPerSecond: 0 });
  }

  /** Bytes that came whole, not in chunks. */
  add(kind: SourceProgress['kind'], name: string, bytes: number): void {
    const before = this.#before.get(keyOf({ kind, name }));
    const bytesInAll = (before?.bytes ?? 0) + bytes;
    this.#before.set(keyOf({ kind, name }), { kind, name, bytes: bytesInAll, bytesPerSecond: 0, state: 'idle' });
  }

  /** Every source with all that it gave. */
  list(): readonly SourceProgress[] {
    const all = new Map([...this.#before].map(([key, source]) => [key, { ...source, ...IDLE(source) }]));
    for (const source of this.#now) {
      const before = this.#before.get(keyOf(source));
      all.set(keyOf(source), { ...source, bytes: source.bytes + (before?.bytes ?? 0) });
    }
    return [...all.values()];
  }

  /** Bytes that came from sources of this kind. */
  bytes(kind: SourceProgress['kind']): number {
    return this.list().reduce((sum, source) => sum + (source.kind === kind ? source.bytes : 0), 0);
  }
}

const keyOf = ({ kind, name }: Pick<SourceProgress, 'kind' | 'name'>): string => `${kind} ${name}`;

/** What failed or lied stays so; what gave no longer gives. */
const IDLE = ({ state }: SourceProgress): Partial<SourceProgress> => (state === 'active' ? { state: 'idle' } : {});
