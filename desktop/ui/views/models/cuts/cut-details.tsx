// Both sides of the cut that is looked at, and between them what crosses.
import { ArrowRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { Foreign } from '../../../components/node-name.tsx';
import { text } from '../../../text/en.ts';
import { bytes, plural, safeName } from '../../../text/format.ts';
import { type CutPoint, type CutSide, fineDuration } from './cut-points.ts';

/** Tensors that are listed; large generators have hundreds. */
const TENSORS_SHOWN_MAX = 6;

const { cuts } = text.models;

export function CutDetails({ point }: { readonly point: CutPoint }): ReactNode {
  const more = point.tensors.length - TENSORS_SHOWN_MAX;
  return (
    <div className="mt-3 grid gap-px overflow-hidden rounded-md border border-line bg-line md:grid-cols-[1fr_1.4fr_1fr]">
      <Side title={cuts.before} side={point.before} mark="bg-series-1" />
      <div className="min-w-0 bg-panel p-3">
        <p className="flex items-baseline justify-between gap-2">
          <span className="kicker flex items-center gap-1.5">
            {cuts.crosses}
            <ArrowRight aria-hidden className="size-3.5 max-md:rotate-90" />
          </span>
          <span className="tabular font-semibold">{bytes(point.bytes)}</span>
        </p>
        <ul className="mt-1.5 flex flex-col gap-1">
          {point.tensors.slice(0, TENSORS_SHOWN_MAX).map(({ name, type, dims, bytes: size, input }) => (
            <li key={name} className="flex items-baseline gap-2 text-xs">
              <span className="min-w-0 grow truncate" title={safeName(name)}>
                <Foreign className="font-mono">{name}</Foreign>{' '}
                <span className="text-faint">
                  {type}
                  {dims !== undefined && ` [${dims.map((dim) => (typeof dim === 'number' ? dim : '·')).join(', ')}]`}
                  {input && `, ${cuts.input}`}
                </span>
              </span>
              <span className="tabular shrink-0 text-muted">{bytes(size)}</span>
            </li>
          ))}
          {more > 0 && <li className="text-faint text-xs">{cuts.moreTensors(plural(more, 'tensor'))}</li>}
        </ul>
      </div>
      <Side title={cuts.behind} side={point.behind} mark="bg-series-2" />
    </div>
  );
}

function Side({
  title,
  side,
  mark,
}: {
  readonly title: string;
  readonly side: CutSide;
  readonly mark: string;
}): ReactNode {
  return (
    <div className="bg-panel p-3">
      <p className="kicker flex items-center gap-1.5">
        <span aria-hidden className={`size-2 rounded-[2px] ${mark}`} />
        {title}
      </p>
      <dl className="tabular mt-1.5 grid grid-cols-[1fr_auto] gap-y-0.5 text-sm">
        <dt className="text-muted">{cuts.computing}</dt>
        <dd className="font-semibold">{fineDuration(side.ms)}</dd>
        <dt className="text-muted">{cuts.weights}</dt>
        <dd>{bytes(side.weightBytes)}</dd>
        <dt className="sr-only">{cuts.segments}</dt>
        <dd className="col-span-2 text-faint text-xs">
          {cuts.segmentsOf(plural(side.segments, 'segment'), plural(side.nodes, 'operator'))}
        </dd>
      </dl>
    </div>
  );
}
