// The list of requests: what each was, in words, and which of them a filter leaves. Pure.
import type { RequestsAnswer } from '../../../../protocol/api/control.ts';
import { text } from '../../text/en.ts';
import { count } from '../../text/format.ts';

export type RequestRow = RequestsAnswer['requests'][number];

export interface RequestFilter {
  /** Hub id; '' = all. */
  readonly model: string;
  /** Node id of one that computed it; '' = all. */
  readonly node: string;
  readonly state: 'all' | 'running' | 'failed';
  /** Only those that took clearly longer than predicted. */
  readonly slow: boolean;
}

export const NO_FILTER: RequestFilter = { model: '', node: '', state: 'all', slow: false };

/** Beside the share, so that a request of 3 ms that took 6 ms is none. */
const SLOW_MS_MIN = 100;
const SLOW_RATIO = 1.5;

/** Running ones too, once they are over their time: `nowMs` tells how long they have run. */
export function isSlow(row: RequestRow, nowMs: number): boolean {
  const took = tookMs(row, nowMs);
  const { predictedMs } = row;
  return predictedMs !== undefined && took > predictedMs * SLOW_RATIO && took > predictedMs + SLOW_MS_MIN;
}

/** Until now, of one that runs. */
export const tookMs = ({ status, startedAtMs, durationMs }: RequestRow, nowMs: number): number =>
  status === 'running' ? Math.max(durationMs, nowMs - startedAtMs) : durationMs;

export function filtered(rows: readonly RequestRow[], filter: RequestFilter, nowMs: number): readonly RequestRow[] {
  const { model, node, state, slow } = filter;
  return rows.filter(
    (row) =>
      (model === '' || row.model === model) &&
      (node === '' || row.nodes.includes(node)) &&
      (state === 'all' || (state === 'running' ? row.status === 'running' : row.status === 'error')) &&
      (!slow || isSlow(row, nowMs)),
  );
}

/** What the rows can be filtered by, in the order of their names. */
export function choices(rows: readonly RequestRow[]): {
  readonly models: readonly string[];
  readonly nodes: readonly string[];
} {
  const models = new Set(rows.flatMap(({ model }) => model ?? []));
  const nodes = new Set(rows.flatMap(({ nodes: all }) => all));
  return { models: [...models].toSorted(), nodes: [...nodes].toSorted() };
}

/** `POST /v1/chat/completions` → `Chat`; what is not known stays as it is, without its method. */
export function kindOf(name: string): string {
  const path = name.replace(/^[A-Z]+ /, '');
  return text.requests.kinds[path] ?? path.slice(path.lastIndexOf('/') + 1);
}

/** `31 → 8`, or what is known of it. */
export function tokensOf({ promptTokens, completionTokens }: RequestRow): string {
  if (promptTokens === undefined && completionTokens === undefined) return '';
  if (completionTokens === undefined || completionTokens === 0) return count(promptTokens ?? 0);
  return text.requests.tokensOf(count(promptTokens ?? 0), count(completionTokens));
}

/** Widths of measured and predicted time in one small bar, 0 to 1 each of the longer of the two. */
export function barOf(took: number, predictedMs: number | undefined): { took: number; predicted: number | undefined } {
  const most = Math.max(took, predictedMs ?? 0, 1e-9);
  return { took: took / most, predicted: predictedMs === undefined ? undefined : predictedMs / most };
}
