// Fields of forms: a label, what goes in, a hint, and what is wrong with it. The input gets its ids from the field around it.
import { ChevronDown } from 'lucide-react';
import { type ComponentProps, createContext, type ReactNode, useContext, useId } from 'react';
import { classes } from './class-names.ts';

interface FieldIds {
  readonly id: string;
  readonly describedBy: string | undefined;
  readonly invalid: boolean;
}

const FieldContext = createContext<FieldIds | undefined>(undefined);

/** What an input inside a Field takes from it: spread it over the element. */
export function useFieldIds(): {
  readonly id?: string;
  readonly 'aria-describedby'?: string;
  readonly 'aria-invalid'?: true;
} {
  const field = useContext(FieldContext);
  if (field === undefined) return {};
  return {
    id: field.id,
    ...(field.describedBy === undefined ? {} : { 'aria-describedby': field.describedBy }),
    ...(field.invalid ? { 'aria-invalid': true as const } : {}),
  };
}

export interface FieldProps {
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  /** What is wrong, and what would be right. */
  readonly error?: ReactNode;
  readonly children: ReactNode;
  /** Label and input side by side where there is room. */
  readonly inline?: boolean;
  readonly className?: string;
}

export function Field({ label, hint, error, children, inline = false, className }: FieldProps): ReactNode {
  const id = useId();
  const told = error !== undefined && error !== '' ? error : hint;
  const describedBy = told === undefined ? undefined : `${id}-told`;
  return (
    <div
      className={classes(
        inline
          ? 'grid gap-x-6 gap-y-1 sm:grid-cols-[minmax(0,14rem)_minmax(0,1fr)] sm:items-start'
          : 'flex flex-col gap-1',
        className,
      )}
    >
      <label htmlFor={id} className={classes('font-medium text-sm', inline && 'sm:pt-1.5')}>
        {label}
      </label>
      <div className="flex min-w-0 flex-col gap-1">
        <FieldContext value={{ id, describedBy, invalid: error !== undefined && error !== '' }}>
          {children}
        </FieldContext>
        {told !== undefined && (
          <p id={describedBy} className={classes('text-xs', told === error ? 'text-bad' : 'text-muted')}>
            {told}
          </p>
        )}
      </div>
    </div>
  );
}

const BOX =
  'w-full min-w-0 rounded-md border border-line-strong bg-panel px-2.5 text-sm placeholder:text-faint hover:border-faint aria-invalid:border-bad disabled:cursor-not-allowed disabled:bg-sunken disabled:text-muted focus-visible:-outline-offset-1';

export function Input({ className, ...rest }: ComponentProps<'input'>): ReactNode {
  return (
    <input
      autoComplete="off"
      spellCheck={false}
      {...useFieldIds()}
      {...rest}
      className={classes(BOX, 'h-8', className)}
    />
  );
}

export function TextArea({ className, rows = 4, ...rest }: ComponentProps<'textarea'>): ReactNode {
  return <textarea rows={rows} {...useFieldIds()} {...rest} className={classes(BOX, 'resize-y py-1.5', className)} />;
}

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly disabled?: boolean;
}

export interface SelectProps extends Omit<ComponentProps<'select'>, 'onChange' | 'children'> {
  readonly options: readonly Option[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** The system's own list: it works everywhere, on a telephone too. */
export function Select({ options, onChange, className, ...rest }: SelectProps): ReactNode {
  return (
    <div className={classes('relative', className)}>
      <select
        {...useFieldIds()}
        {...rest}
        onChange={({ target }) => onChange(target.value)}
        className={classes(BOX, 'h-8 appearance-none truncate pr-8')}
      >
        {options.map(({ value, label, disabled }) => (
          <option key={value} value={value} disabled={disabled}>
            {label}
          </option>
        ))}
      </select>
      <ChevronDown aria-hidden className="pointer-events-none absolute top-2 right-2 size-4 text-muted" />
    </div>
  );
}
