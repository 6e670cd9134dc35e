// A choice between a few views of one thing, side by side. Arrow keys move between them.
import { ToggleGroup } from 'radix-ui';
import type { ReactNode } from 'react';

export interface SegmentedOption<Value extends string> {
  readonly value: Value;
  readonly label: ReactNode;
  /** How many there are of it. */
  readonly count?: number;
}

export interface SegmentedProps<Value extends string> {
  readonly label: string;
  readonly options: readonly SegmentedOption<Value>[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}

export function Segmented<Value extends string>({ label, options, value, onChange }: SegmentedProps<Value>): ReactNode {
  return (
    <ToggleGroup.Root
      type="single"
      aria-label={label}
      value={value}
      // Pressing the one that is chosen would leave none.
      onValueChange={(next) => next !== '' && onChange(next as Value)}
      className="flex h-8 max-w-full shrink-0 overflow-x-auto rounded-md border border-line-strong bg-panel p-0.5"
    >
      {options.map(({ value: own, label: shown, count }) => (
        <ToggleGroup.Item
          key={own}
          value={own}
          className="flex items-center gap-1.5 whitespace-nowrap rounded-sm px-2 font-medium text-muted text-xs hover:text-ink focus-visible:-outline-offset-2 data-[state=on]:bg-accent-soft data-[state=on]:text-accent"
        >
          {shown}
          {count !== undefined && <span className="tabular font-normal">{count}</span>}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
