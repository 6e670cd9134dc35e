// What the three tabs share: the frame of request and answer, facts of an answer, and the request as code.
import { Play, Square } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { Link } from 'wouter';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Select } from '../../components/field.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { useModels, useNodeNames, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName, shortModel } from '../../text/format.ts';
import type { RunState } from './runner.ts';
import { type SnippetRequest, snippetsOf } from './snippets.ts';

/** Request and answer side by side where there is room. */
export function Bench<Result>({
  form,
  state,
  idle,
  onRun,
  onStop,
  canRun,
  snippet,
  children,
}: {
  readonly form: ReactNode;
  readonly state: RunState<Result>;
  /** What will appear. */
  readonly idle: string;
  readonly onRun: () => void;
  readonly onStop: () => void;
  readonly canRun: boolean;
  readonly snippet: Omit<SnippetRequest, 'baseUrl'> | undefined;
  readonly children: (result: Result) => ReactNode;
}): ReactNode {
  const running = state.at === 'running';
  const answer = useRef<HTMLDivElement>(null);
  const seen = useRef(state.at);
  useEffect(() => {
    const place = answer.current;
    // Whoever comes back to an answer begins at the top.
    if (seen.current === state.at) return;
    seen.current = state.at;
    if (place === null || (state.at !== 'running' && state.at !== 'done')) return;
    // On narrow screens the answer stands below the form.
    if (place.getBoundingClientRect().top > innerHeight / 2) place.scrollIntoView({ block: 'start' });
  }, [state.at]);
  const result = state.at === 'idle' || state.at === 'failed' ? undefined : state.result;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(20rem,2fr)_minmax(0,3fr)]">
      <Card title={text.try.request}>
        <form
          className="flex flex-col gap-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (canRun && !running) onRun();
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
            if (event.key === 'Escape' && running) onStop();
          }}
        >
          {form}
          <div className="flex items-center gap-3">
            {running ? (
              <Button
                icon={<Square fill="currentColor" />}
                onClick={(event) => {
                  // It keeps the focus and becomes the button that runs, before this click is over.
                  event.preventDefault();
                  onStop();
                }}
              >
                {text.try.stop}
              </Button>
            ) : (
              <Button kind="primary" type="submit" icon={<Play />} disabled={!canRun}>
                {text.try.run}
              </Button>
            )}
            <span className="text-faint text-xs max-md:hidden">{text.try.runKey}</span>
          </div>
          {snippet !== undefined && <AsCode request={snippet} />}
        </form>
      </Card>
      <div ref={answer} className="min-w-0 scroll-mt-2 lg:sticky lg:top-4">
        <Card title={text.try.result}>
          <div aria-live="polite" aria-busy={running || undefined} className="flex min-w-0 flex-col gap-4">
            {running && <span aria-hidden className="thread-busy h-0.5 w-full" />}
            {result !== undefined && children(result)}
            {state.at === 'failed' && <Failed title={text.try.failed} error={state.error} onRetry={onRun} />}
            {state.at === 'cancelled' && <p className="text-muted text-sm">{text.try.cancelled}</p>}
            {state.at === 'idle' && <p className="text-muted text-sm">{idle}</p>}
          </div>
        </Card>
      </div>
    </div>
  );
}

/** The models of a task, or of all; the first is chosen where none is. */
export function useModelChoice(tasks: readonly string[] | undefined, chosen: string) {
  const { data } = useModels();
  const models = data?.models.filter(({ task }) => tasks === undefined || tasks.includes(task));
  const model =
    models?.find(({ id }) => id === chosen) ??
    // Generators have dozens of inputs, one for each layer's keys and values: nothing to begin with.
    (tasks === undefined ? models?.find(({ task }) => task !== 'text-generation') : undefined) ??
    models?.[0];
  return { models, model: model?.id ?? '' };
}

export function ModelField({
  models,
  value,
  onChange,
}: {
  readonly models: ReturnType<typeof useModelChoice>['models'];
  readonly value: string;
  readonly onChange: (model: string) => void;
}): ReactNode {
  const { error, refetch } = useModels();
  if (models === undefined) {
    return error === null ? (
      <Skeleton lines={2} />
    ) : (
      <Failed compact title={text.try.modelsFailed} error={error} onRetry={() => void refetch()} />
    );
  }
  if (models.length === 0) {
    return (
      <Empty
        title={text.try.noModels}
        action={
          <Link href="/models" className="font-medium text-accent text-sm hover:text-accent-hover">
            {text.try.toModels}
          </Link>
        }
      >
        {text.try.noModelsText}
      </Empty>
    );
  }
  return (
    <Field label={text.try.model}>
      <Select
        value={value}
        onChange={onChange}
        options={models.map(({ id, precision }) => ({
          value: id,
          label: [safeName(shortModel(id)), precision].filter((part) => part !== undefined).join(' · '),
        }))}
      />
    </Field>
  );
}

/** A line of facts: what and how much. Undefined ones are left out. */
export function Facts({
  facts,
  nodes,
  requestId,
}: {
  readonly facts: readonly (readonly [string, ReactNode] | undefined)[];
  /** Node ids. */
  readonly nodes: readonly string[];
  readonly requestId: string | undefined;
}): ReactNode {
  const { self, nameOf } = useNodeNames();
  return (
    <dl className="flex flex-wrap gap-x-6 gap-y-2 border-line border-t pt-3 text-sm">
      {nodes.length > 0 && (
        <div className="min-w-0">
          <dt className="text-faint text-xs">{text.try.facts.node}</dt>
          <dd className="flex min-w-0 flex-wrap gap-x-3">
            {[...new Set(nodes)].map((node) => (
              <NodeName key={node} node={node} name={nameOf(node)} self={node === self} />
            ))}
          </dd>
        </div>
      )}
      {facts
        .filter((fact) => fact !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt className="text-faint text-xs">{name}</dt>
            <dd className="tabular">{value}</dd>
          </div>
        ))}
      {requestId !== undefined && (
        <div>
          <dt className="text-faint text-xs">{text.try.facts.trace}</dt>
          <dd>
            <Link
              href={`/requests/${encodeURIComponent(requestId)}`}
              className="text-accent underline decoration-1 underline-offset-2 hover:text-accent-hover"
            >
              {text.try.facts.see}
            </Link>
          </dd>
        </div>
      )}
    </dl>
  );
}

function AsCode({ request }: { readonly request: Omit<SnippetRequest, 'baseUrl'> }): ReactNode {
  const { data } = useStatus();
  // The desktop app's pages have an address of their own, which is no node's.
  const baseUrl = /^https?:$/.test(location.protocol) ? location.origin : (data?.api ?? '');
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-line border-t pt-3">
      <span className="text-sm">
        <span className="font-medium">{text.try.code}</span>
        <span className="block text-faint text-xs">{text.try.codeHint}</span>
      </span>
      <span className="flex flex-wrap gap-1.5">
        {snippetsOf({ ...request, baseUrl }).map(({ id, title, code }) => (
          <CopyButton key={id} wordy value={code} label={title} />
        ))}
      </span>
    </div>
  );
}
