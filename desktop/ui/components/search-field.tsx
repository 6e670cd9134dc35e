// Words that a list is narrowed to.
import { Search } from 'lucide-react';
import type { ReactNode } from 'react';
import { classes } from './class-names.ts';
import { Input } from './field.tsx';

export interface SearchFieldProps {
  /** Stands in the empty field too. */
  readonly label: string;
  readonly value: string;
  readonly onChange: (words: string) => void;
  /** Of the whole: its place and width. */
  readonly className: string;
}

export function SearchField({ label, value, onChange, className }: SearchFieldProps): ReactNode {
  return (
    <div className={classes('relative', className)}>
      <Search aria-hidden className="pointer-events-none absolute top-2 left-2.5 size-4 text-faint" />
      <Input
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        onChange={({ target }) => onChange(target.value)}
        className="pl-8"
      />
    </div>
  );
}
