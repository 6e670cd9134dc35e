// The decisions of a request, made again on what was known then, by today's code or another policy: old and new choice side by side.
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { ReplayAnswer } from '../../../../protocol/api/control.ts';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { Failed } from '../../components/failed.tsx';
import { Select } from '../../components/field.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { type ApiError, api } from '../../data/client.ts';
import type { NodeNames } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, safeText } from '../../text/format.ts';
import { PriceBar, partsWords } from './plan-card.tsx';
import { nodesOf, type Plan, type Price } from './plan-words.ts';

const { replay: words } = text.requests;

type Policy = keyof typeof words.policies;
type Placement = ReplayAnswer['placements'][number];
type Parts = Partial<Omit<Price, 'totalMs'>>;

const POLICIES = Object.keys(words.policies) as readonly Policy[];

export function ReplayCard({ id, names }: { readonly id: string; readonly names: NodeNames }): ReactNode {
  const [policy, setPolicy] = useState<Policy>('weft');
  const [asked, setAsked] = useState<Policy>();
  const { data, error, isFetching, refetch } = useQuery<ReplayAnswer, ApiError>({
    queryKey: ['request', id, 'replay', asked],
    queryFn: ({ signal }) =>
      api.get<ReplayAnswer>(
        `/api/v1/requests/${encodeURIComponent(id)}/replay?policy=${encodeURIComponent(asked ?? '')}`,
        { signal },
      ),
    enabled: asked !== undefined,
    retry: false,
  });
  return (
    <Card title={words.title} note={words.note}>
      <form
        className="flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(policy);
        }}
      >
        <Select
          aria-label={words.policy}
          value={policy}
          onChange={(next) => setPolicy(next as Policy)}
          options={POLICIES.map((value) => ({ value, label: words.policies[value] }))}
          className="w-56"
        />
        <Button type="submit" busy={isFetching}>
          {words.action}
        </Button>
      </form>
      <div aria-live="polite">
        {error !== null && !isFetching && (
          <div className="mt-3">
            <Failed title={words.failed} error={error} onRetry={() => void refetch()} />
          </div>
        )}
        {data !== undefined &&
          (data.placements.length === 0 ? (
            <p className="mt-3 text-muted text-sm">{words.none}</p>
          ) : (
            <ol className="mt-3 flex flex-col gap-5">
              {data.placements.map((placement, index) => (
                <li key={placement.atMs}>
                  {data.placements.length > 1 && (
                    <p className="kicker mb-1">{words.nth(String(index + 1), duration(placement.atMs))}</p>
                  )}
                  <PlacementView placement={placement} policy={data.policy} names={names} />
                </li>
              ))}
            </ol>
          ))}
      </div>
    </Card>
  );
}

function PlacementView({
  placement,
  policy,
  names,
}: {
  readonly placement: Placement;
  readonly policy: string;
  readonly names: NodeNames;
}): ReactNode {
  const { old, measured, new: again, reason, explanation } = placement;
  const measuredMs = Object.values(measured).reduce((all, ms) => all + (ms ?? 0), 0);
  const most = Math.max(0.001, old.price.totalMs, measuredMs, again?.price.totalMs ?? 0);
  const name = words.policies[policy as Policy] ?? safeText(policy);
  return (
    <>
      <div className="grid gap-px overflow-hidden rounded-md border border-line bg-line sm:grid-cols-2">
        <Choice title={words.old} plan={old} names={names}>
          <Line title={words.predicted} price={old.price} totalMs={old.price.totalMs} most={most} />
          {measuredMs > 0 && <Line title={words.measured} price={given(measured)} totalMs={measuredMs} most={most} />}
        </Choice>
        <Choice
          title={words.again(name)}
          plan={again}
          names={names}
          {...(again === undefined ? {} : { badge: verdict(old, again) })}
        >
          {again === undefined ? (
            <p className="text-muted text-sm">{safeText(reason ?? words.none)}</p>
          ) : (
            <>
              <Line title={words.predicted} price={again.price} totalMs={again.price.totalMs} most={most} />
              {!same(old, again) && (
                <p className="text-muted text-xs">{differenceWords(again.price.totalMs - old.price.totalMs)}</p>
              )}
            </>
          )}
        </Choice>
      </div>
      {explanation.length > 0 && (
        <ul className="mt-2 flex flex-col gap-0.5 text-muted text-xs">
          {explanation.map((line) => (
            <li key={line}>{safeText(line)}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function Choice({
  title,
  plan,
  names,
  badge,
  children,
}: {
  readonly title: string;
  readonly plan: Plan | undefined;
  readonly names: NodeNames;
  readonly badge?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <section aria-label={title} className="flex min-w-0 flex-col gap-2 bg-panel p-3">
      <p className="kicker">{title}</p>
      {plan !== undefined && (
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1 font-semibold text-sm">
          {nodesOf(plan).map((node) => (
            <NodeName key={node} node={node} name={names.nameOf(node)} self={node === names.self} />
          ))}
          {badge}
        </div>
      )}
      {children}
    </section>
  );
}

function Line({
  title,
  price,
  totalMs,
  most,
}: {
  readonly title: string;
  readonly price: Parts;
  readonly totalMs: number;
  readonly most: number;
}): ReactNode {
  return (
    <div className="text-sm">
      <p className="flex items-baseline justify-between">
        <span className="text-muted text-xs">{title}</span>
        <span className="tabular font-medium">{duration(totalMs)}</span>
      </p>
      <PriceBar price={price} most={most} />
      <p className="mt-0.5 text-faint text-xs">{partsWords(price)}</p>
    </div>
  );
}

const same = (old: Plan, again: Plan): boolean => nodesOf(old).toSorted().join() === nodesOf(again).toSorted().join();

const verdict = (old: Plan, again: Plan): ReactNode =>
  same(old, again) ? <Badge>{words.same}</Badge> : <Badge tone="accent">{words.other}</Badge>;

const differenceWords = (byMs: number): string =>
  byMs < 0 ? words.faster(duration(-byMs)) : words.slower(duration(byMs));

/** Without what took no time. */
function given(measured: Placement['measured']): Parts {
  return Object.fromEntries(Object.entries(measured).filter(([, ms]) => ms !== undefined));
}
