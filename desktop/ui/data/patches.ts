// Answers that events change without another reading: the lists of requests and transfers, and the moving figures of the node and its
// peers. Pure: an answer and events go in, the next answer comes out, the same object where nothing has changed.
import type { PeersAnswer, RequestsAnswer, StatusAnswer, TransfersAnswer } from '../../../protocol/api/control.ts';
import type { EventOf, NodeEvent } from './contract.ts';
import { REQUESTS_LISTED_MAX } from './limits.ts';

const ofType = <Type extends NodeEvent['type']>(events: readonly NodeEvent[], type: Type): EventOf<Type>[] =>
  events.filter((event): event is EventOf<Type> => event.type === type);

type RequestRow = RequestsAnswer['requests'][number];

/** New requests come first; those that are known move on. */
export function patchRequests(answer: RequestsAnswer, events: readonly NodeEvent[]): RequestsAnswer {
  const changes = ofType(events, 'request').filter(({ data }) => data.phase !== 'progress');
  if (changes.length === 0) return answer;
  const rows = new Map(answer.requests.map((row) => [row.requestId, row]));
  const begun: string[] = [];
  for (const { data, atMs } of changes) {
    const before = rows.get(data.requestId);
    if (before === undefined) begun.push(data.requestId);
    const row: RequestRow = before ?? {
      requestId: data.requestId,
      traceId: data.traceId ?? '',
      name: data.name,
      startedAtMs: atMs - (data.durationMs ?? 0),
      durationMs: 0,
      status: 'running',
      nodes: [],
      failures: 0,
    };
    const { phase: _phase, done: _done, total: _total, doneByNode: _byNode, status, ...told } = data;
    const known = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
    rows.set(data.requestId, { ...row, ...known, ...(data.phase === 'ended' ? { status: status ?? 'ok' } : {}) });
  }
  const fresh = begun.reverse().flatMap((id) => rows.get(id) ?? []);
  const older = answer.requests.flatMap(({ requestId }) => rows.get(requestId) ?? []);
  return { requests: [...fresh, ...older].slice(0, REQUESTS_LISTED_MAX) };
}

/** New transfers come first. */
export function patchTransfers(answer: TransfersAnswer, events: readonly NodeEvent[]): TransfersAnswer {
  const latest = new Map(ofType(events, 'transfer').map(({ data }) => [data.id, data]));
  if (latest.size === 0) return answer;
  const known = new Set(answer.transfers.map(({ id }) => id));
  const fresh = [...latest.values()].filter(({ id }) => !known.has(id)).reverse();
  return { transfers: [...fresh, ...answer.transfers.map((transfer) => latest.get(transfer.id) ?? transfer)] };
}

/** Load and requests in flight, from the last pulse. */
export function patchStatus(answer: StatusAnswer, events: readonly NodeEvent[]): StatusAnswer {
  const pulse = ofType(events, 'pulse').at(-1)?.data.self;
  if (pulse === undefined) return answer;
  const { requestsInFlight, queuedMs, memoryFreeBytes } = pulse;
  return { ...answer, requestsInFlight, load: { ...answer.load, requestsInFlight, queuedMs, memoryFreeBytes } };
}

/** Links and loads, from the last pulse. */
export function patchPeers(answer: PeersAnswer, events: readonly NodeEvent[]): PeersAnswer {
  const pulse = ofType(events, 'pulse').at(-1)?.data;
  if (pulse === undefined || pulse.peers.length === 0) return answer;
  const told = new Map(pulse.peers.map((peer) => [peer.node, peer]));
  return {
    peers: answer.peers.map((peer) => {
      const now = told.get(peer.node);
      if (now === undefined) return peer;
      const { rttMs, goodputBytesPerSecond, load } = now;
      return {
        ...peer,
        link: {
          ...peer.link,
          ...(rttMs === undefined ? {} : { rttMs }),
          ...(goodputBytesPerSecond === undefined ? {} : { goodputBytesPerSecond }),
        },
        ...(load === undefined ? {} : { load }),
      };
    }),
  };
}
