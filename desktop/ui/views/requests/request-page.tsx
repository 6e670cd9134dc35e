// One request: what became of it, its way in time, why it went there, what left this node, and what other policies would have done.
import { useQueryClient } from '@tanstack/react-query';
import { ArrowLeft } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import type { RequestAnswer } from '../../../../protocol/api/control.ts';
import { StateDot } from '../../components/badge.tsx';
import { Card } from '../../components/card.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Ago } from '../../components/figures.tsx';
import { Foreign, NodeName } from '../../components/node-name.tsx';
import { Page } from '../../components/page.tsx';
import { useEvents } from '../../data/events.ts';
import { type NodeNames, useNodeNames, useRequest } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { count, duration, percent, safeName, shortModel } from '../../text/format.ts';
import { LeftCard, leaving } from './left-card.tsx';
import { PlanCard } from './plan-card.tsx';
import { ReplayCard } from './replay-card.tsx';
import { kindOf } from './request-rows.ts';
import { WaterfallCard } from './waterfall-card.tsx';

const { page } = text.requests;

export function RequestPage({ id }: { readonly id: string }): ReactNode {
  const { data, error, refetch } = useRequest(id);
  const names = useNodeNames();
  const client = useQueryClient();
  const [link] = useState(() => window.location.href);
  useEvents('request', (events) => {
    if (events.some(({ data: change }) => change.requestId === id && change.phase !== 'progress')) {
      void client.invalidateQueries({ queryKey: ['request', id], exact: true });
    }
  });
  if (error !== null && data === undefined)
    return (
      <Page title={page.id} heading={<Heading>{page.id}</Heading>}>
        {error.status === 404 ? (
          <Empty title={page.missing}>{page.missingText}</Empty>
        ) : (
          <Failed error={error} onRetry={() => void refetch()} />
        )}
      </Page>
    );
  if (data === undefined)
    return (
      <Page title={page.id} heading={<Heading>{page.id}</Heading>}>
        <Skeleton lines={6} className="max-w-xl" />
      </Page>
    );
  const kind = kindOf(data.name);
  const left = leaving(data.spans);
  return (
    <Page
      title={data.model === undefined ? kind : `${kind}: ${safeName(shortModel(data.model))}`}
      heading={
        <Heading>
          {kind}
          {data.model !== undefined && (
            <span className="font-normal text-muted">
              {' '}
              <Foreign>{shortModel(data.model)}</Foreign>
            </span>
          )}
        </Heading>
      }
      note={<code className="block truncate font-mono text-xs">{data.requestId}</code>}
      actions={
        <>
          <CopyButton wordy value={link} label={page.copyLink} />
          <CopyButton wordy value={JSON.stringify(data, undefined, 2)} label={page.copyJson} />
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Figures request={data} names={names} />
        <WaterfallCard request={data} names={names} />
        <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <PlanCard plans={data.plans} names={names} />
          <div className="flex min-w-0 flex-col gap-4">
            {data.plans.length > 0 && <ReplayCard id={id} names={names} />}
            {left.length > 0 && <LeftCard spans={left} names={names} />}
            {data.failures.length > 0 && <Failures failures={data.failures} names={names} />}
          </div>
        </div>
      </div>
    </Page>
  );
}

const Heading = ({ children }: { readonly children: ReactNode }): ReactNode => (
  <span className="flex min-w-0 items-center gap-2">
    <Link
      href="/requests"
      aria-label={page.back}
      className="-ml-1 rounded-md p-1 text-muted hover:bg-sunken hover:text-ink"
    >
      <ArrowLeft aria-hidden className="size-4" />
    </Link>
    <span className="truncate">{children}</span>
  </span>
);

/** What one wants to know first, in one strip. */
function Figures({ request, names }: { readonly request: RequestAnswer; readonly names: NodeNames }): ReactNode {
  const { status, code, durationMs, ttftMs, promptTokens, completionTokens, plans, caller, startedAtMs } = request;
  const predictedMs = plans.at(-1)?.price.totalMs;
  const tokensPerS =
    completionTokens !== undefined && completionTokens > 1 && ttftMs !== undefined && durationMs > ttftMs
      ? (completionTokens - 1) / ((durationMs - ttftMs) / 1_000)
      : undefined;
  const tone = status === 'ok' ? 'good' : status === 'error' ? 'bad' : status === 'running' ? 'accent' : 'neutral';
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-6">
      <Figure title={page.status} note={code === undefined ? undefined : safeName(code)}>
        <StateDot tone={tone}>{text.requests.statuses[status]}</StateDot>
      </Figure>
      <Figure
        title={page.duration}
        note={
          predictedMs === undefined || status === 'running'
            ? undefined
            : page.difference(percent(durationMs / Math.max(predictedMs, 0.001)), duration(predictedMs))
        }
      >
        {duration(durationMs)}
      </Figure>
      <Figure title={page.ttft}>{ttftMs === undefined ? '–' : duration(ttftMs)}</Figure>
      <Figure title={page.tokens} note={tokensPerS === undefined ? undefined : page.rate(tokensPerS.toFixed(1))}>
        {promptTokens === undefined && completionTokens === undefined
          ? '–'
          : [
              ...(promptTokens === undefined ? [] : [page.tokensIn(count(promptTokens))]),
              ...(completionTokens === undefined ? [] : [page.tokensOut(count(completionTokens))]),
            ].join(', ')}
      </Figure>
      <Figure title={page.caller}>
        {caller === undefined ? (
          <span className="font-normal text-muted text-sm">{page.client}</span>
        ) : (
          <NodeName node={caller} name={names.nameOf(caller)} className="text-sm" />
        )}
      </Figure>
      <Figure title={page.began}>
        <span className="font-normal text-sm">
          <Ago atMs={startedAtMs} />
        </span>
      </Figure>
    </dl>
  );
}

function Figure({
  title,
  note,
  children,
}: {
  readonly title: string;
  readonly note?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <div className="min-w-0 bg-panel px-4 py-3">
      <dt className="kicker">{title}</dt>
      <dd className="tabular mt-0.5 font-semibold">
        {children}
        {note !== undefined && <span className="block font-normal text-muted text-xs">{note}</span>}
      </dd>
    </div>
  );
}

function Failures({
  failures,
  names,
}: {
  readonly failures: RequestAnswer['failures'];
  readonly names: NodeNames;
}): ReactNode {
  const { failures: words } = text.requests;
  return (
    <Card title={words.title}>
      <ul className="flex flex-col gap-1.5 text-sm">
        {failures.map(({ node, code, atMs }) => (
          <li key={`${node} ${atMs}`} className="flex flex-wrap items-baseline gap-x-2">
            <NodeName node={node} name={names.nameOf(node)} />
            <span className="tabular text-bad text-xs">{words.line(safeName(code), duration(atMs))}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
