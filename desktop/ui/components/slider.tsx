// A slider for one number. Inside a Field it takes its label; alone it needs `label`.
import { Slider as Radix } from 'radix-ui';
import type { ReactNode } from 'react';
import { useFieldIds } from './field.tsx';

export interface SliderProps {
  readonly value: number;
  readonly onChange: (value: number) => void;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly label: string;
  readonly disabled?: boolean;
  /** The value as it is read out. */
  readonly valueText?: string;
}

export function Slider({
  value,
  onChange,
  min,
  max,
  step,
  label,
  disabled = false,
  valueText,
}: SliderProps): ReactNode {
  const { id, 'aria-describedby': describedBy } = useFieldIds();
  return (
    <Radix.Root
      value={[value]}
      onValueChange={([next]) => next !== undefined && onChange(next)}
      min={min}
      max={max}
      step={step}
      disabled={disabled}
      className="relative flex h-8 w-full touch-none select-none items-center data-[disabled]:opacity-55"
    >
      <Radix.Track className="relative h-1 grow rounded-full bg-line-strong">
        <Radix.Range className="absolute h-full rounded-full bg-accent" />
      </Radix.Track>
      <Radix.Thumb
        id={id}
        aria-describedby={describedBy}
        aria-label={label}
        aria-valuetext={valueText}
        className="block size-4 rounded-full border-2 border-accent bg-panel"
      />
    </Radix.Root>
  );
}
