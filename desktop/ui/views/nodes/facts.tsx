// Facts about one thing: a name and a value in each line, the names in one column.
import type { ReactNode } from 'react';

export interface Fact {
  readonly label: string;
  readonly value: ReactNode;
}

export function Facts({ facts }: { readonly facts: readonly (Fact | undefined)[] }): ReactNode {
  return (
    <dl className="grid grid-cols-[minmax(0,7.5rem)_minmax(0,1fr)] gap-x-4 text-sm">
      {facts
        .filter((fact) => fact !== undefined)
        .map(({ label, value }) => (
          <div
            key={label}
            className="col-span-2 grid grid-cols-subgrid items-baseline border-line border-b py-1.5 first:pt-0 last:border-b-0 last:pb-0"
          >
            <dt className="text-muted">{label}</dt>
            <dd className="min-w-0 break-words">{value}</dd>
          </div>
        ))}
    </dl>
  );
}
