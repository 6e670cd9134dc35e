// Taking a member out of the mesh, for good: said in words, and confirmed by typing its name.
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Input } from '../../components/field.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { queryKey } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { confirmWord } from './invitation.ts';
import type { Member } from './members-card.tsx';

/** As the node takes it. */
const REASON_CHARS_MAX = 256;

export interface RevokeDialogProps {
  readonly member: Member;
  readonly members: readonly Member[];
  readonly onClose: () => void;
}

export function RevokeDialog({ member, members, onClose }: RevokeDialogProps): ReactNode {
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const client = useQueryClient();
  const toast = useToast();
  const form = useId();
  const name = safeName(member.name);
  const word = confirmWord(member, members);
  const confirmed = typed.trim() === word;
  const revoke = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!confirmed || busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await api.post('/api/v1/members/revoke', { member: member.node, reason: reason.trim() });
      for (const query of ['members', 'peers'] as const) void client.invalidateQueries({ queryKey: queryKey(query) });
      toast.done(text.access.revokeDone(name));
      onClose();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={<bdi>{text.access.revokeTitle(name)}</bdi>}
      footer={
        <>
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button kind="danger" type="submit" form={form} disabled={!confirmed} busy={busy}>
            {text.access.revoke}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void revoke(event)} className="flex flex-col gap-4">
        <ul className="flex list-disc flex-col gap-1.5 pl-5 text-sm marker:text-faint">
          {text.access.revokeEffects.map((effect) => (
            <li key={effect}>{effect}</li>
          ))}
        </ul>
        <Field label={text.access.revokeReason} hint={text.access.revokeReasonHint}>
          <Input value={reason} maxLength={REASON_CHARS_MAX} onChange={({ target }) => setReason(target.value)} />
        </Field>
        <Field label={<bdi>{text.access.revokeType(word)}</bdi>}>
          <Input value={typed} onChange={({ target }) => setTyped(target.value)} />
        </Field>
        {problem !== undefined && <Failed title={text.access.revokeFailed} error={problem} />}
      </form>
    </Dialog>
  );
}
