// The messages as they stand in the page: what was asked at the right, and answers along a thread in the colour of the node that
// wrote them.
import { Pencil, RefreshCw } from 'lucide-react';
import { memo, type ReactNode, useEffect, useRef, useState } from 'react';
import type { ConversationMessage } from '../../../../protocol/api/control/conversations.ts';
import { Button, IconButton } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Failed } from '../../components/failed.tsx';
import { nodeColour } from '../../components/node-name.tsx';
import { ApiError } from '../../data/client.ts';
import { text } from '../../text/en.ts';
import { safeText } from '../../text/format.ts';
import { useFieldHeight } from './composer.tsx';
import { draftOf, setDraft } from './drafts.ts';
import { Markdown } from './markdown.tsx';
import { AnswerFacts, Branches } from './message-footer.tsx';
import type { Shown } from './message-tree.ts';
import { useAnswer } from './use-answer.ts';
import { WhyPanel } from './why-panel.tsx';

export interface MessageActions {
  readonly onShow: (message: ConversationMessage) => void;
  readonly onEdit: (message: ConversationMessage | undefined) => void;
  readonly onSendEdited: (message: ConversationMessage, content: string) => void;
  readonly onRegenerate: (message: ConversationMessage) => void;
}

export interface QuestionProps extends MessageActions {
  readonly shown: Shown;
  readonly editing: boolean;
  /** An answer is being written: nothing can be sent. */
  readonly busy: boolean;
}

export const Question = memo(function Question({ shown, editing, busy, ...actions }: QuestionProps): ReactNode {
  const { message } = shown;
  return (
    <article aria-label={text.chat.you} className="flex min-w-0 flex-col items-end gap-1">
      {editing ? (
        <Edit message={message} busy={busy} {...actions} />
      ) : (
        <div className="max-w-[min(100%,36rem)] whitespace-pre-wrap break-words rounded-lg border border-line bg-sunken px-3.5 py-2 text-[0.9375rem] leading-relaxed">
          <bdi>{safeText(message.content.replace(/\r\n?/g, '\n'))}</bdi>
        </div>
      )}
      {!editing && (
        <div className="flex items-center gap-0.5">
          <Branches shown={shown} onShow={actions.onShow} />
          <CopyButton value={message.content} label={text.chat.copyMessage} />
          <IconButton
            size="small"
            label={text.chat.edit}
            icon={<Pencil />}
            disabled={busy}
            onClick={() => actions.onEdit(message)}
          />
        </div>
      )}
    </article>
  );
});

function Edit({
  message,
  busy,
  onEdit,
  onSendEdited,
}: MessageActions & { readonly message: ConversationMessage; readonly busy: boolean }): ReactNode {
  const key = `edit:${message.id}`;
  const field = useRef<HTMLTextAreaElement>(null);
  const [content, setContent] = useState(() => draftOf(key) || message.content);
  useFieldHeight(field, content);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(field.current.value.length, field.current.value.length);
  }, []);
  const cancel = (): void => {
    setDraft(key, '');
    onEdit(undefined);
  };
  const send = (): void => {
    if (content.trim() !== '' && !busy) onSendEdited(message, content);
  };
  return (
    <div className="w-full max-w-[36rem] rounded-lg border border-accent bg-panel p-2">
      <textarea
        ref={field}
        rows={1}
        value={content}
        aria-label={text.chat.editLabel}
        onChange={({ target }) => {
          setContent(target.value);
          setDraft(key, target.value);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            send();
          } else if (event.key === 'Escape') {
            event.stopPropagation();
            cancel();
          }
        }}
        className="block w-full resize-none bg-transparent px-1.5 py-1 text-[0.9375rem] leading-relaxed outline-none"
      />
      <div className="mt-1 flex flex-wrap justify-end gap-2">
        <Button size="small" kind="quiet" onClick={cancel}>
          {text.common.cancel}
        </Button>
        <Button size="small" kind="primary" disabled={busy || content.trim() === ''} onClick={send}>
          {text.chat.sendEdited}
        </Button>
      </div>
    </div>
  );
}

export interface AnswerProps extends Pick<MessageActions, 'onShow' | 'onRegenerate'> {
  readonly conversation: string;
  readonly shown: Shown;
  readonly busy: boolean;
  readonly self: string | undefined;
}

export const Answer = memo(function Answer({
  conversation,
  shown,
  busy,
  self,
  onShow,
  onRegenerate,
}: AnswerProps): ReactNode {
  const { message } = shown;
  const { state, error, requestId, nodes = [] } = message;
  const { text: content, follow } = useAnswer(conversation, message);
  const [why, setWhy] = useState(false);
  const growing = state === 'streaming';
  const [first] = nodes;
  return (
    <article
      aria-label={text.chat.answer}
      aria-busy={growing || undefined}
      style={first === undefined ? undefined : nodeColour(first.node)}
      className={classes(
        'min-w-0 border-l-2 pl-4',
        growing ? 'border-accent' : first === undefined ? 'border-line-strong' : 'border-node',
      )}
    >
      {content !== '' && <Markdown source={content} growing={growing} />}
      {growing && (
        <p className="mt-2 flex min-w-0 items-center gap-2 text-muted text-xs">
          <span aria-hidden className="thread-busy h-0.5 w-8 shrink-0" />
          {follow === 'broken'
            ? text.chat.broken
            : follow === 'gone'
              ? text.chat.gone
              : content === ''
                ? text.chat.waiting
                : null}
        </p>
      )}
      {state === 'stopped' && (
        <p className={classes('text-faint text-xs', content !== '' && 'mt-2')}>{text.chat.stopped}</p>
      )}
      {state === 'failed' && error !== undefined && (
        <div className={classes(content !== '' && 'mt-3')}>
          <Failed
            title={text.chat.failed}
            error={new ApiError({ status: 500, ...error, requestId })}
            onRetry={busy ? undefined : () => onRegenerate(message)}
          />
        </div>
      )}
      {!growing && (
        <footer className="mt-2 flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
          <AnswerFacts message={message} self={self} />
          {requestId !== undefined && nodes.length > 0 && (
            <button
              type="button"
              aria-expanded={why}
              onClick={() => setWhy(!why)}
              className="rounded-sm text-accent text-xs underline decoration-dotted underline-offset-3 hover:text-accent-hover"
            >
              {text.chat.whyHere}
            </button>
          )}
          <span className="-ml-1.5 flex items-center gap-0.5">
            <Branches shown={shown} onShow={onShow} />
            {content !== '' && <CopyButton value={content} label={text.chat.copyMessage} />}
            <IconButton
              size="small"
              label={text.chat.regenerate}
              icon={<RefreshCw />}
              disabled={busy}
              onClick={() => onRegenerate(message)}
            />
          </span>
        </footer>
      )}
      {why && requestId !== undefined && <WhyPanel requestId={requestId} nodes={nodes} />}
    </article>
  );
});
