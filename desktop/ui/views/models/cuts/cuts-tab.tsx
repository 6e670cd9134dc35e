// Where the graph of a model can be cut: the drawing, the cut that is looked at with both of its sides, what the mesh would make of it,
// and all cut points as a table. Measured when the tab is opened, where nobody has measured it.
import { RotateCw } from 'lucide-react';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import type { CutsAnswer } from '../../../../../protocol/api/control.ts';
import { Button } from '../../../components/button.tsx';
import { Card } from '../../../components/card.tsx';
import { Empty } from '../../../components/empty.tsx';
import { Failed } from '../../../components/failed.tsx';
import { Slider } from '../../../components/slider.tsx';
import { useNodeNames } from '../../../data/queries.ts';
import { text } from '../../../text/en.ts';
import { bytes, count, duration, percent, plural, safeName, safeText } from '../../../text/format.ts';
import { useCuts } from '../queries.ts';
import { CutDetails } from './cut-details.tsx';
import { CutDrawing } from './cut-drawing.tsx';
import { cutPointsOf, fineDuration, firstShown, weightBytesOf } from './cut-points.ts';
import { CutTable } from './cut-table.tsx';
import { MeshComparison } from './mesh-comparison.tsx';

const { cuts } = text.models;

/** @param props.model digest, or hub id of one that other nodes have */
export function CutsTab({ model }: { readonly model: string }): ReactNode {
  const { data, error, isFetching, refetch, measureAgain } = useCuts(model, true);
  if (error !== null && !isFetching) return <Failed title={cuts.failed} error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Measuring />;
  if (data.segments.length < 2)
    return (
      <div className="rounded-lg border border-line bg-panel">
        <Empty
          title={cuts.whole}
          action={
            <Button icon={<RotateCw />} onClick={measureAgain}>
              {cuts.measureAgain}
            </Button>
          }
        >
          {data.reason === undefined ? cuts.wholeText : safeText(data.reason)}
        </Empty>
      </div>
    );
  return <Cuts key={data.measuredAtMs} table={data} onAgain={measureAgain} />;
}

function Cuts({ table, onAgain }: { readonly table: CutsAnswer; readonly onAgain: () => void }): ReactNode {
  const points = useMemo(() => cutPointsOf(table), [table]);
  const [selected, setSelected] = useState(() => firstShown(points));
  const [pointed, setPointed] = useState<number>();
  const names = useNodeNames();
  const shown = pointed ?? selected;
  const point = points[shown - 1];
  const chosen = points[selected - 1];
  return (
    <div className="flex flex-col gap-4">
      <Card
        title={cuts.facts(plural(points.length, 'cut point'), fineDuration(table.wholeMs), bytes(weightBytesOf(table)))}
        note={cuts.on(safeName(table.device), table.node === undefined ? '' : safeName(names.nameOf(table.node)))}
        actions={
          <Button size="small" icon={<RotateCw />} onClick={onAgain}>
            {cuts.measureAgain}
          </Button>
        }
      >
        <CutDrawing
          table={table}
          points={points}
          selected={selected}
          shown={shown}
          onSelect={setSelected}
          onPoint={setPointed}
        />
        <div className="mt-2 flex items-center gap-4">
          <span className="tabular shrink-0 font-semibold text-sm">
            {cuts.point(count(shown), count(points.length))}
          </span>
          <Slider
            label={cuts.slider}
            min={1}
            max={points.length}
            step={1}
            value={selected}
            onChange={(next) => {
              setPointed(undefined);
              setSelected(next);
            }}
            {...(chosen === undefined
              ? {}
              : { valueText: cuts.pointAt(count(selected), percent(chosen.depth), bytes(chosen.bytes)) })}
          />
        </div>
        {point !== undefined && <CutDetails point={point} />}
        {table.reason !== undefined && <p className="mt-3 text-muted text-xs">{safeText(table.reason)}</p>}
        <details className="mt-3 text-xs">
          <summary className="text-muted hover:text-ink">{cuts.shapes}</summary>
          <p className="mt-1 break-words font-mono text-muted">{safeText(table.shapes.replaceAll(';', '; '))}</p>
        </details>
      </Card>
      <MeshComparison table={table} cut={selected} />
      <Card title={cuts.table} flush>
        <CutTable points={points} selected={selected} onSelect={setSelected} />
      </Card>
    </div>
  );
}

/** Says what is done, and for how long it has been. */
function Measuring(): ReactNode {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="flex flex-col gap-3 rounded-lg border border-line bg-panel p-4">
      <p role="status" className="font-semibold text-sm">
        {cuts.measuring}
      </p>
      <span aria-hidden className="thread-busy h-1 w-full max-w-md rounded-full" />
      <p className="max-w-prose text-muted text-sm">{cuts.measuringText}</p>
      {seconds > 2 && <p className="tabular text-faint text-xs">{cuts.elapsed(duration(seconds * 1_000))}</p>}
    </div>
  );
}
