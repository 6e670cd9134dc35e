// A pull, an import or a check of files as the pages tell it: how far, how fast, from whom. Pure.
import type { TransferState } from '../../../../protocol/api/control.ts';
import { text } from '../../text/en.ts';
import { bytes, duration, plural, rate } from '../../text/format.ts';

export type TransferSource = TransferState['sources'][number];

/** False for one that has ended, well or not. */
export const isRunning = ({ phase }: Pick<TransferState, 'phase'>): boolean =>
  phase !== 'done' && phase !== 'failed' && phase !== 'cancelled';

/** 0 to 1; 1 only when all of it is there. Undefined while its size is not known, and once it has failed. */
export function fractionOf({ doneBytes, totalBytes, phase }: TransferState): number | undefined {
  if (phase === 'done') return 1;
  if (phase === 'failed' || phase === 'cancelled' || !(totalBytes > 0)) return undefined;
  return Math.min(doneBytes >= totalBytes ? 1 : 0.99, Math.max(0, doneBytes / totalBytes));
}

/** Such as `Fetching from 2 peers and 1 hub`. */
export function phaseWords(transfer: TransferState): string {
  const { phase, kind, sources } = transfer;
  const { phases, checkDone, from } = text.models.transfers;
  if (phase === 'done' && kind === 'repair') return checkDone;
  if (phase !== 'fetching') return phases[phase] ?? phase;
  const working = sources.filter(isWorking);
  const counted = (['peer', 'hub'] as const).flatMap((of) => {
    const count = working.filter((source) => source.kind === of).length;
    return count === 0 ? [] : [plural(count, text.models.transfers[of])];
  });
  return counted.length === 0 ? phases.fetching : `${phases.fetching} ${from(counted.join(' and '))}`;
}

/** Such as `12 MB of 25.6 MB`, `8.1 MB/s`, `3 s left`; only what is known. */
export function measures(transfer: TransferState): string[] {
  const { doneBytes, totalBytes, hereBytes, bytesPerSecond, etaSeconds, phase } = transfer;
  const { of, left, hereBefore } = text.models.transfers;
  if (!(totalBytes > 0)) return [];
  const moves = phase === 'fetching' || phase === 'checking';
  return [
    isRunning(transfer) ? of(bytes(Math.min(doneBytes, totalBytes)), bytes(totalBytes)) : bytes(totalBytes),
    ...(moves && bytesPerSecond > 0 ? [rate(bytesPerSecond)] : []),
    ...(moves && etaSeconds !== undefined ? [left(duration(Math.max(1, Math.round(etaSeconds)) * 1_000))] : []),
    ...(hereBytes > 0 && hereBytes < totalBytes ? [hereBefore(bytes(hereBytes))] : []),
  ];
}

/** Those that give most first; those that gave up last. */
export function orderedSources(sources: readonly TransferSource[]): readonly TransferSource[] {
  return sources.toSorted((a, b) => Number(isWorking(b)) - Number(isWorking(a)) || b.bytes - a.bytes);
}

export const isWorking = ({ state }: TransferSource): boolean => state === 'active' || state === 'idle';
