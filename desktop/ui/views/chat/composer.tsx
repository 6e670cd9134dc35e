// Where one writes: grows with its text, sends by Enter, and keeps the draft until the node has taken it.
import { ArrowUp, Square } from 'lucide-react';
import { type ReactNode, type RefObject, useLayoutEffect } from 'react';
import { IconButton } from '../../components/button.tsx';
import { text } from '../../text/en.ts';
import { setDraft, useDraft } from './drafts.ts';

export interface ComposerProps {
  /** Of the draft: see drafts.ts. */
  readonly draftKey: string;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  /** An answer is being written. */
  readonly answering: boolean;
  readonly sending: boolean;
  readonly disabled: boolean;
  readonly onSend: (content: string) => void;
  readonly onStop: () => void;
  /** The arrow up in an empty field. */
  readonly onEditLast: () => void;
  /** At the lower left, such as the model. */
  readonly tools: ReactNode;
}

const FIELD_HEIGHT_MAX = 240;

/** As high as its text, up to a bound. Not every browser does it by style alone. */
export function useFieldHeight(field: RefObject<HTMLTextAreaElement | null>, value: string): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    if (field.current === null) return;
    field.current.style.height = 'auto';
    field.current.style.height = `${Math.min(FIELD_HEIGHT_MAX, field.current.scrollHeight)}px`;
  }, [field, value]);
}

export function Composer(props: ComposerProps): ReactNode {
  const { draftKey, field, answering, sending, disabled, onSend, onStop, onEditLast, tools } = props;
  const draft = useDraft(draftKey);
  useFieldHeight(field, draft);
  const ready = draft.trim() !== '' && !answering && !sending && !disabled;
  const send = (): void => {
    if (ready) onSend(draft);
  };
  return (
    <form
      className="rounded-lg border border-line-strong bg-panel focus-within:border-accent"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        value={draft}
        aria-label={text.chat.message}
        placeholder={text.chat.placeholder}
        disabled={disabled}
        onChange={({ target }) => setDraft(draftKey, target.value)}
        onKeyDown={(event) => {
          // Enter that chooses a word of an input method is not for us.
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            send();
          } else if (event.key === 'ArrowUp' && draft === '') {
            event.preventDefault();
            onEditLast();
          }
        }}
        className="block w-full resize-none bg-transparent px-3.5 pt-3 pb-1 text-[0.9375rem] leading-normal outline-none placeholder:text-faint"
      />
      <div className="flex min-w-0 items-center gap-1 px-2 pb-2">
        {tools}
        <span aria-hidden className="ml-auto truncate pl-2 text-faint text-xs max-md:hidden">
          {answering ? text.chat.hintBusy : text.chat.hint}
        </span>
        <span className="shrink-0 max-md:ml-auto md:ml-2">
          {answering ? (
            <IconButton
              kind="secondary"
              label={text.chat.stop}
              icon={<Square fill="currentColor" />}
              onClick={onStop}
            />
          ) : (
            <IconButton
              kind="primary"
              type="submit"
              label={text.chat.send}
              icon={<ArrowUp />}
              busy={sending}
              disabled={!ready}
            />
          )}
        </span>
      </div>
    </form>
  );
}
