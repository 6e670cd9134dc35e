// Nothing is here yet: why, and how something comes. And the grey shapes that stand for what is on its way.
import type { ReactNode } from 'react';
import { text } from '../text/en.ts';
import { classes } from './class-names.ts';

export interface EmptyProps {
  readonly title: ReactNode;
  readonly children?: ReactNode;
  readonly icon?: ReactNode;
  readonly action?: ReactNode;
  readonly className?: string;
}

export function Empty({ title, children, icon, action, className }: EmptyProps): ReactNode {
  return (
    <div className={classes('flex flex-col items-start gap-2 px-4 py-8 sm:items-center sm:text-center', className)}>
      {icon !== undefined && (
        <span aria-hidden className="text-faint [&_svg]:size-6">
          {icon}
        </span>
      )}
      <p className="font-semibold text-sm">{title}</p>
      {children !== undefined && <div className="max-w-prose text-muted text-sm">{children}</div>}
      {action !== undefined && <div className="mt-2 flex flex-wrap gap-2">{action}</div>}
    </div>
  );
}

/** Stands for lines of text that are on their way. */
export function Skeleton({
  lines = 3,
  className,
}: {
  readonly lines?: number;
  readonly className?: string;
}): ReactNode {
  const widths = ['w-11/12', 'w-2/3', 'w-4/5', 'w-1/2', 'w-3/4'];
  return (
    <div
      role="status"
      aria-label={text.common.loading}
      className={classes('flex animate-[breathe_1.8s_ease-in-out_infinite] flex-col gap-3', className)}
    >
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines never move
        <span key={line} className={classes('h-3.5 rounded-sm bg-line', widths[line % widths.length])} />
      ))}
    </div>
  );
}
