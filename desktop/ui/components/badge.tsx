// A word that classifies: a role, a task, a form of a model. And the dot of a state, which never stands without its word.
import type { ReactNode } from 'react';
import { classes } from './class-names.ts';

export type Tone = 'neutral' | 'accent' | 'good' | 'warn' | 'bad';

const TONES: Readonly<Record<Tone, string>> = {
  neutral: 'bg-sunken text-muted',
  accent: 'bg-accent-soft text-accent',
  good: 'bg-good-soft text-good',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
};

export function Badge({
  tone = 'neutral',
  children,
  className,
}: {
  readonly tone?: Tone;
  readonly children: ReactNode;
  readonly className?: string;
}): ReactNode {
  return (
    <span
      className={classes(
        'inline-flex h-5 max-w-full shrink-0 items-center gap-1 whitespace-nowrap rounded-sm px-1.5 font-medium text-xs',
        TONES[tone],
        className,
      )}
    >
      {children}
    </span>
  );
}

const DOTS: Readonly<Record<Tone, string>> = {
  neutral: 'border-faint',
  accent: 'border-accent bg-accent',
  good: 'border-good bg-good',
  warn: 'border-warn bg-warn',
  bad: 'border-bad',
};

/** A state in colour and word: filled where all is well, hollow where something is missing. */
export function StateDot({
  tone,
  children,
  className,
}: {
  readonly tone: Tone;
  readonly children?: ReactNode;
  readonly className?: string;
}): ReactNode {
  return (
    <span className={classes('inline-flex min-w-0 items-center gap-1.5', className)}>
      <span aria-hidden className={classes('size-2 shrink-0 rounded-full border-2', DOTS[tone])} />
      {children !== undefined && <span className="truncate">{children}</span>}
    </span>
  );
}
