// Asks before a model's files are deleted, and says what that frees and whether it could come back.
import type { ReactNode } from 'react';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { text } from '../../text/en.ts';
import { bytes, plural, safeName, shortModel } from '../../text/format.ts';
import type { HereRow } from './model-rows.ts';
import { useRemove } from './queries.ts';

export interface RemoveDialogProps {
  readonly row: HereRow;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onRemoved?: (() => void) | undefined;
}

export function RemoveDialog({ row, open, onClose, onRemoved }: RemoveDialogProps): ReactNode {
  const remove = useRemove();
  const { remove: words } = text.models;
  const back =
    row.elsewhere === 0
      ? words.nowhere
      : row.elsewhere === 1
        ? words.elsewhereOne
        : words.elsewhere(plural(row.elsewhere, 'other node'));
  return (
    <ConfirmDialog
      danger
      open={open}
      onClose={onClose}
      title={words.title(safeName(shortModel(row.id)))}
      description={`${words.description(bytes(row.sizeBytes))} ${back}`}
      action={words.action}
      onConfirm={async () => {
        await remove.mutateAsync(row);
        onRemoved?.();
      }}
    />
  );
}
