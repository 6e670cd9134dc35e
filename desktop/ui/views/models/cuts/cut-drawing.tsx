// The graph as a chain of segments, as wide as what they compute, with a stem at each cut point as high as what crosses there. Pointing
// at a stem shows it, pressing moves the cut; the keyboard has a slider below, and a table says the same.
import { type CSSProperties, type PointerEvent, type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import type { CutsAnswer } from '../../../../../protocol/api/control.ts';
import { text } from '../../../text/en.ts';
import { plural, safeName, shortModel } from '../../../text/format.ts';
import type { CutPoint } from './cut-points.ts';
import { type CutLayout, layoutOf, nearest, ROWS } from './layout.ts';

/** Keeps labels readable over lines. */
const HALO: CSSProperties = { paintOrder: 'stroke', stroke: 'var(--panel)', strokeWidth: 4, strokeLinejoin: 'round' };

export interface CutDrawingProps {
  readonly table: CutsAnswer;
  readonly points: readonly CutPoint[];
  readonly selected: number;
  /** Pointed at. */
  readonly shown: number;
  readonly onSelect: (number: number) => void;
  readonly onPoint: (number: number | undefined) => void;
}

export function CutDrawing({ table, points, selected, shown, onSelect, onPoint }: CutDrawingProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [dragging, setDragging] = useState(false);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  const layout = layoutOf(table, points, { width: Math.max(200, width), selected: shown });
  const at = (event: PointerEvent<SVGSVGElement>): number | undefined =>
    nearest(layout.points, event.clientX - event.currentTarget.getBoundingClientRect().left);
  const { cuts } = text.models;
  return (
    <div ref={box} className="min-w-0 select-none">
      {width > 0 && (
        <svg
          role="img"
          aria-label={cuts.drawing(plural(points.length, 'cut point'), safeName(shortModel(table.model.id)))}
          width={Math.max(200, width)}
          height={ROWS.height}
          className="block cursor-col-resize touch-pan-y overflow-visible text-[11px]"
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            setDragging(true);
            const number = at(event);
            if (number !== undefined) onSelect(number);
          }}
          onPointerMove={(event) => {
            const number = at(event);
            onPoint(number);
            if (dragging && number !== undefined) onSelect(number);
          }}
          onPointerUp={() => setDragging(false)}
          onPointerCancel={() => setDragging(false)}
          onPointerLeave={() => onPoint(undefined)}
        >
          <Scale layout={layout} width={Math.max(200, width)} />
          <Segments layout={layout} selected={shown} />
          <Stems layout={layout} selected={selected} shown={shown} width={Math.max(200, width)} />
        </svg>
      )}
    </div>
  );
}

function Scale({ layout, width }: { readonly layout: CutLayout; readonly width: number }): ReactNode {
  const { cuts } = text.models;
  return (
    <g>
      <text x={0} y={12} className="fill-muted font-medium">
        {cuts.rowCrosses}
      </text>
      {layout.ticks.map(({ y, label }) => (
        <g key={label}>
          <line x1={0} x2={width} y1={y} y2={y} className="stroke-line" />
          <text x={width} y={y - 3} textAnchor="end" className="tabular fill-faint">
            {label}
          </text>
        </g>
      ))}
      {layout.input !== undefined && (
        <g>
          <line
            x1={0}
            x2={width}
            y1={layout.input.y}
            y2={layout.input.y}
            strokeDasharray="3 4"
            className="stroke-faint"
          />
          <text x={width - 56} y={layout.input.y - 4} textAnchor="end" style={HALO} className="tabular fill-muted">
            {cuts.inputs(layout.input.label)}
          </text>
        </g>
      )}
      <text x={0} y={ROWS.weights.top - 10} className="fill-muted font-medium">
        {cuts.rowWeights}
      </text>
    </g>
  );
}

/** In front of the cut in the colour of this side, behind it in the other one. */
function Segments({ layout, selected }: { readonly layout: CutLayout; readonly selected: number }): ReactNode {
  return (
    <g>
      {layout.segments.map(({ x, width, weightHeight }, index) => {
        const side = index < selected ? 'fill-series-1' : 'fill-series-2';
        const inner = Math.max(1, width - (width > 8 ? 2 : 1));
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: segments never change places
          <g key={index} className={side}>
            <rect x={x} y={ROWS.band.top} width={inner} height={ROWS.band.height} rx={2} fillOpacity={0.78} />
            <rect x={x} y={ROWS.weights.top} width={inner} height={weightHeight} rx={1} fillOpacity={0.42} />
            {width > 26 && (
              <text
                x={x + inner / 2}
                y={ROWS.band.top + ROWS.band.height / 2 + 4}
                textAnchor="middle"
                className="tabular fill-panel font-medium"
              >
                {index}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

function Stems({
  layout,
  selected,
  shown,
  width,
}: {
  readonly layout: CutLayout;
  readonly selected: number;
  readonly shown: number;
  readonly width: number;
}): ReactNode {
  return (
    <g>
      {layout.points.map(({ number, x, y, label }) => {
        const isCut = number === selected;
        const lit = isCut || number === shown;
        const half = ((label?.length ?? 0) * 6.4) / 2;
        return (
          <g key={number}>
            <line
              x1={x - 1}
              x2={x - 1}
              y1={y}
              y2={isCut ? ROWS.weights.top + ROWS.weights.height : ROWS.band.top - 2}
              strokeWidth={isCut ? 2 : 1.5}
              className={lit ? 'stroke-ink' : 'stroke-line-strong'}
            />
            <circle
              cx={x - 1}
              cy={y}
              r={lit ? 5 : 3.5}
              strokeWidth={2}
              className={lit ? 'fill-ink stroke-panel' : 'fill-muted stroke-panel'}
            />
            {label !== undefined && (
              <text
                x={Math.min(width - half, Math.max(half, x - 1))}
                y={y - 9}
                textAnchor="middle"
                style={HALO}
                className={lit ? 'tabular fill-ink font-semibold' : 'tabular fill-muted'}
              >
                {label}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}
