// How fast a model is on this node: measured while nothing else ran, seen in real requests, told to peers.
import { Gauge } from 'lucide-react';
import type { ReactNode } from 'react';
import type { ProfileReport } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { Empty } from '../../components/empty.tsx';
import { Ago } from '../../components/figures.tsx';
import { Plot } from '../../components/plot.tsx';
import { Table } from '../../components/table.tsx';
import { text } from '../../text/en.ts';
import { count, duration, plural, safeName } from '../../text/format.ts';
import { Facts } from './model-facts.tsx';
import { batchCurve, type Curve, decodeCurve, onLine, workCurve } from './profile-series.ts';

const { speed } = text.models;

/** Tokens of which a figure is told where nothing was measured. */
const USUAL_TOKENS = 128;

export function SpeedTab({ task, profile }: { readonly task: string; readonly profile: ProfileReport }): ReactNode {
  const { claim, observed, offered } = profile;
  if (claim === undefined && observed.samples === 0)
    return (
      <div className="rounded-lg border border-line bg-panel">
        <Empty icon={<Gauge />} title={speed.unmeasured}>
          {speed.unmeasuredText}
        </Empty>
      </div>
    );
  const plots: readonly (readonly [string, Curve | undefined, (x: number) => string])[] = [
    [speed.work, workCurve(profile), count],
    [speed.decode, decodeCurve(profile), count],
    [speed.batch, batchCurve(profile), count],
  ];
  const generates = task === 'text-generation';
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      {plots.map(
        ([title, curve, xFormat]) =>
          curve !== undefined && (
            <Card key={title} title={title}>
              <Plot
                label={title}
                xs={curve.xs}
                series={curve.series}
                format={duration}
                xFormat={xFormat}
                height={180}
              />
            </Card>
          ),
      )}
      <Card title={speed.table} flush>
        <Table
          label={speed.table}
          rows={figures(profile, generates)}
          rowKey={({ what }) => what}
          columns={[
            { key: 'what', title: speed.what, grow: true, cell: ({ what }) => what },
            { key: 'claim', title: speed.claim, align: 'end', cell: ({ claim: ms }) => time(ms) },
            { key: 'observed', title: speed.observed, align: 'end', cell: ({ observed: ms }) => time(ms) },
            { key: 'offered', title: speed.offered, align: 'end', wide: true, cell: ({ offered: ms }) => time(ms) },
          ]}
        />
      </Card>
      <Card title={text.models.page.facts}>
        <Facts
          facts={[
            ...(claim === undefined
              ? []
              : ([
                  [speed.device, safeName([claim.device, claim.machine].filter(Boolean).join(', '))],
                  [
                    speed.measuredAt,
                    <span key="at">
                      <Ago atMs={claim.measuredAtMs} />, {speed.by(safeName(claim.version))}
                    </span>,
                  ],
                ] as const)),
            [
              speed.samples,
              speed.pieces(
                plural(observed.samples, 'piece of work', 'pieces of work'),
                generates ? plural(observed.answers, 'answer') : '',
              ),
            ],
            [
              speed.correction,
              speed.ratio(
                times(observed.workRatio),
                generates && offered.decodeMs > 0 ? times(observed.decodeRatio) : '',
              ),
            ],
          ]}
        />
      </Card>
    </div>
  );
}

interface Figure {
  readonly what: string;
  readonly claim: number | undefined;
  readonly observed: number | undefined;
  readonly offered: number | undefined;
}

function figures({ claim, observed, offered }: ProfileReport, generates: boolean): readonly Figure[] {
  const some = (ms: number | undefined): number | undefined => (ms === undefined || ms === 0 ? undefined : ms);
  const points = claim?.work ?? [];
  const sizes = points.length > 0 ? points.map(({ tokens }) => tokens) : generates ? [USUAL_TOKENS] : [1];
  return [
    ...sizes.map((tokens) => ({
      what: tokens === 1 ? speed.runs : speed.tokens(count(tokens)),
      claim: points.find((point) => point.tokens === tokens)?.ms,
      observed: observed.samples === 0 ? undefined : onLine(observed, tokens),
      offered: some(onLine(offered, tokens)),
    })),
    ...(generates
      ? [
          {
            what: speed.eachToken,
            claim: some(claim?.decode[0]?.ms),
            observed: some(observed.decodeMs),
            offered: some(offered.decodeMs),
          },
        ]
      : []),
    { what: speed.load, claim: some(claim?.loadMs), observed: some(observed.loadMs), offered: some(offered.loadMs) },
  ];
}

const time = (ms: number | undefined): string => (ms === undefined ? '–' : duration(ms));
const times = (ratio: number): string => `× ${ratio.toFixed(2)}`;
