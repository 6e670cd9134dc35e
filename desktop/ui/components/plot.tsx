// A plot over time, or over any number: lines with a legend that shows the values under the pointer, or the last ones. Colours come from
// the theme. Bring it in with a lazy view only: uPlot comes with it.
import { type CSSProperties, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useTheme } from '../app/theme.ts';
import { text } from '../text/en.ts';
import { clockTime } from '../text/format.ts';

export interface Series {
  readonly label: string;
  /** One for each x; null where there is none. */
  readonly values: readonly (number | null | undefined)[];
  /** Number of a series colour, 1 to 4. @default its place */
  readonly colour?: 1 | 2 | 3 | 4;
  /** Filled down to zero. */
  readonly area?: boolean;
  readonly dashed?: boolean;
  /** Only dots: for measurements. */
  readonly dots?: boolean;
}

export interface PlotProps {
  /** What is plotted, for those who can't see it. */
  readonly label: string;
  /** Ascending. Milliseconds since 1970 unless `xFormat` is given. */
  readonly xs: readonly number[];
  readonly series: readonly Series[];
  /** A value as text, for axis and legend. */
  readonly format: (value: number) => string;
  /** x as text where it is no time. */
  readonly xFormat?: (x: number) => string;
  /** Pixels. @default 140 */
  readonly height?: number;
  /** The top of the axis at least, so that noise does not fill the plot. */
  readonly topMin?: number;
  /** How much of x is shown, up to its last value, also where there is less: milliseconds of a time. @default all that there is */
  readonly span?: number;
  /** Plots with the same name show the same moment. */
  readonly sync?: string;
  /** @default true */
  readonly legend?: boolean;
}

/** Room for the widest figure of the axis. */
const AXIS_PX = 58;

export function Plot(props: PlotProps): ReactNode {
  const { label, xs, series, format, xFormat, height = 140, topMin = 0, span, sync, legend = true } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const theme = useTheme();
  const [at, setAt] = useState<number | null>(null);
  const formats = useRef({ format, xFormat });
  formats.current = { format, xFormat };
  const isTime = xFormat === undefined;
  const shape = series
    .map((s, place) => `${s.label}|${s.colour ?? place + 1}|${s.area}|${s.dashed}|${s.dots}`)
    .join('\n');
  const data = useMemo<uPlot.AlignedData>(
    () =>
      [isTime ? xs.map((x) => x / 1_000) : [...xs], ...series.map(({ values }) => [...values])] as uPlot.AlignedData,
    [xs, series, isTime],
  );
  const latest = useRef(data);
  latest.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: theme and shape are why it is built anew
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const colour = (name: string): string => getComputedStyle(element).getPropertyValue(`--${name}`).trim();
    const lines = shape.split('\n').map((line): uPlot.Series => {
      const [name = '', number, area, dashed, dots] = line.split('|');
      const stroke = colour(`series-${number}`);
      return {
        label: name,
        stroke,
        width: 1.5,
        spanGaps: false,
        points: { show: dots === 'true', size: 5, fill: stroke },
        ...(area === 'true' ? { fill: withAlpha(stroke, 0.14) } : {}),
        ...(dashed === 'true' ? { dash: [4, 3] } : {}),
        ...(dots === 'true' ? { paths: () => null } : {}),
      };
    });
    const font = `11px ${getComputedStyle(element).fontFamily}`;
    const axis = { stroke: colour('faint'), font, grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
    const built = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false, setScale: false },
          points: { size: 6 },
          ...(sync === undefined ? {} : { sync: { key: sync } }),
        },
        scales: {
          x: {
            time: isTime,
            range: (_plot, low, high) =>
              span === undefined ? [low, high] : [high - span / (isTime ? 1_000 : 1), high],
          },
          y: { range: (_plot, _low, high) => [0, Math.max(topMin, (high ?? 0) * 1.08) || 1] },
        },
        series: [{}, ...lines],
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 24,
            space: 72,
            values: (_plot, values) => {
              // Under some minutes the seconds tell the marks apart.
              const digits = (values.at(-1) ?? 0) - (values[0] ?? 0) < 180 ? 8 : 5;
              return values.map(
                (value) =>
                  formats.current.xFormat?.(value) ??
                  new Date(value * 1_000).toLocaleTimeString('en-GB').slice(0, digits),
              );
            },
          },
          {
            ...axis,
            size: AXIS_PX,
            space: 34,
            values: (_plot, values) => values.map((value) => formats.current.format(value)),
          },
        ],
        hooks: { setCursor: [({ cursor: { idx } }) => setAt(idx ?? null)] },
      },
      latest.current,
      element,
    );
    plot.current = built;
    const observer = new ResizeObserver(() => built.setSize({ width: Math.max(120, element.clientWidth), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      built.destroy();
      plot.current = null;
    };
  }, [theme, shape, height, topMin, span, sync, isTime]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  const place = at ?? xs.length - 1;
  const x = xs[place];
  const told = series.map(({ label: name, values }) => ({ name, value: values[place] }));
  const summary = told
    .map(({ name, value }) => `${name}: ${value == null ? text.common.unknown : format(value)}`)
    .join(', ');
  return (
    <figure className="m-0 min-w-0">
      {legend && (
        <figcaption className="flex min-h-5 flex-wrap items-baseline gap-x-3 gap-y-0.5 text-xs">
          {series.map(({ label: name, values, colour, dashed }, index) => (
            <span key={name} className="inline-flex items-baseline gap-1.5 whitespace-nowrap">
              <svg aria-hidden width="12" height="4" className="self-center">
                <line
                  x1="0"
                  x2="12"
                  y1="2"
                  y2="2"
                  strokeWidth="2"
                  strokeDasharray={dashed ? '4 2' : undefined}
                  style={{ stroke: `var(--series-${colour ?? index + 1})` } as CSSProperties}
                />
              </svg>
              <span className="text-muted">{name}</span>
              <span className="tabular font-medium">
                {values[place] == null ? '–' : format(values[place] as number)}
              </span>
            </span>
          ))}
          {at !== null && x !== undefined && (
            <span className="tabular ml-auto text-faint">{xFormat?.(x) ?? clockTime(x, Date.now())}</span>
          )}
        </figcaption>
      )}
      <div ref={box} role="img" aria-label={`${label}. ${summary}`} className="min-w-0" style={{ height }} />
    </figure>
  );
}

/** Of a colour in `oklch(l c h)`. */
const withAlpha = (colour: string, alpha: number): string => colour.replace(/\)$/, ` / ${alpha})`);
