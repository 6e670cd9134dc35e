// A menu behind a button: what else can be done. Not modal: a modal one would bring a style element, and the pages do without inline ones.
import { DropdownMenu as Radix } from 'radix-ui';
import type { ReactNode } from 'react';
import { classes } from './class-names.ts';

export interface MenuItem {
  readonly id: string;
  readonly label: ReactNode;
  readonly icon?: ReactNode;
  readonly onSelect: () => void;
  readonly danger?: boolean;
  readonly disabled?: boolean;
  /** At the right edge, such as a key. */
  readonly note?: ReactNode;
}

export interface MenuProps {
  /** One button; see IconButton. */
  readonly trigger: ReactNode;
  /** Groups of items, with a line between them. */
  readonly groups: readonly (readonly MenuItem[])[];
  readonly align?: 'start' | 'end';
}

export function Menu({ trigger, groups, align = 'end' }: MenuProps): ReactNode {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          className="z-50 min-w-44 max-w-80 animate-[appear_90ms_ease-out] rounded-lg border border-line-strong bg-panel p-1"
        >
          {groups
            .filter((group) => group.length > 0)
            .map((group, at) => (
              <Radix.Group key={group[0]?.id} className={at === 0 ? undefined : 'mt-1 border-line border-t pt-1'}>
                {group.map(({ id, label, icon, onSelect, danger, disabled = false, note }) => (
                  <Radix.Item
                    key={id}
                    onSelect={onSelect}
                    disabled={disabled}
                    className={classes(
                      'flex min-h-8 cursor-pointer select-none items-center gap-2 rounded-sm px-2 text-sm outline-none',
                      'data-[disabled]:cursor-not-allowed data-[highlighted]:bg-sunken data-[disabled]:opacity-55 [&_svg]:size-4',
                      danger ? 'text-bad' : 'text-ink [&_svg]:text-muted',
                    )}
                  >
                    {icon}
                    <span className="truncate">{label}</span>
                    {note !== undefined && <span className="ml-auto pl-4 text-faint text-xs">{note}</span>}
                  </Radix.Item>
                ))}
              </Radix.Group>
            ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
