// The frame of pages that stand alone, before one is in: the mark, a threshold, and the page.
import { type ReactNode, useEffect } from 'react';
import { text } from '../text/en.ts';
import { Logo } from './logo.tsx';

export interface AlonePageProps {
  /** Of the window, too. */
  readonly title: string;
  readonly children: ReactNode;
  /** Above the title, in small print. */
  readonly above?: ReactNode;
  /** At the lower edge. */
  readonly footer?: ReactNode;
}

export function AlonePage({ title, children, above, footer }: AlonePageProps): ReactNode {
  useEffect(() => {
    document.title = `${title} · ${text.app.name}`;
  }, [title]);
  return (
    <div className="flex min-h-full flex-col sm:flex-row">
      <div
        aria-hidden
        className="relative h-16 shrink-0 overflow-hidden border-line bg-sunken max-sm:border-b sm:h-auto sm:w-[30%] sm:max-w-96 sm:border-r"
      >
        <Weave />
      </div>
      <main className="flex min-w-0 grow flex-col px-5 py-8 sm:px-12 sm:py-[12vh]">
        <div className="w-full max-w-lg">
          <div className="mb-6 flex items-center gap-2.5">
            <Logo className="size-7" />
            <span className="font-semibold tracking-tight">{text.app.name}</span>
          </div>
          {above !== undefined && <div className="mb-1 text-faint text-xs">{above}</div>}
          <h1 data-page-title tabIndex={-1} className="mb-2 font-semibold text-xl tracking-tight outline-none">
            {title}
          </h1>
          {children}
          {footer !== undefined && <div className="mt-8">{footer}</div>}
        </div>
      </main>
    </div>
  );
}

/** Warp threads from top to bottom; one weft thread on its way through them. */
function Weave(): ReactNode {
  const warp = Array.from({ length: 16 }, (_, at) => 12 + at * 24);
  return (
    <svg aria-hidden width="100%" height="100%" className="absolute inset-0">
      <defs>
        <pattern id="warp" width="24" height="24" patternUnits="userSpaceOnUse">
          <path d="M12 0v24" className="stroke-line" strokeWidth="1.5" />
        </pattern>
      </defs>
      <rect width="100%" height="100%" fill="url(#warp)" />
      {[0.31, 0.5, 0.69].map((y, row) => (
        <g key={y} transform={`translate(0 ${row === 0 ? -14 : row === 1 ? 0 : 14})`}>
          {warp.map((x, at) => (
            <line
              key={x}
              x1={x - 12 + ((at + row) % 2 === 0 ? 0 : 4)}
              x2={x + 12 - ((at + row) % 2 === 0 ? 0 : 4)}
              y1="50%"
              y2="50%"
              strokeWidth="3"
              className={(at + row) % 2 === 0 ? 'stroke-accent' : 'stroke-transparent'}
            />
          ))}
        </g>
      ))}
    </svg>
  );
}
