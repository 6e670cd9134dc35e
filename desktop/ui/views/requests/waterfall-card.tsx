// The way of a request, drawn: a line for each thing that was done, grouped by the node that did it; the thin mark below a bar is what
// had been predicted. A list of sentences for screen readers; the table beside it has every figure.
import { type ReactNode, useState } from 'react';
import type { RequestAnswer } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { classes } from '../../components/class-names.ts';
import { NodeName, nodeColour } from '../../components/node-name.tsx';
import { Segments } from '../../components/segments.tsx';
import { Table } from '../../components/table.tsx';
import { Tooltip } from '../../components/tooltip.tsx';
import type { NodeNames } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, safeName } from '../../text/format.ts';
import { type Bar, type Mark, type Waterfall, waterfallOf } from './waterfall.ts';

const { way } = text.requests;

/** Of the bars, by what is done: waiting is pale, computing strong. */
const FILLS: Readonly<Record<Bar['name'], string>> = {
  prepare: 'fill-series-4',
  up: 'fill-series-3',
  acknowledge: 'fill-line-strong',
  queue: 'fill-warn',
  load: 'fill-faint',
  compute: 'fill-series-1',
  down: 'fill-series-3',
};

const GRID =
  'grid grid-cols-[4rem_minmax(0,1fr)_3.5rem] items-center gap-x-2 sm:grid-cols-[7rem_minmax(0,1fr)_11rem] sm:gap-x-3';

export function WaterfallCard({
  request,
  names,
}: {
  readonly request: RequestAnswer;
  readonly names: NodeNames;
}): ReactNode {
  const [as, setAs] = useState<'drawing' | 'table'>('drawing');
  const waterfall = waterfallOf(request);
  const empty = waterfall.legs.length === 0;
  return (
    <Card
      title={way.title}
      note={duration(waterfall.endMs)}
      flush={as === 'table' && !empty}
      actions={
        !empty && (
          <Segments
            label={way.as}
            value={as}
            onChange={setAs}
            options={[
              { value: 'drawing', label: way.drawing },
              { value: 'table', label: way.table },
            ]}
          />
        )
      }
    >
      {empty ? (
        <p className="text-muted text-sm">{request.status === 'running' ? way.running : way.none}</p>
      ) : as === 'table' ? (
        <SpanTable waterfall={waterfall} names={names} />
      ) : (
        <Drawing waterfall={waterfall} names={names} />
      )}
    </Card>
  );
}

interface Shown {
  readonly waterfall: Waterfall;
  readonly names: NodeNames;
}

function Drawing({ waterfall, names }: Shown): ReactNode {
  const { legs, ticks } = waterfall;
  // Narrow screens have room for one label beside the first.
  const middle = Math.ceil((ticks.length - 1) / 2);
  return (
    <div className="text-xs">
      <div aria-hidden className={`${GRID} border-transparent border-l-2 pl-2.5`}>
        <span />
        <span className="tabular relative block h-5 text-faint">
          {ticks.map(({ ms, at }, index) => (
            <span
              key={ms}
              className={classes(
                'absolute whitespace-nowrap',
                index > 0 && '-translate-x-1/2',
                index > 0 && index !== middle && 'max-sm:hidden',
              )}
              style={{ left: `${at * 100}%` }}
            >
              {ms === 0 ? '0' : duration(ms)}
            </span>
          ))}
        </span>
        <span />
      </div>
      <ol aria-label={way.label} className="flex flex-col gap-2">
        {legs.map((leg, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: legs only come behind the others
          <li key={index} style={nodeColour(leg.node)} className="border-node border-l-2 pl-2.5">
            <NodeName
              node={leg.node}
              name={names.nameOf(leg.node)}
              self={leg.node === names.self}
              className="text-sm"
            />
            <ul>
              {leg.rows.map((row, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows only come behind the others
                <li key={at} className={`${GRID} h-6`}>
                  {row.kind === 'span' ? (
                    <SpanRow bar={row} ticks={ticks} name={safeName(names.nameOf(row.node))} />
                  ) : (
                    <FailureRow mark={row} name={safeName(names.nameOf(row.node))} />
                  )}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
      <p aria-hidden className="mt-3 flex flex-wrap gap-x-4 gap-y-1 text-muted">
        <span className="inline-flex items-center gap-1.5">
          <span className="h-2 w-4 rounded-[2px] bg-series-1" />
          {way.legend.measured}
        </span>
        <span className="inline-flex items-center gap-1.5">
          <span className="h-0.5 w-4 bg-ink" />
          {way.legend.predicted}
        </span>
      </p>
    </div>
  );
}

function SpanRow({
  bar,
  ticks,
  name,
}: {
  readonly bar: Bar;
  readonly ticks: Waterfall['ticks'];
  readonly name: string;
}): ReactNode {
  const { startMs, durationMs, predictedMs, from, length, predictedTo } = bar;
  const part = way.spans[bar.name];
  return (
    <>
      <span className="sr-only">
        {way.line(
          part,
          name,
          duration(startMs),
          duration(durationMs),
          predictedMs === undefined ? '' : duration(predictedMs),
        )}
      </span>
      <Tooltip text={way.tips[bar.name]}>
        <span aria-hidden className="truncate text-muted">
          {part}
        </span>
      </Tooltip>
      <svg aria-hidden width="100%" height="24" className="block overflow-visible">
        {ticks.map(({ ms, at }) => (
          <line key={ms} x1={`${at * 100}%`} x2={`${at * 100}%`} y1="0" y2="24" className="stroke-line" />
        ))}
        <rect
          x={`${from * 100}%`}
          y="6"
          width={`${length * 100}%`}
          height="9"
          rx="2"
          // What took no time is still seen.
          style={{ minWidth: 2 }}
          className={FILLS[bar.name]}
        />
        {length < 0.004 && (
          <line x1={`${from * 100}%`} x2={`${from * 100}%`} y1="6" y2="15" strokeWidth="2" className="stroke-muted" />
        )}
        {predictedTo !== undefined && (
          <>
            <line
              x1={`${from * 100}%`}
              x2={`${predictedTo * 100}%`}
              y1="18"
              y2="18"
              strokeWidth="1.5"
              className="stroke-ink"
            />
            <line
              x1={`${predictedTo * 100}%`}
              x2={`${predictedTo * 100}%`}
              y1="15.5"
              y2="20.5"
              strokeWidth="1.5"
              className="stroke-ink"
            />
          </>
        )}
      </svg>
      <span aria-hidden className="tabular truncate text-right">
        {duration(durationMs)}
        {predictedMs !== undefined && (
          <span className="text-faint max-sm:hidden"> · {text.requests.predicted(duration(predictedMs))}</span>
        )}
      </span>
    </>
  );
}

function FailureRow({ mark, name }: { readonly mark: Mark; readonly name: string }): ReactNode {
  return (
    <>
      <span className="sr-only">{way.failureLine(name, safeName(mark.code), duration(mark.startMs))}</span>
      <span aria-hidden className="truncate text-bad">
        {way.failed}
      </span>
      <svg aria-hidden width="100%" height="24" className="block overflow-visible">
        <line
          x1={`${mark.from * 100}%`}
          x2={`${mark.from * 100}%`}
          y1="3"
          y2="21"
          strokeWidth="2"
          className="stroke-bad"
        />
      </svg>
      <span aria-hidden className="truncate text-right text-bad">
        {safeName(mark.code)}
      </span>
    </>
  );
}

function SpanTable({ waterfall, names }: Shown): ReactNode {
  const rows = waterfall.legs.flatMap((leg) => leg.rows).map((row, index) => ({ row, index }));
  return (
    <Table
      label={way.label}
      rows={rows}
      rowKey={({ index }) => String(index)}
      columns={[
        {
          key: 'part',
          title: way.columns.part,
          cell: ({ row }) =>
            row.kind === 'span' ? way.spans[row.name] : <span className="text-bad">{safeName(row.code)}</span>,
        },
        {
          key: 'node',
          title: way.columns.node,
          grow: true,
          cell: ({ row }) => <NodeName node={row.node} name={names.nameOf(row.node)} />,
        },
        { key: 'began', title: way.columns.began, align: 'end', wide: true, cell: ({ row }) => duration(row.startMs) },
        {
          key: 'measured',
          title: way.columns.measured,
          align: 'end',
          cell: ({ row }) => (row.kind === 'span' ? duration(row.durationMs) : '–'),
        },
        {
          key: 'predicted',
          title: way.columns.predicted,
          align: 'end',
          cell: ({ row }) => (row.kind === 'span' && row.predictedMs !== undefined ? duration(row.predictedMs) : '–'),
        },
      ]}
    />
  );
}
