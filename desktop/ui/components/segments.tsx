// A choice between a few short words, one of which holds. Arrow keys move between them.
import { ToggleGroup } from 'radix-ui';
import type { ReactNode } from 'react';

export interface SegmentsProps {
  readonly label: string;
  readonly options: readonly { readonly value: string; readonly label: ReactNode }[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function Segments({ label, options, value, onChange }: SegmentsProps): ReactNode {
  return (
    <ToggleGroup.Root
      type="single"
      aria-label={label}
      value={value}
      // Pressing the one that holds does not take it away.
      onValueChange={(next) => next !== '' && onChange(next)}
      className="inline-flex rounded-md border border-line-strong bg-panel p-px"
    >
      {options.map(({ value: own, label: name }) => (
        <ToggleGroup.Item
          key={own}
          value={own}
          className="h-6 rounded-[5px] px-2 font-medium text-muted text-xs hover:text-ink data-[state=on]:bg-accent-soft data-[state=on]:text-accent"
        >
          {name}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
