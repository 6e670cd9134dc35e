// What can be done with a model of this node: load or unload at hand, the rest behind a menu.
import { Ellipsis, Pin, Scissors, ShieldCheck, Trash2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import { Button, IconButton } from '../../components/button.tsx';
import { Menu } from '../../components/menu.tsx';
import { text } from '../../text/en.ts';
import { safeName, shortModel } from '../../text/format.ts';
import { type HereRow, modelHref } from './model-rows.ts';
import { useLoad, useUnload } from './queries.ts';
import { RemoveDialog } from './remove-dialog.tsx';
import { VerifyDialog } from './verify-dialog.tsx';

export interface ModelActionsProps {
  readonly row: HereRow;
  /** Of the row of a list. */
  readonly small?: boolean;
  /** After its files have gone. */
  readonly onRemoved?: () => void;
}

export function ModelActions({ row, small = false, onRemoved }: ModelActionsProps): ReactNode {
  const [, navigate] = useLocation();
  const load = useLoad();
  const unload = useUnload();
  const [open, setOpen] = useState<'remove' | 'verify'>();
  const name = safeName(shortModel(row.id));
  const { actions } = text.models;
  const inMemory = row.state === 'loaded' || row.state === 'quarantined';
  const size = small ? 'small' : 'medium';
  return (
    <div className="flex items-center justify-end gap-1">
      {inMemory ? (
        <Button
          size={size}
          busy={unload.isPending}
          aria-label={actions.unloadOf(name)}
          onClick={() => unload.mutate(row)}
        >
          {actions.unload}
        </Button>
      ) : (
        <Button
          size={size}
          busy={load.isPending || row.state === 'loading'}
          disabled={row.state === 'partial'}
          aria-label={actions.loadOf(name)}
          onClick={() => load.mutate({ ...row, pin: false })}
        >
          {actions.load}
        </Button>
      )}
      <Menu
        trigger={<IconButton size={size} label={actions.more(name)} icon={<Ellipsis />} />}
        groups={[
          [
            {
              id: 'pin',
              label: row.pinned ? actions.unpin : actions.pin,
              icon: <Pin />,
              disabled: row.state === 'partial' || row.state === 'loading',
              onSelect: () => (row.pinned ? unload.mutate(row) : load.mutate({ ...row, pin: true })),
            },
            ...(small
              ? [
                  {
                    id: 'cuts',
                    label: actions.cuts,
                    icon: <Scissors />,
                    onSelect: () => navigate(`${modelHref(row.address)}#cuts`),
                  },
                ]
              : []),
            { id: 'verify', label: actions.verify, icon: <ShieldCheck />, onSelect: () => setOpen('verify') },
          ],
          [
            {
              id: 'remove',
              label: actions.remove,
              icon: <Trash2 />,
              danger: true,
              onSelect: () => setOpen('remove'),
            },
          ],
        ]}
      />
      <RemoveDialog row={row} open={open === 'remove'} onClose={() => setOpen(undefined)} onRemoved={onRemoved} />
      {open === 'verify' && <VerifyDialog model={row} onClose={() => setOpen(undefined)} />}
    </div>
  );
}
