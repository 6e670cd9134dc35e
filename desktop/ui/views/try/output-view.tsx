// One output of a graph: its shape, statistics, first values and largest ones, and the whole of it as a file.
import { Download } from 'lucide-react';
import { type ReactNode, useMemo } from 'react';
import type { InferAnswer } from '../../../../protocol/api/control/infer.ts';
import { isNpyType, writeNpy } from '../../../../protocol/npy.ts';
import type { Tensor } from '../../../../protocol/tensor.ts';
import { Button } from '../../components/button.tsx';
import { text } from '../../text/en.ts';
import { count, safeName, safeText } from '../../text/format.ts';
import { isNumeric, numbersOf, type Statistics, statisticsOf, topOf } from './elements.ts';
import { fromBase64 } from './inputs.ts';
import { TOP_SHOWN, VALUES_SHOWN } from './limits.ts';

type Output = InferAnswer['outputs'][number];

export function OutputView({ output }: { readonly output: Output }): ReactNode {
  const { name, dtype, shape, data } = output;
  const read = useMemo(() => {
    if (typeof data !== 'string') return undefined;
    const tensor: Tensor = { type: dtype, dims: shape, data: fromBase64(data) };
    if (!isNumeric(dtype)) return { tensor };
    const numbers = numbersOf(dtype, tensor.data);
    return { tensor, numbers, statistics: statisticsOf(numbers), top: topOf(numbers, shape, TOP_SHOWN) };
  }, [data, dtype, shape]);
  return (
    <section
      aria-label={safeName(name)}
      className="flex min-w-0 flex-col gap-3 border-line border-b pb-4 last-of-type:border-b-0 last-of-type:pb-0"
    >
      <header className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
        <h3 className="min-w-0 truncate font-mono font-semibold text-sm">
          <bdi>{safeName(name)}</bdi>
        </h3>
        <span className="tabular text-muted text-sm">
          {dtype} [{shape.join(', ')}]
        </span>
        {read !== undefined && isNpyType(dtype) && (
          <span className="ml-auto">
            <Button size="small" icon={<Download />} onClick={() => save(name, read.tensor)}>
              {text.try.download}
            </Button>
          </span>
        )}
      </header>
      {read?.statistics !== undefined ? (
        <>
          <Summary statistics={read.statistics} />
          <Values title={text.try.firstValues}>
            {[...read.numbers.subarray(0, VALUES_SHOWN)].map(shortNumber).join('  ')}
            {read.numbers.length > VALUES_SHOWN ? ' …' : ''}
          </Values>
          {read.top.length > 0 && (
            <Values title={text.try.top}>
              {read.top
                .map(({ index, value }) => `${shortNumber(value)} ${text.try.topAt(index)}`.replaceAll(' ', NO_BREAK))
                .join('   ')}
            </Values>
          )}
        </>
      ) : Array.isArray(data) ? (
        <Values title={text.try.firstValues}>
          {data
            .slice(0, VALUES_SHOWN)
            .map((value) => safeText(JSON.stringify(value)))
            .join('  ')}
        </Values>
      ) : (
        <p className="text-muted text-sm">{text.try.noNumbers}</p>
      )}
    </section>
  );
}

function Summary({ statistics }: { readonly statistics: Statistics }): ReactNode {
  const { min, max, mean, deviation, notNumbers } = statistics;
  const names = text.try.statistics;
  return (
    <dl className="flex flex-wrap gap-x-6 gap-y-1 text-sm">
      {[
        [names.min, shortNumber(min)] as const,
        [names.max, shortNumber(max)] as const,
        [names.mean, shortNumber(mean)] as const,
        [names.deviation, shortNumber(deviation)] as const,
        ...(notNumbers === 0 ? [] : [[names.notNumbers, count(notNumbers)] as const]),
      ].map(([name, value]) => (
        <div key={name}>
          <dt className="text-faint text-xs">{name}</dt>
          <dd className="tabular">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const Values = ({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactNode => (
  <div className="min-w-0">
    <h4 className="kicker">{title}</h4>
    <p className="tabular whitespace-pre-wrap break-words font-mono text-xs leading-5">{children}</p>
  </div>
);

/** A value stays with its place. */
const NO_BREAK = '\u00a0';

/** Such as `0.1234`, `12`, `3.4e-9`. */
const shortNumber = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return text.replace(/^-/, '−');
};

function save(name: string, tensor: Tensor): void {
  const url = URL.createObjectURL(new Blob([writeNpy(tensor)], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name.replace(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 60)}.npy`;
  link.click();
  // The download has taken its own hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
