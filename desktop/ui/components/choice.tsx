// A choice between a few things, each with a sentence: radio buttons as cards.
import { RadioGroup } from 'radix-ui';
import { type ReactNode, useId } from 'react';

export interface ChoiceOption {
  readonly value: string;
  readonly title: ReactNode;
  readonly text?: ReactNode;
  /** Shown below while it is chosen, such as a field. */
  readonly more?: ReactNode;
}

export interface ChoiceProps {
  readonly label: string;
  readonly options: readonly ChoiceOption[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function Choice({ label, options, value, onChange }: ChoiceProps): ReactNode {
  const id = useId();
  return (
    <RadioGroup.Root aria-label={label} value={value} onValueChange={onChange} className="flex flex-col gap-2">
      {options.map(({ value: own, title, text, more }) => (
        <div
          key={own}
          className="rounded-lg border border-line-strong bg-panel has-[[data-state=checked]]:border-accent has-[[data-state=checked]]:bg-accent-soft"
        >
          <label htmlFor={`${id}-${own}`} className="flex cursor-pointer items-start gap-3 p-3">
            <RadioGroup.Item
              id={`${id}-${own}`}
              value={own}
              aria-describedby={text === undefined ? undefined : `${id}-${own}-text`}
              className="mt-0.5 grid size-4 shrink-0 place-items-center rounded-full border border-line-strong bg-panel data-[state=checked]:border-accent"
            >
              <RadioGroup.Indicator className="size-2 rounded-full bg-accent" />
            </RadioGroup.Item>
            <span className="min-w-0">
              <span className="block font-medium text-sm">{title}</span>
              {text !== undefined && (
                <span id={`${id}-${own}-text`} className="block text-muted text-sm">
                  {text}
                </span>
              )}
            </span>
          </label>
          {value === own && more !== undefined && <div className="px-3 pb-3 pl-10">{more}</div>}
        </div>
      ))}
    </RadioGroup.Root>
  );
}
