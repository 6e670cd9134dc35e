// How a model of this node stands: on disk, on its way into memory with phase and fraction, loaded, or set aside with the reason.
import { Pin } from 'lucide-react';
import type { ReactNode } from 'react';
import { StateDot, type Tone } from '../../components/badge.tsx';
import { Tooltip } from '../../components/tooltip.tsx';
import { text } from '../../text/en.ts';
import { percent, safeText } from '../../text/format.ts';
import type { HereRow } from './model-rows.ts';
import { Progress } from './progress.tsx';

const TONES: Readonly<Record<HereRow['state'], Tone>> = {
  disk: 'neutral',
  partial: 'neutral',
  loading: 'accent',
  loaded: 'good',
  quarantined: 'bad',
};

export function ModelState({ row }: { readonly row: HereRow }): ReactNode {
  const { state, loading, pinned, reason } = row;
  const phase = loading === undefined ? undefined : (text.models.phases[loading.phase] ?? loading.phase);
  const { fraction } = loading ?? {};
  return (
    <div className="min-w-0">
      <div className="flex items-center gap-2">
        <StateDot tone={TONES[state]}>
          {state === 'loading' && phase !== undefined ? phase : text.models.states[state]}
        </StateDot>
        {state === 'loading' && fraction !== undefined && (
          <span className="tabular text-muted text-xs">{percent(fraction)}</span>
        )}
        {pinned && (
          <Tooltip text={text.models.pinned}>
            <span className="inline-flex text-muted">
              <Pin aria-label={text.models.pinned} className="size-3.5" />
            </span>
          </Tooltip>
        )}
      </div>
      {state === 'loading' && (
        <Progress label={text.models.transfers.progress(row.id)} fraction={fraction} className="mt-1 w-28" />
      )}
      {state === 'quarantined' && reason !== undefined && (
        <p className="max-w-64 truncate text-bad text-xs" title={safeText(reason)}>
          {safeText(reason)}
        </p>
      )}
    </div>
  );
}
