// One conversation: its messages, and where one writes. Also the conversation that does not exist yet, which its first message makes.
import { ArrowDown, Boxes, SlidersHorizontal } from 'lucide-react';
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { Conversation, ConversationMessage } from '../../../../protocol/api/control/conversations.ts';
import { Button, IconButton } from '../../components/button.tsx';
import { Empty } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { useToast } from '../../components/toast.tsx';
import { useModels, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { useChatActions } from './chat-data.ts';
import { Composer } from './composer.tsx';
import { clearNewManner, type Manner, NEW, setDraft, setNewManner, useNewManner } from './drafts.ts';
import { branchOf, leafUnder } from './message-tree.ts';
import { Answer, Question } from './message-views.tsx';
import { ModelChoice } from './model-choice.tsx';
import { chatModels } from './models.ts';
import { SettingsDialog } from './settings-dialog.tsx';
import { useStickToEnd } from './stick-to-end.ts';
import { useMessageWindow } from './use-message-window.ts';

/** @param conversation undefined for a new one */
export function ConversationPane({ conversation }: { readonly conversation: Conversation | undefined }): ReactNode {
  const key = conversation?.id ?? NEW;
  const actions = useChatActions();
  const { failed } = useToast();
  const [, navigate] = useLocation();
  const { data: models, error: modelsError, refetch: readModels } = useModels();
  const { data: status } = useStatus();
  const newManner = useNewManner();
  const manner: Manner = conversation ?? newManner;
  const [editing, setEditing] = useState<string>();
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<{ readonly error: unknown; readonly again: () => void }>();
  const [settings, setSettings] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const { scroller, content, onScroll, atEnd, ...stick } = useStickToEnd(key);

  const branch = useMemo(() => (conversation === undefined ? [] : branchOf(conversation)), [conversation]);
  const { messages, hasOlder, mark, toNewest } = useMessageWindow({ key, branch, editing, scroller });
  const toEnd = (): void => {
    toNewest();
    stick.toEnd();
  };
  const last = branch.at(-1)?.message;
  const answering = last?.state === 'streaming' ? last : undefined;
  const heard = useHeard(answering !== undefined, key);
  const noModel = models !== undefined && chatModels(models).length === 0;

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation begins afresh
  useEffect(() => {
    setEditing(undefined);
    setProblem(undefined);
    // On a touch screen the keyboard would cover what one came to read.
    if (matchMedia('(hover: hover)').matches) field.current?.focus();
  }, [key]);

  /** Does it, or says that it failed and keeps what was written. */
  const attempt = async (run: () => Promise<void>): Promise<void> => {
    setSending(true);
    setProblem(undefined);
    try {
      await run();
      toEnd();
    } catch (error) {
      setProblem({ error, again: () => void attempt(run) });
    } finally {
      setSending(false);
      field.current?.focus();
    }
  };

  const send = (message: string): void =>
    void attempt(async () => {
      if (conversation !== undefined) {
        await actions.send(conversation.id, conversation.leaf, message);
        setDraft(key, '');
        return;
      }
      const made = await actions.create(newManner);
      try {
        await actions.send(made.id, null, message);
      } catch (error) {
        // What was never said in it is nothing to find in the list.
        await actions.remove(made.id).catch(() => undefined);
        throw error;
      }
      setDraft(NEW, '');
      clearNewManner();
      navigate(`/chat/${made.id}`);
    });

  // What rows are given stays the same while nothing changes, so that only what changes is rendered.
  const latest = useRef({ conversation, attempt, failed });
  latest.current = { conversation, attempt, failed };
  const onShow = useCallback(
    (message: ConversationMessage): void => {
      const { conversation: shown, failed: say } = latest.current;
      if (shown === undefined) return;
      actions
        .show(shown.id, leafUnder(shown.messages, message.id))
        .catch((error: unknown) => say(text.chat.branchFailed, error));
    },
    [actions],
  );
  const onEdit = useCallback((message: ConversationMessage | undefined): void => {
    setEditing(message?.id);
    if (message === undefined) field.current?.focus();
  }, []);
  const onSendEdited = useCallback(
    (message: ConversationMessage, edited: string): void =>
      void latest.current.attempt(async () => {
        const { conversation: shown } = latest.current;
        if (shown === undefined) return;
        await actions.send(shown.id, message.parent, edited);
        setDraft(`edit:${message.id}`, '');
        setEditing(undefined);
      }),
    [actions],
  );
  const onRegenerate = useCallback(
    (message: ConversationMessage): void =>
      void latest.current.attempt(async () => {
        const { conversation: shown } = latest.current;
        if (shown !== undefined) await actions.regenerate(shown.id, message.id);
      }),
    [actions],
  );

  const stop = useCallback((): void => {
    if (conversation === undefined || answering === undefined) return;
    actions.stop(conversation.id, answering.id).catch((error: unknown) => failed(text.chat.stopFailed, error));
  }, [actions, conversation, answering, failed]);
  useEscape(answering === undefined ? undefined : stop);

  const changeManner = async (changes: Partial<Manner>): Promise<void> => {
    if (conversation === undefined) setNewManner({ ...newManner, ...changes });
    else await actions.change(conversation.id, changes);
  };

  return (
    <div className="relative flex min-h-0 grow flex-col">
      <section
        ref={scroller}
        onScroll={onScroll}
        aria-label={text.chat.messages}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
        className="min-h-0 grow overflow-y-auto overscroll-contain focus-visible:-outline-offset-2"
      >
        <div ref={content} className="mx-auto flex w-full max-w-3xl flex-col gap-6 px-4 py-6">
          {branch.length === 0 && (noModel ? <NoModel /> : <Beginning disabled={sending} onAsk={send} />)}
          {hasOlder && <div ref={mark} aria-hidden className="-mb-6" />}
          {messages.map((shown) =>
            shown.message.role === 'user' ? (
              <Question
                key={shown.message.id}
                shown={shown}
                editing={editing === shown.message.id}
                busy={answering !== undefined || sending}
                {...{ onShow, onEdit, onSendEdited, onRegenerate }}
              />
            ) : (
              <Answer
                key={shown.message.id}
                conversation={key}
                shown={shown}
                busy={answering !== undefined || sending}
                self={status?.node}
                onShow={onShow}
                onRegenerate={onRegenerate}
              />
            ),
          )}
        </div>
      </section>
      <p role="status" className="sr-only">
        {heard}
      </p>
      <div className="relative shrink-0 px-3 pb-3 sm:px-4">
        <div className="mx-auto flex w-full max-w-3xl flex-col gap-2">
          {!atEnd && (
            <div className="absolute inset-x-0 -top-10 flex justify-center">
              <Button size="small" icon={<ArrowDown />} onClick={toEnd}>
                {text.chat.toEnd}
              </Button>
            </div>
          )}
          {modelsError !== null && models === undefined && (
            <Failed compact title={text.chat.modelsFailed} error={modelsError} onRetry={() => void readModels()} />
          )}
          {problem !== undefined && (
            <Failed compact title={text.chat.notSent} error={problem.error} onRetry={problem.again} />
          )}
          <Composer
            draftKey={key}
            field={field}
            answering={answering !== undefined}
            sending={sending}
            disabled={noModel}
            onSend={send}
            onStop={stop}
            onEditLast={() => {
              const question = branch.findLast(({ message }) => message.role === 'user');
              if (question !== undefined && answering === undefined) setEditing(question.message.id);
            }}
            tools={
              <>
                <ModelChoice
                  models={models}
                  value={manner.model}
                  onChange={(model) => {
                    changeManner({ model }).catch((error: unknown) => failed(text.chat.modelFailed, error));
                  }}
                />
                <IconButton
                  size="small"
                  label={text.chat.settings}
                  icon={<SlidersHorizontal />}
                  onClick={() => setSettings(true)}
                />
              </>
            }
          />
        </div>
      </div>
      {settings && <SettingsDialog manner={manner} onSave={changeManner} onClose={() => setSettings(false)} />}
    </div>
  );
}

/** For those who listen: that an answer is being written, and that it has ended. */
function useHeard(answering: boolean, key: string): string {
  const [heard, setHeard] = useState({ key, text: '' });
  const began = useRef(false);
  useEffect(() => {
    if (answering) setHeard({ key, text: text.chat.answering });
    else if (began.current) setHeard({ key, text: text.chat.answered });
    began.current = answering;
  }, [answering, key]);
  return heard.key === key ? heard.text : '';
}

/** Escape, wherever the focus is, unless something open takes it. */
function useEscape(action: (() => void) | undefined): void {
  useEffect(() => {
    if (action === undefined) return;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || event.defaultPrevented) return;
      if (document.querySelector('[data-dialog],[role="menu"]') !== null) return;
      action();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [action]);
}

function Beginning({
  disabled,
  onAsk,
}: {
  readonly disabled: boolean;
  readonly onAsk: (question: string) => void;
}): ReactNode {
  return (
    <div className="flex flex-col gap-4 pt-[8vh]">
      <div>
        <h2 className="font-semibold text-xl tracking-tight">{text.chat.emptyTitle}</h2>
        <p className="mt-1 max-w-prose text-muted">{text.chat.emptyText}</p>
      </div>
      <ul className="divide-y divide-line border-line border-y">
        {text.chat.starters.map((starter) => (
          <li key={starter}>
            <button
              type="button"
              disabled={disabled}
              onClick={() => onAsk(starter)}
              className="group flex w-full items-center gap-3 py-2.5 text-left text-muted hover:text-ink"
            >
              <span
                aria-hidden
                className="h-px w-4 shrink-0 bg-line-strong transition-all group-hover:w-7 group-hover:bg-accent"
              />
              {starter}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

const NoModel = (): ReactNode => (
  <Empty
    icon={<Boxes />}
    title={text.chat.noModelTitle}
    action={
      <Link href="/models" className="font-medium text-accent text-sm hover:text-accent-hover">
        {text.chat.toModels}
      </Link>
    }
  >
    {text.chat.noModelText}
  </Empty>
);
