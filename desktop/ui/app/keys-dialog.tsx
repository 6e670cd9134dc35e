// The list of keys.
import type { ReactNode } from 'react';
import { Dialog } from '../components/dialog.tsx';
import { text } from '../text/en.ts';
import { NAVIGATION_ITEMS } from './navigation.ts';

export function KeysDialog({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }): ReactNode {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    [text.app.keysOf.palette, ['Ctrl', 'K']],
    [text.app.keysOf.help, ['?']],
    [text.app.keysOf.escape, ['Esc']],
    ...NAVIGATION_ITEMS.map(
      ({ id, key }) =>
        [`${text.app.keysOf.goTo} ${text.app.views[id]}`, ['g', key]] as readonly [string, readonly string[]],
    ),
  ];
  return (
    <Dialog open={open} onClose={onClose} title={text.app.keys}>
      <dl className="grid gap-x-8 sm:grid-cols-2">
        {rows.map(([what, keys]) => (
          <div key={what} className="flex h-9 items-center justify-between border-line border-b">
            <dt>{what}</dt>
            <dd className="flex gap-1">
              {keys.map((key) => (
                <Key key={key}>{key}</Key>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

const Key = ({ children }: { readonly children: ReactNode }): ReactNode => (
  <kbd className="inline-flex h-6 min-w-6 items-center justify-center rounded-sm border border-line-strong bg-sunken px-1.5 font-sans text-xs">
    {children}
  </kbd>
);
