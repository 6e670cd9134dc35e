// How the pages stand to their node, said quietly: a thread that is whole, being mended, or broken, with its word.
import type { ReactNode } from 'react';
import { classes } from '../components/class-names.ts';
import { Tooltip } from '../components/tooltip.tsx';
import { type ConnectionState, hub, useConnection } from '../data/events.ts';
import { text } from '../text/en.ts';

const LOOKS: Readonly<Record<ConnectionState, string>> = {
  connecting: 'thread-busy',
  live: 'bg-accent',
  reconnecting: 'thread-busy',
  offline: 'border-t-2 border-dotted border-bad',
  'signed-out': 'border-t-2 border-dotted border-faint',
};

export function ConnectionLine({ short = false }: { readonly short?: boolean }): ReactNode {
  const state = useConnection();
  const tries = state === 'reconnecting' || state === 'offline';
  // On narrow screens only what is not as it should be takes room for words.
  const wordy = !short || state !== 'live';
  return (
    <Tooltip text={text.app.connectionTip[state]} side="top">
      <button
        type="button"
        aria-label={tries ? `${text.app.connection[state]}. ${text.app.retryNow}` : text.app.connection[state]}
        onClick={() => hub.retryNow()}
        className={classes(
          'flex h-8 min-w-0 max-w-full items-center gap-2 rounded-md px-2 text-xs',
          state === 'offline' ? 'text-bad' : 'text-muted',
        )}
      >
        <span aria-hidden className={classes('h-0.5 w-5 shrink-0', LOOKS[state])} />
        {wordy && (
          <span role="status" className="truncate">
            {text.app.connection[state]}
          </span>
        )}
      </button>
    </Tooltip>
  );
}
