// How far something is: a thread that fills its track, or is being woven while the end is not known.
import type { ReactNode } from 'react';
import { classes } from '../../components/class-names.ts';

export interface ProgressProps {
  /** What moves, for those who can't see it. */
  readonly label: string;
  /** 0 to 1; undefined while it is not known. */
  readonly fraction: number | undefined;
  readonly className?: string;
}

export function Progress({ label, fraction, className }: ProgressProps): ReactNode {
  const percent = fraction === undefined ? undefined : Math.floor(fraction * 100);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      className={classes('h-1 overflow-hidden rounded-full bg-line', className)}
    >
      {percent === undefined ? (
        <div className="thread-busy h-full" />
      ) : (
        <div className="h-full rounded-full bg-accent" style={{ width: `${percent}%` }} />
      )}
    </div>
  );
}
