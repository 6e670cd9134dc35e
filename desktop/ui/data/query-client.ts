// The app's store of answers, and what keeps it fresh: events patch answers or have them read again, as freshness.ts says.
import { QueryClient } from '@tanstack/react-query';
import type { PeersAnswer, RequestsAnswer, StatusAnswer, TransfersAnswer } from '../../../protocol/api/control.ts';
import { ApiError } from './client.ts';
import type { NodeEvent } from './contract.ts';
import { FRESHNESS, type QueryName, staleAfter } from './freshness.ts';
import { patchPeers, patchRequests, patchStatus, patchTransfers } from './patches.ts';
import { queryKey } from './queries.ts';

/** A node that starts or is busy for a moment is asked again; what it refuses isn't. */
const RETRIES_MAX = 2;

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: Number.POSITIVE_INFINITY,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        networkMode: 'always',
        retry: (failures, error) =>
          failures < RETRIES_MAX && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
      },
      mutations: { networkMode: 'always' },
    },
  });
}

/** Reads queries of one node again, each at most as often as its row of the table says. */
export class Freshener {
  readonly #client: QueryClient;
  readonly #after: (ms: number, callback: () => void) => void;
  readonly #now: () => number;
  readonly #node: string | undefined;
  readonly #readAtMs = new Map<QueryName, number>();
  readonly #waiting = new Map<QueryName, Set<string> | 'all'>();

  constructor(
    components: {
      readonly client: QueryClient;
      readonly after: (ms: number, callback: () => void) => void;
      readonly now: () => number;
    },
    init: { readonly node?: string | undefined } = {},
  ) {
    this.#node = init.node;
    this.#client = components.client;
    this.#after = components.after;
    this.#now = components.now;
  }

  /** Takes the events of one frame. */
  take(events: readonly NodeEvent[]): void {
    this.#patch(events);
    for (const [name, keys] of staleAfter(events)) this.#mark(name, keys);
  }

  #patch(events: readonly NodeEvent[]): void {
    const patch = <T>(name: QueryName, change: (answer: T, events: readonly NodeEvent[]) => T): void => {
      this.#client.setQueryData<T>(queryKey(name, this.#node), (answer) =>
        answer === undefined ? undefined : change(answer, events),
      );
    };
    patch<RequestsAnswer>('requests', patchRequests);
    patch<TransfersAnswer>('transfers', patchTransfers);
    patch<StatusAnswer>('status', patchStatus);
    patch<PeersAnswer>('peers', patchPeers);
  }

  #mark(name: QueryName, keys: ReadonlySet<string> | 'all'): void {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) {
      this.#waiting.set(name, waiting === 'all' || keys === 'all' ? 'all' : new Set([...waiting, ...keys]));
      return;
    }
    this.#waiting.set(name, keys === 'all' ? 'all' : new Set(keys));
    const since = this.#now() - (this.#readAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const { everyMs } = FRESHNESS[name];
    if (since >= everyMs) this.#read(name);
    else this.#after(everyMs - since, () => this.#read(name));
  }

  #read(name: QueryName): void {
    const keys = this.#waiting.get(name);
    this.#waiting.delete(name);
    this.#readAtMs.set(name, this.#now());
    if (keys === undefined) return;
    if (keys === 'all') void this.#client.invalidateQueries({ queryKey: queryKey(name, this.#node) });
    else for (const key of keys) void this.#client.invalidateQueries({ queryKey: queryKey(name, this.#node, key) });
  }
}
