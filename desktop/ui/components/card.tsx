// A framed part of a page, with a heading and what can be done about it.
import { type ReactNode, useId } from 'react';
import { classes } from './class-names.ts';

export interface CardProps {
  readonly title?: ReactNode;
  /** Beside the title, in small print. */
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children?: ReactNode;
  /** Without room around the body: for tables and maps. */
  readonly flush?: boolean;
  readonly className?: string;
}

export function Card({ title, note, actions, children, flush = false, className }: CardProps): ReactNode {
  const id = useId();
  return (
    <section
      aria-labelledby={title === undefined ? undefined : id}
      className={classes('flex min-w-0 flex-col rounded-lg border border-line bg-panel', className)}
    >
      {(title !== undefined || actions !== undefined) && (
        <header className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 border-line border-b px-4 py-1.5">
          <h2 id={id} className="font-semibold text-sm">
            {title}
          </h2>
          {note !== undefined && <span className="text-faint text-xs">{note}</span>}
          {actions !== undefined && <div className="ml-auto flex items-center gap-1.5">{actions}</div>}
        </header>
      )}
      <div className={classes('min-h-0 min-w-0 grow', !flush && 'p-4')}>{children}</div>
    </section>
  );
}
