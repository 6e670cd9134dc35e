// Buttons: what a person can do. One primary button per view at most.
import type { ComponentProps, ReactNode } from 'react';
import { classes } from './class-names.ts';
import { Tooltip } from './tooltip.tsx';

export interface ButtonProps extends ComponentProps<'button'> {
  /** @default 'secondary' */
  readonly kind?: 'primary' | 'secondary' | 'quiet' | 'danger';
  /** @default 'medium' */
  readonly size?: 'small' | 'medium';
  /** Under way: it can't be pressed again, and says so. */
  readonly busy?: boolean;
  readonly icon?: ReactNode;
}

const KINDS = {
  primary: 'bg-accent text-on-accent border-transparent hover:bg-accent-hover',
  secondary: 'bg-panel text-ink border-line-strong hover:border-faint hover:bg-sunken',
  quiet: 'bg-transparent text-muted border-transparent hover:bg-sunken hover:text-ink',
  danger: 'bg-panel text-bad border-line-strong hover:border-bad hover:bg-bad-soft',
} as const;

const SIZES = { small: 'h-7 px-2 text-xs gap-1.5', medium: 'h-8 px-3 text-sm gap-2' } as const;

export function Button({
  kind = 'secondary',
  size = 'medium',
  busy = false,
  icon,
  className,
  children,
  disabled,
  type = 'button',
  ...rest
}: ButtonProps): ReactNode {
  return (
    <button
      {...rest}
      type={type}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      className={classes(
        'relative inline-flex shrink-0 items-center justify-center overflow-hidden whitespace-nowrap rounded-md border font-medium',
        'transition-colors duration-100 disabled:cursor-not-allowed disabled:opacity-55 [&_svg]:size-4 [&_svg]:shrink-0',
        KINDS[kind],
        SIZES[size],
        className,
      )}
    >
      {icon}
      {children}
      {busy && <span aria-hidden className="thread-busy absolute inset-x-0 bottom-0 h-0.5" />}
    </button>
  );
}

export interface IconButtonProps extends Omit<ButtonProps, 'children' | 'icon'> {
  /** What it does, for those who can't see the icon, and as its tip. */
  readonly label: string;
  readonly icon: ReactNode;
}

export function IconButton({
  label,
  icon,
  size = 'medium',
  kind = 'quiet',
  className,
  ...rest
}: IconButtonProps): ReactNode {
  return (
    <Tooltip text={label}>
      <Button
        {...rest}
        kind={kind}
        size={size}
        aria-label={label}
        className={classes(size === 'small' ? 'w-7 px-0' : 'w-8 px-0', className)}
      >
        {icon}
      </Button>
    </Tooltip>
  );
}
