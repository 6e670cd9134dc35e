// A choice between a few words or views, one of which holds. Arrow keys move between them.
import { ToggleGroup } from 'radix-ui';
import type { ReactNode } from 'react';
import { classes } from './class-names.ts';

export interface SegmentOption<Value extends string> {
  readonly value: Value;
  readonly label: ReactNode;
  /** How many there are of it. */
  readonly count?: number;
}

export interface SegmentsProps<Value extends string> {
  readonly label: string;
  readonly options: readonly SegmentOption<Value>[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
  /** `medium` stands beside fields, `small` in the head of a card. @default 'small' */
  readonly size?: 'small' | 'medium';
}

export function Segments<Value extends string>(props: SegmentsProps<Value>): ReactNode {
  const { label, options, value, onChange, size = 'small' } = props;
  return (
    <ToggleGroup.Root
      type="single"
      aria-label={label}
      value={value}
      // Pressing the one that holds does not take it away.
      onValueChange={(next) => next !== '' && onChange(next as Value)}
      className={classes(
        'inline-flex max-w-full shrink-0 self-start overflow-x-auto rounded-md border border-line-strong bg-panel',
        size === 'medium' ? 'h-8 p-0.5' : 'p-px',
      )}
    >
      {options.map(({ value: own, label: name, count }) => (
        <ToggleGroup.Item
          key={own}
          value={own}
          className={classes(
            'flex items-center gap-1.5 whitespace-nowrap rounded-[5px] px-2 font-medium text-muted text-xs hover:text-ink',
            'focus-visible:-outline-offset-2 data-[state=on]:bg-accent-soft data-[state=on]:text-accent',
            size === 'small' && 'h-6',
          )}
        >
          {name}
          {count !== undefined && <span className="tabular font-normal">{count}</span>}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
