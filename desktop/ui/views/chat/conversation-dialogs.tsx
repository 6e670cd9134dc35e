// What changes the conversations of the list: reading one in from a file, naming and deleting one.
import { FileUp } from 'lucide-react';
import { type ReactNode, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { Button, IconButton } from '../../components/button.tsx';
import { ConfirmDialog, Dialog } from '../../components/dialog.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Input } from '../../components/field.tsx';
import { useToast } from '../../components/toast.tsx';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { type Listed, useChatActions } from './chat-data.ts';

/** Reads a conversation in from a file, and opens it. */
export function ImportButton({ onChosen }: { readonly onChosen: (() => void) | undefined }): ReactNode {
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const { done, failed } = useToast();
  const { importFile } = useChatActions();
  const [, navigate] = useLocation();
  const read = async (file: File): Promise<void> => {
    setBusy(true);
    try {
      const { id, title } = await importFile(file);
      done(text.chat.imported, safeName(title));
      navigate(`/chat/${id}`);
      onChosen?.();
    } catch (error) {
      failed(text.chat.importing, error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <IconButton
        kind="secondary"
        label={text.chat.import}
        icon={<FileUp />}
        busy={busy}
        onClick={() => input.current?.click()}
      />
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        hidden
        aria-label={text.chat.import}
        onChange={({ target }) => {
          const [file] = target.files ?? [];
          target.value = '';
          if (file !== undefined) void read(file);
        }}
      />
    </>
  );
}

/** Mounted while it is open. */
export function RenameDialog({
  conversation,
  onClose,
}: {
  readonly conversation: Listed;
  readonly onClose: () => void;
}): ReactNode {
  const [title, setTitle] = useState(conversation.title);
  const [problem, setProblem] = useState<unknown>();
  const { change } = useChatActions();
  const save = (): void => {
    change(conversation.id, { title }).then(onClose, setProblem);
  };
  return (
    <Dialog
      open
      onClose={onClose}
      size="small"
      title={text.chat.renameTitle}
      footer={
        <>
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button kind="primary" onClick={save}>
            {text.common.save}
          </Button>
        </>
      }
    >
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <Field label={text.chat.title}>
          <Input maxLength={200} value={title} onChange={({ target }) => setTitle(target.value)} />
        </Field>
        {problem !== undefined && <Failed compact error={problem} />}
      </form>
    </Dialog>
  );
}

/** Asks before all of a conversation is deleted. */
export function DeleteDialog({
  conversation,
  current,
  onClose,
}: {
  readonly conversation: Listed | undefined;
  readonly current: string | undefined;
  readonly onClose: () => void;
}): ReactNode {
  const { remove } = useChatActions();
  const { done } = useToast();
  const [, navigate] = useLocation();
  return (
    <ConfirmDialog
      open={conversation !== undefined}
      onClose={onClose}
      danger
      title={text.chat.deleteTitle}
      description={text.chat.deleteText}
      action={text.chat.delete}
      onConfirm={async () => {
        if (conversation === undefined) return;
        if (conversation.id === current) navigate('/chat');
        await remove(conversation.id);
        done(text.chat.deleted, safeName(conversation.title));
      }}
    >
      <p className="font-medium text-sm">
        <bdi>{safeName(conversation?.title ?? '')}</bdi>
      </p>
    </ConfirmDialog>
  );
}
