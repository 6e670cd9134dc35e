// The first run: three questions at most, then a chat. Each answer is what `weft config` and `weft join` would do.
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { JoinAnswer } from '../../../../protocol/api/control.ts';
import { AlonePage } from '../../app/alone.tsx';
import { leaveFirstRun } from '../../app/first-run.ts';
import { pendingTicket, takePendingTicket } from '../../app/pending-ticket.ts';
import { isAsked } from '../../app/set-up.ts';
import { Button } from '../../components/button.tsx';
import { Choice } from '../../components/choice.tsx';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Input, TextArea } from '../../components/field.tsx';
import { api } from '../../data/client.ts';
import { backAgain } from '../../data/events.ts';
import { useChangeConfig, useConfig, useStatus } from '../../data/queries.ts';
import { queryClient } from '../../data/store.ts';
import { text } from '../../text/en.ts';
import { type Answers, type Question, questions, settingsOf } from './answers.ts';

export function WelcomeView(): ReactNode {
  const status = useStatus();
  const config = useConfig();
  if (status.error !== null || config.error !== null) {
    return (
      <AlonePage title={text.welcome.title}>
        <Failed
          error={status.error ?? config.error}
          onRetry={() => void Promise.all([status.refetch(), config.refetch()])}
        />
      </AlonePage>
    );
  }
  if (status.data === undefined || config.data === undefined) {
    return (
      <AlonePage title={text.welcome.title}>
        <Skeleton />
      </AlonePage>
    );
  }
  const source = config.data.settings.find(({ name }) => name === 'name')?.source;
  return (
    <Questions name={status.data.name} fixedBy={source === 'flag' || source === 'environment' ? source : undefined} />
  );
}

interface QuestionsProps {
  /** That it has, or would have. */
  readonly name: string;
  /** What the name is fixed by, where the settings file can't change it. */
  readonly fixedBy: 'flag' | 'environment' | undefined;
}

function Questions({ name, fixedBy }: QuestionsProps): ReactNode {
  const [, navigate] = useLocation();
  const change = useChangeConfig();
  const ticket = pendingTicket();
  const [answers, setAnswers] = useState<Answers>({
    name,
    mesh: ticket === undefined ? 'begin' : 'join',
    ticket: ticket ?? '',
    sharing: 'share',
  });
  const [at, setAt] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const [failure, setFailure] = useState<{ readonly title: string; readonly error: unknown }>();
  const form = useRef<HTMLFormElement>(null);
  const asked = questions(answers);
  const question = asked[at] ?? 'name';
  const last = at === asked.length - 1;

  // The next question is where the keyboard and a screen reader go on.
  useEffect(() => {
    form.current
      ?.querySelector<HTMLElement>(`[data-question="${question}"] :is(input, [data-state="checked"])`)
      ?.focus();
  }, [question]);

  const set = (next: Partial<Answers>): void => {
    setProblem('');
    setFailure(undefined);
    setAnswers((before) => ({ ...before, ...next }));
  };

  const leave = (to: string): void => {
    leaveFirstRun();
    navigate(to, { replace: true });
  };

  const attempt = async (title: string, action: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setFailure(undefined);
    try {
      await action();
      return true;
    } catch (error) {
      setFailure({ title, error });
      return false;
    } finally {
      setBusy(false);
    }
  };

  const finish = (final: Answers): Promise<boolean> =>
    attempt(text.welcome.failed, async () => {
      const { settings } = await change.mutateAsync(settingsOf(final, fixedBy === undefined));
      if (settings.some(({ name: setting, pending }) => pending !== undefined && isAsked(setting))) await startAnew();
      leave('/chat');
    });

  const proceed = async (): Promise<void> => {
    if (question === 'name' && answers.name.trim() === '') return setProblem(text.welcome.nameMissing);
    if (question === 'mesh' && answers.mesh === 'join') {
      if (answers.ticket.trim() === '') return setProblem(text.welcome.ticketMissing);
      const joined = await attempt(text.welcome.joinFailed, async () => {
        await api.post<JoinAnswer>('/api/v1/join', { ticket: answers.ticket.trim() });
        takePendingTicket();
        await queryClient.invalidateQueries();
      });
      if (!joined) return;
    }
    if (last) await finish(answers);
    else setAt(at + 1);
  };

  return (
    <AlonePage
      title={TITLES[question]}
      above={<Progress at={at} of={asked.length} />}
      footer={
        <button
          type="button"
          className="text-muted text-sm underline underline-offset-2 hover:text-ink"
          onClick={() => void finish({ ...answers, name, mesh: 'begin' }).then((done) => done || leave('/'))}
        >
          {text.welcome.skip}
        </button>
      }
    >
      <form
        ref={form}
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void proceed();
        }}
      >
        <p className="mb-5 text-muted">{TEXTS[question]}</p>
        <div data-question={question}>
          {question === 'name' && <NameQuestion answers={answers} set={set} problem={problem} fixedBy={fixedBy} />}
          {question === 'mesh' && <MeshQuestion answers={answers} set={set} problem={problem} />}
          {question === 'sharing' && <SharingQuestion answers={answers} set={set} />}
        </div>
        {failure !== undefined && (
          <div className="mt-4">
            <Failed title={failure.title} error={failure.error} />
          </div>
        )}
        <div className="mt-6 flex items-center gap-2">
          <Button type="submit" kind="primary" busy={busy}>
            {last ? text.welcome.finish : text.welcome.next}
          </Button>
          {at > 0 && question !== 'sharing' && (
            <Button kind="quiet" onClick={() => setAt(at - 1)}>
              {text.welcome.back}
            </Button>
          )}
        </div>
      </form>
    </AlonePage>
  );
}

/** A node that starts takes a second or two; a slow machine takes longer. */
const RESTART_MS_MAX = 20_000;

/** So that it has its name, and does what was chosen, from the first chat on. Where it can't, both come with its next start. */
async function startAnew(): Promise<void> {
  const back = backAgain(RESTART_MS_MAX);
  try {
    await api.post('/api/v1/restart');
  } catch {
    return; // an older node, or one that is not started by `weft serve`
  }
  await back;
}

const TITLES: Readonly<Record<Question, string>> = {
  name: text.welcome.nameTitle,
  mesh: text.welcome.meshTitle,
  sharing: text.welcome.shareTitle,
};

const TEXTS: Readonly<Record<Question, string>> = {
  name: text.welcome.nameText,
  mesh: text.welcome.meshText,
  sharing: text.welcome.shareText,
};

/** Threads that are in, and those that are to come. */
function Progress({ at, of }: { readonly at: number; readonly of: number }): ReactNode {
  return (
    <div className="flex items-center gap-3">
      <span>{text.welcome.step(at + 1, of)}</span>
      <span aria-hidden className="flex gap-1">
        {Array.from({ length: of }, (_, step) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the steps never move
          <span key={step} className={`h-0.5 w-6 ${step <= at ? 'bg-accent' : 'bg-line-strong'}`} />
        ))}
      </span>
    </div>
  );
}

interface QuestionProps {
  readonly answers: Answers;
  readonly set: (next: Partial<Answers>) => void;
  readonly problem?: string;
}

function NameQuestion({
  answers,
  set,
  problem = '',
  fixedBy,
}: QuestionProps & Pick<QuestionsProps, 'fixedBy'>): ReactNode {
  return (
    <Field
      label={text.welcome.nameLabel}
      error={problem}
      {...(fixedBy === undefined ? {} : { hint: text.welcome.nameFixed(text.welcome.sources[fixedBy]) })}
    >
      <Input
        value={answers.name}
        maxLength={64}
        disabled={fixedBy !== undefined}
        onChange={({ target }) => set({ name: target.value })}
      />
    </Field>
  );
}

function MeshQuestion({ answers, set, problem = '' }: QuestionProps): ReactNode {
  return (
    <Choice
      label={text.welcome.meshTitle}
      value={answers.mesh}
      onChange={(mesh) => set({ mesh: mesh as Answers['mesh'] })}
      options={[
        { value: 'begin', title: text.welcome.begin, text: text.welcome.beginText },
        {
          value: 'join',
          title: text.welcome.join,
          text: text.welcome.joinText,
          more: (
            <Field label={text.welcome.ticketLabel} hint={text.welcome.ticketHint} error={problem}>
              <TextArea
                rows={3}
                value={answers.ticket}
                spellCheck={false}
                className="break-all font-mono text-xs"
                onChange={({ target }) => set({ ticket: target.value })}
              />
            </Field>
          ),
        },
      ]}
    />
  );
}

function SharingQuestion({ answers, set }: QuestionProps): ReactNode {
  return (
    <Choice
      label={text.welcome.shareTitle}
      value={answers.sharing}
      onChange={(sharing) => set({ sharing: sharing as Answers['sharing'] })}
      options={[
        { value: 'share', title: text.welcome.share, text: text.welcome.shareChoiceText },
        { value: 'use', title: text.welcome.useOnly, text: text.welcome.useOnlyText },
      ]}
    />
  );
}
