// Shows how far a pull, an import or a repair is, for as long as a command waits for it: by the daemon's `transfer` events.
import type { TransferState, TransfersAnswer } from '../../protocol/api/control.ts';
import type { Client } from './client.ts';
import { connect } from './connect.ts';
import type { ClientOptions, CommandContext } from './context.ts';
import { followEvents } from './follow-events.ts';
import { LiveLines } from './live-lines.ts';
import { type NameOf, nodeNames } from './node-names.ts';
import { chosenLines, isRunning, transferLines, transferWindow } from './transfer-view.ts';

export interface WatchInit {
  readonly context: CommandContext;
  /** With either of the latter two nothing is shown. */
  readonly options: ClientOptions & { readonly json?: true; readonly quiet?: true };
  /**
   * True for the one that is waited for.
   * @param isNew false for one that ran before this command did
   */
  readonly isWanted: (state: TransferState, isNew: boolean) => boolean;
}

/** What a command holds while it waits. */
export interface TransferWatch {
  /** Resolves once events are followed, or can't be: a lost stream of events costs the lines, not the work. */
  readonly watching: Promise<void>;
  /** What is known last. */
  readonly last: TransferState | undefined;
  /** Takes the changing lines away. */
  end(): void;
}

/** Begins to show it on stderr: lines that change at a terminal, lines that stay elsewhere. */
export function watchTransfer({ context, options, isWanted }: WatchInit): TransferWatch {
  if (options.json || options.quiet) return UNWATCHED;
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const { promise: watching, resolve: watch } = Promise.withResolvers<void>();
  const show = shownOn(context);
  let nameOf: NameOf = (node) => node;
  let last: TransferState | undefined;

  const take = (state: TransferState, isNew: boolean): void => {
    if (ending.signal.aborted || (state.id !== last?.id && !isWanted(state, isNew))) return;
    if (state.id !== last?.id && last !== undefined && isRunning(last)) return;
    show.draw(state.id === last?.id ? last : undefined, state, nameOf);
    last = state;
  };
  const onOpen = async (client: Client): Promise<void> => {
    nameOf = await nodeNames(client, { signal });
    const { transfers } = await client.get<TransfersAnswer>('/api/v1/transfers', { signal });
    for (const state of transfers.filter(isRunning)) take(state, false);
    watch();
  };
  const follow = async (): Promise<void> => {
    const init = { connect: () => connect(context, options), types: ['transfer'] as const, signal };
    for await (const event of followEvents({ ...init, onOpen })) if (event.type === 'transfer') take(event.data, true);
  };
  follow().catch(() => watch());
  return {
    watching,
    get last() {
      return last;
    },
    end() {
      if (ending.signal.aborted) return;
      ending.abort();
      show.end();
    },
  };
}

/** Nothing to be seen: for programs, and for who doesn't want to look. */
const UNWATCHED: TransferWatch = { watching: Promise.resolve(), last: undefined, end: () => undefined };

interface Shown {
  draw(before: TransferState | undefined, now: TransferState, nameOf: NameOf): void;
  end(): void;
}

function shownOn({ stderr, env }: CommandContext): Shown {
  if (stderr.isTTY !== true || env.TERM === 'dumb') {
    return {
      draw(before, now, nameOf) {
        for (const line of transferLines(before, now, { nameOf })) stderr.write(`${line}\n`);
      },
      end: () => undefined,
    };
  }
  const lines = new LiveLines(stderr);
  return {
    draw: (before, now, nameOf) =>
      lines.draw(transferWindow(now, { columns: lines.columns, nameOf }), chosenLines(before, now)),
    end: () => lines.end(),
  };
}
