// What every view stands in: its title, what can be done there, and the body. Sets the window's title.
import { type ReactNode, useEffect } from 'react';
import { text } from '../text/en.ts';
import { classes } from './class-names.ts';

export interface PageProps {
  /** Text for the window's title, too. */
  readonly title: string;
  /** Instead of the title where it is more than text, such as a node's name. */
  readonly heading?: ReactNode;
  /** One line below the title. */
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children?: ReactNode;
  /** `full`: the body fills the window and scrolls by itself (chat, logs). @default 'column' */
  readonly layout?: 'column' | 'full';
}

export function Page({ title, heading, note, actions, children, layout = 'column' }: PageProps): ReactNode {
  useEffect(() => {
    document.title = `${title} · ${text.app.name}`;
  }, [title]);
  const full = layout === 'full';
  return (
    <div className={classes('flex min-h-full min-w-0 flex-col', full && 'h-full')}>
      <header
        className={classes(
          'flex min-h-14 flex-wrap items-center gap-x-4 gap-y-1 px-4 pt-3 pb-2 sm:px-6',
          full && 'shrink-0 border-line border-b pb-3',
        )}
      >
        <h1
          tabIndex={-1}
          data-page-title
          className="min-w-0 truncate font-semibold text-lg tracking-tight outline-none"
        >
          {heading ?? title}
        </h1>
        {actions !== undefined && <div className="ml-auto flex flex-wrap items-center gap-2">{actions}</div>}
        {note !== undefined && <div className="-mt-1 min-w-0 basis-full text-muted text-sm">{note}</div>}
      </header>
      <div
        className={classes(
          'min-h-0 min-w-0 grow',
          full ? 'flex flex-col' : 'mx-auto w-full max-w-[88rem] px-4 pt-1 pb-8 sm:px-6',
        )}
      >
        {children}
      </div>
    </div>
  );
}
