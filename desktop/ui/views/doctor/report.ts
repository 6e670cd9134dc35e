// What a doctor's report says, by layer, and as text to be passed on. Pure.
import type { DoctorAnswer } from '../../../../protocol/api/control.ts';
import { doctor as text } from '../../text/en/doctor.ts';
import { safeText } from '../../text/format.ts';

export type Check = DoctorAnswer['checks'][number];
export type CheckStatus = Check['status'];

export interface Layer {
  readonly id: string;
  readonly title: string;
  readonly checks: readonly Check[];
  /** The gravest of its checks. */
  readonly status: CheckStatus;
}

const GRAVITY: readonly CheckStatus[] = ['skipped', 'ok', 'warning', 'failed'];

/** In the order of the report: each layer stands on those before it. */
export function layersOf({ checks }: DoctorAnswer): readonly Layer[] {
  const layers = new Map<string, Check[]>();
  for (const check of checks) {
    const before = layers.get(check.layer);
    if (before === undefined) layers.set(check.layer, [check]);
    else before.push(check);
  }
  return [...layers].map(([id, own]) => ({
    id,
    title: text.layers[id] ?? id,
    checks: own,
    status: own.reduce<CheckStatus>(
      (gravest, { status }) => (GRAVITY.indexOf(status) > GRAVITY.indexOf(gravest) ? status : gravest),
      'skipped',
    ),
  }));
}

export const needsDoing = ({ status }: Pick<Check, 'status'>): boolean => status === 'warning' || status === 'failed';

export const countOf = ({ checks }: DoctorAnswer, status: CheckStatus): number =>
  checks.filter((check) => check.status === status).length;

export const countsOf = (report: DoctorAnswer): string =>
  text.counts(countOf(report, 'ok'), countOf(report, 'warning'), countOf(report, 'failed'), countOf(report, 'skipped'));

/** In one sentence. */
export function summaryOf(report: DoctorAnswer): string {
  const failed = countOf(report, 'failed');
  const warnings = countOf(report, 'warning');
  if (failed > 0) return text.summary.failed(failed);
  return warnings > 0 ? text.summary.warning(warnings) : text.summary.ok;
}

const MARKS: Readonly<Record<CheckStatus, string>> = { ok: 'ok', warning: 'WARNING', failed: 'FAILED', skipped: '-' };

/** A line for each check, for a letter to somebody who helps. */
export function reportText(
  report: DoctorAnswer,
  { name, version, atMs }: { readonly name: string; readonly version: string; readonly atMs: number },
): string {
  const lines = [text.report(name, version, new Date(atMs).toISOString()), ''];
  for (const { layer, name: what, status, detail, remedy } of report.checks) {
    lines.push(`${layer.padEnd(11)} ${MARKS[status].padEnd(8)} ${what}: ${detail}`);
    if (remedy !== undefined && needsDoing({ status })) lines.push(`${' '.repeat(21)}-> ${remedy}`);
  }
  lines.push('', countsOf(report));
  return lines.map((line) => safeText(line.replaceAll('\n', ' '))).join('\n');
}
