// Something could not be had: what, why, and what to do.
import { Unplug } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError } from '../data/client.ts';
import { text } from '../text/en.ts';
import { safeText } from '../text/format.ts';
import { Button } from './button.tsx';
import { classes } from './class-names.ts';

/** An error in words for a person. */
export function told(error: unknown): {
  readonly what: string;
  readonly remedy: string;
  readonly requestId?: string | undefined;
} {
  if (error instanceof ApiError) {
    if (error.code === 'unreachable') return { what: text.common.unreachable, remedy: text.common.unreachableRemedy };
    return { what: safeText(error.message), remedy: safeText(error.remedy), requestId: error.requestId };
  }
  return { what: error instanceof Error ? safeText(error.message) : text.common.failedPlain, remedy: '' };
}

export interface FailedProps {
  /** What was to be shown or done. */
  readonly title?: ReactNode;
  readonly error: unknown;
  readonly onRetry?: (() => void) | undefined;
  /** In one line, inside something small. */
  readonly compact?: boolean;
}

export function Failed({ title = text.common.failed, error, onRetry, compact = false }: FailedProps): ReactNode {
  const { what, remedy, requestId } = told(error);
  return (
    <div
      role="alert"
      className={classes(
        'flex gap-3 rounded-lg border border-line border-l-2 border-l-bad bg-panel',
        compact ? 'items-center px-3 py-2' : 'flex-col items-start p-4 sm:flex-row',
      )}
    >
      <Unplug aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      <div className="min-w-0 grow">
        <p className="font-medium text-sm">{title}</p>
        <p className="break-words text-muted text-sm">{what}</p>
        {remedy !== '' && <p className="mt-1 break-words text-sm">{remedy}</p>}
        {requestId !== undefined && !compact && (
          <p className="mt-1 text-faint text-xs">
            {text.common.requestId} <code className="font-mono">{requestId}</code>
          </p>
        )}
      </div>
      {onRetry !== undefined && (
        <Button size="small" onClick={onRetry}>
          {text.common.retry}
        </Button>
      )}
    </div>
  );
}
