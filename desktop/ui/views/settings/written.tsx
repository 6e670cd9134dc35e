// What editors of settings share: what they are given, and the form around what is written by hand.
import type { FormEvent, ReactNode } from 'react';
import { Button } from '../../components/button.tsx';
import { text } from '../../text/en.ts';

export interface EditorProps {
  /** What the setting is called. */
  readonly title: string;
  /** As the node wrote it. */
  readonly value: unknown;
  readonly busy: boolean;
  /** For the element that is written in. */
  readonly ids: { readonly id: string; readonly 'aria-describedby'?: string; readonly 'aria-invalid'?: true };
  /** Something else than the value is written. */
  readonly onTouched: () => void;
  readonly onSave: (value: unknown) => void;
}

/** A form with Save and Undo, which are there while something is to be saved. */
export function Written({
  dirty,
  busy,
  onSave,
  onUndo,
  children,
}: {
  readonly dirty: boolean;
  readonly busy: boolean;
  readonly onSave: () => void;
  readonly onUndo: () => void;
  readonly children: ReactNode;
}): ReactNode {
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (dirty && !busy) onSave();
  };
  return (
    <form
      onSubmit={submit}
      onKeyDown={({ key }) => key === 'Escape' && dirty && onUndo()}
      className="flex flex-col gap-2"
    >
      {children}
      {dirty && (
        <div className="flex justify-end gap-2">
          <Button size="small" kind="quiet" onClick={onUndo}>
            {text.settings.undo}
          </Button>
          <Button size="small" kind="primary" type="submit" busy={busy}>
            {text.settings.save}
          </Button>
        </div>
      )}
    </form>
  );
}
