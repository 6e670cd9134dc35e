// Shows how far the requests of one batch are, for as long as a command waits for them: by the daemon's `request` events.
import { randomBytes } from 'node:crypto';
import type { RequestChange } from '../../protocol/api/control.ts';
import { type BatchState, batchWindow } from './batch-view.ts';
import type { Client } from './client.ts';
import { connect } from './connect.ts';
import type { CommandContext, ReadingOptions } from './context.ts';
import { followEvents } from './follow-events.ts';
import { LiveLines } from './live-lines.ts';
import { type NameOf, nodeNames } from './node-names.ts';

/** What a command holds while it waits. */
export interface BatchWatch {
  /** Resolves once events are followed, or can't be: a lost stream of events costs the lines, not the work. */
  readonly watching: Promise<void>;
  /** Of every request of the batch: by these its events are known. */
  readonly headers: Readonly<Record<string, string>>;
  /** One more request is answered. @param done items that are answered in all */
  answered(requestId: string, done: number): void;
  /** Takes the changing lines away. */
  end(): void;
}

/** Begins to show it on stderr. Nothing is shown with --json, where stderr is no terminal, and before something is done. */
export function watchBatch(init: {
  readonly context: CommandContext;
  readonly options: ReadingOptions;
  /** Items of the whole batch. */
  readonly total: number;
}): BatchWatch {
  const { context, options, total } = init;
  const { stderr, env } = context;
  if (options.json || stderr.isTTY !== true || env.TERM === 'dumb') return UNWATCHED;
  const traceId = randomBytes(16).toString('hex');
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const { promise: watching, resolve: watch } = Promise.withResolvers<void>();
  const lines = new LiveLines(stderr);
  const tally = new BatchTally(total);
  let nameOf: NameOf = (node) => node;
  const draw = (): void => {
    const { state } = tally;
    if (state.done > 0 && !ending.signal.aborted) lines.draw(batchWindow(state, { columns: lines.columns, nameOf }));
  };
  const onOpen = async (client: Client): Promise<void> => {
    nameOf = await nodeNames(client, { signal });
    watch();
  };
  const follow = async (): Promise<void> => {
    const init = { connect: () => connect(context, options), types: ['request'] as const, signal };
    for await (const event of followEvents({ ...init, onOpen })) {
      if (event.type === 'request' && event.data.traceId === traceId && tally.take(event.data)) draw();
    }
  };
  follow().catch(() => watch());
  return {
    watching,
    headers: { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` },
    answered(requestId, done) {
      tally.answered(requestId, done);
      if (done < total) draw();
    },
    end() {
      if (ending.signal.aborted) return;
      ending.abort();
      lines.end();
    },
  };
}

const UNWATCHED: BatchWatch = {
  watching: Promise.resolve(),
  headers: {},
  answered: () => undefined,
  end: () => undefined,
};

/** Puts together what the events of a batch's requests say, which come one after the other. */
export class BatchTally {
  readonly #total: number;
  readonly #nodes = new Set<string>();
  readonly #over = new Set<string>();
  /** Of the requests that are answered. */
  #answered = 0;
  #answeredByNode: ReadonlyMap<string, number> | undefined = new Map();
  /** Of the request that is under way. */
  #underWay: Pick<RequestChange, 'requestId' | 'done' | 'doneByNode'> | undefined;

  constructor(total: number) {
    this.#total = total;
  }

  get state(): BatchState {
    const { done = 0 } = this.#underWay ?? {};
    return {
      done: this.#answered + done,
      total: this.#total,
      nodes: [...this.#nodes],
      byNode: this.#byNode(done),
    };
  }

  /** @returns whether there is something new to show */
  take(change: RequestChange): boolean {
    // Events come on a way of their own: some after the answer.
    if (this.#over.has(change.requestId)) return false;
    if (change.phase === 'placed') for (const node of change.nodes ?? []) this.#nodes.add(node);
    if (change.phase !== 'progress') return false;
    this.#underWay = change;
    return true;
  }

  /** @param done items that are answered in all */
  answered(requestId: string, done: number): void {
    this.#over.add(requestId);
    this.#answeredByNode = this.#byNode(done - this.#answered);
    this.#answered = done;
    this.#underWay = undefined;
  }

  /** What each has done, where that is known of everything. @param done items of the request under way */
  #byNode(done: number): ReadonlyMap<string, number> | undefined {
    if (this.#answeredByNode === undefined) return undefined;
    const sums = new Map(this.#answeredByNode);
    const { doneByNode = {} } = this.#underWay ?? {};
    let known = 0;
    for (const [node, count] of Object.entries(doneByNode)) {
      sums.set(node, (sums.get(node) ?? 0) + count);
      known += count;
    }
    return known === done ? sums : undefined;
  }
}
