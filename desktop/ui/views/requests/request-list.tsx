// The last requests as they happen, newest first, with filters. The list is virtual: a node keeps 600 of them.
import { ChartNoAxesGantt } from 'lucide-react';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { Button } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Select } from '../../components/field.tsx';
import { Page } from '../../components/page.tsx';
import { Segments } from '../../components/segments.tsx';
import { Tooltip } from '../../components/tooltip.tsx';
import { VirtualList } from '../../components/virtual-list.tsx';
import { useNodeNames, useRequests } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { count, plural, safeName, shortModel } from '../../text/format.ts';
import { LIST_GRID, RequestLine } from './request-line.tsx';
import { choices, filtered, NO_FILTER, type RequestFilter, type RequestRow } from './request-rows.ts';
import { type SteadyRows, steadyRows } from './steady-rows.ts';

/** Of running requests, whose time goes on. */
const TICK_MS = 1_000;
const ROW_PX = 53;
const NONE: readonly RequestRow[] = [];

/** The way back from a request leads to the list as it was. */
let lastFilter: RequestFilter = NO_FILTER;

const { filters, columns } = text.requests;

export function RequestList(): ReactNode {
  const { data, error, refetch } = useRequests();
  const names = useNodeNames();
  const [filter, setFilter] = useState(lastFilter);
  const [reading, setReading] = useState(false);
  const rows = data?.requests;
  const nowMs = useTicking(rows?.some(({ status }) => status === 'running') === true);
  const change = (part: Partial<RequestFilter>): void => {
    lastFilter = { ...filter, ...part };
    setFilter(lastFilter);
    // Another list, from its top.
    setReading(false);
  };
  const shown = useMemo(() => filtered(rows ?? [], filter, nowMs), [rows, filter, nowMs]);
  const steady = useSteadyRows(rows ?? NONE, shown, reading);
  const { models, nodes } = useMemo(() => choices(rows ?? []), [rows]);
  return (
    <Page
      title={text.app.views.requests}
      layout="full"
      note={
        rows === undefined
          ? undefined
          : text.requests.note(
              shown.length === rows.length ? '' : count(shown.length),
              plural(rows.length, text.requests.one),
            )
      }
      actions={
        rows !== undefined &&
        rows.length > 0 && (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset can't be laid out in a row everywhere
          <div role="group" aria-label={filters.label} className="flex flex-wrap items-center gap-2">
            <Select
              aria-label={filters.model}
              value={filter.model}
              onChange={(model) => change({ model })}
              options={[
                { value: '', label: filters.allModels },
                ...models.map((model) => ({ value: model, label: safeName(shortModel(model)) })),
              ]}
              className="w-40 max-sm:w-[calc(50%-4px)] max-sm:grow"
            />
            <Select
              aria-label={filters.node}
              value={filter.node}
              onChange={(node) => change({ node })}
              options={[
                { value: '', label: filters.allNodes },
                ...nodes.map((node) => ({ value: node, label: safeName(names.nameOf(node)) })),
              ]}
              className="w-36 max-sm:w-[calc(50%-4px)] max-sm:grow"
            />
            <Segments
              label={filters.state}
              value={filter.state}
              onChange={(state) => change({ state })}
              options={(['all', 'running', 'failed'] as const).map((value) => ({
                value,
                label: filters.states[value],
              }))}
            />
            <Tooltip text={filters.slowTip} side="bottom">
              <Button
                size="small"
                aria-pressed={filter.slow}
                onClick={() => change({ slow: !filter.slow })}
                className={classes(filter.slow && 'border-accent bg-accent-soft text-accent')}
              >
                {filters.slow}
              </Button>
            </Tooltip>
          </div>
        )
      }
    >
      {error !== null ? (
        <div className="p-4 sm:p-6">
          <Failed title={text.requests.failed} error={error} onRetry={() => void refetch()} />
        </div>
      ) : rows === undefined ? (
        <Skeleton lines={6} className="max-w-xl p-4 sm:p-6" />
      ) : rows.length === 0 ? (
        <Empty
          icon={<ChartNoAxesGantt />}
          title={text.requests.empty}
          action={
            <Link href="/chat" className="text-accent underline underline-offset-2">
              {text.requests.toChat}
            </Link>
          }
        >
          {text.requests.emptyText}
        </Empty>
      ) : steady.rows.length === 0 ? (
        <Empty
          title={text.requests.nothing}
          action={<Button onClick={() => change(NO_FILTER)}>{text.requests.clear}</Button>}
        >
          {text.requests.nothingText}
        </Empty>
      ) : (
        <>
          <div aria-hidden className={classes(LIST_GRID, 'kicker border-line border-b bg-ground py-1.5 max-md:hidden')}>
            <span>{columns.what}</span>
            <span>{columns.nodes}</span>
            <span>{columns.took}</span>
            <span className="text-right">{columns.tokens}</span>
            <span className="text-right">{columns.at}</span>
          </div>
          <VirtualList
            key={JSON.stringify(filter)}
            label={text.requests.list}
            items={steady.rows}
            onReading={setReading}
            waiting={steady.fresh === 0 ? undefined : text.requests.fresh(count(steady.fresh))}
            itemKey={({ requestId }) => requestId}
            estimatePx={ROW_PX}
            row={(row) => <RequestLine row={row} names={names} nowMs={nowMs} />}
            className="grow bg-panel"
          />
        </>
      )}
    </Page>
  );
}

/** As they are wanted, or, while they are read, as they stood when that began. */
function useSteadyRows(all: readonly RequestRow[], wanted: readonly RequestRow[], reading: boolean): SteadyRows {
  const stood = useRef(wanted);
  const steady = useMemo(
    () => (reading ? steadyRows(stood.current, all, wanted) : { rows: wanted, fresh: 0 }),
    [all, wanted, reading],
  );
  useEffect(() => {
    stood.current = steady.rows;
  }, [steady]);
  return steady;
}

/** Now; goes on while something runs. */
function useTicking(on: boolean): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    if (!on) return;
    setNowMs(Date.now());
    const timer = setInterval(() => setNowMs(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [on]);
  return nowMs;
}
