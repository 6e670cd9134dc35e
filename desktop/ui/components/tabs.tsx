// Tabs: parts of one thing, one at a time. Arrow keys move between them.
import { Tabs as Radix } from 'radix-ui';
import { type ReactNode, useRef } from 'react';

export interface Tab {
  readonly id: string;
  readonly title: ReactNode;
  readonly body: ReactNode;
}

export interface TabsProps {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly value: string;
  readonly onChange: (id: string) => void;
}

export function Tabs({ label, tabs, value, onChange }: TabsProps): ReactNode {
  const told = useRef(value);
  told.current = value;
  // A click is told twice, by the button and by the focus: where tabs are addresses, that would be two steps of history.
  const choose = (id: string): void => {
    if (id === told.current) return;
    told.current = id;
    onChange(id);
  };
  return (
    <Radix.Root value={value} onValueChange={choose} className="min-w-0">
      <Radix.List aria-label={label} className="flex gap-4 overflow-x-auto border-line border-b">
        {tabs.map(({ id, title }) => (
          <Radix.Trigger
            key={id}
            value={id}
            className="-mb-px whitespace-nowrap border-transparent border-b-2 px-0.5 py-2 font-medium text-muted text-sm hover:text-ink focus-visible:-outline-offset-2 data-[state=active]:border-accent data-[state=active]:text-ink"
          >
            {title}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map(({ id, body }) => (
        <Radix.Content key={id} value={id} className="pt-4">
          {body}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
