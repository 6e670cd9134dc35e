// Which requests are shown as those of this moment. Pure.
import type { RequestsAnswer } from '../../../../protocol/api/control.ts';
import type { LiveRequest } from '../../data/live.ts';

/** Those under way first, then the last that ended; what came as events goes before what was read. */
export function lastRequests(
  live: ReadonlyMap<string, LiveRequest>,
  read: RequestsAnswer['requests'],
  count: number,
): readonly LiveRequest[] {
  const newest = [...live.values()].reverse();
  const running = newest.filter(({ status }) => status === 'running');
  const ended = newest.filter(({ status }) => status !== 'running');
  const older = read.filter(({ requestId }) => !live.has(requestId));
  return [...running, ...ended, ...older].slice(0, count);
}
