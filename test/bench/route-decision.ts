// How long one decision takes among a thousand nodes that differ in speed, link, load and state, of which one has spoken
// since the decision before. Called by the bench `route`.
import type { PeerRecord } from '../../node/core/mesh.ts';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import type { Snapshot } from '../../node/scheduler/snapshot.ts';
import { MINILM, offer, peer, request, snapshot } from '../node/scheduler/builders.ts';
import { Draws } from '../sim/draws.ts';

const WARM = 2_000;

/** Microseconds of each of `count` decisions among so many peers. */
export function decisionTimes(policy: RoutingPolicy, peers: number, count: number): readonly number[] {
  return timesOf(peers, count, (known, draws) => {
    const asked = request({ model: MINILM, inputTokens: 64, outputTokens: 0, answerRows: 1, excluded: NOBODY });
    policy.choose(asked, known, () => draws.next());
  });
}

/** The same of nothing but looking at each record once, at what a price depends on: what no decision can do without. */
export function readTimes(peers: number, count: number): readonly number[] {
  let sum = 0;
  const times = timesOf(peers, count, ({ peers: records }) => {
    for (let at = 0; at < records.length; at++) {
      const { advert, state, load, link, callsInFlight, heardAgoMs } = records[at] as PeerRecord;
      sum += load.requestsInFlight + load.queuedMs + callsInFlight + heardAgoMs;
      sum += (link.rttMs ?? 0) + (link.goodputBytesPerSecond ?? 0) + advert.sequence + state.length;
    }
  });
  // What is never looked at would not be computed.
  if (!Number.isFinite(sum)) throw new Error('The records hold no numbers.');
  return times;
}

const NOBODY: ReadonlyMap<string, string> = new Map();

function timesOf(peers: number, count: number, work: (known: Snapshot, draws: Draws) => void): readonly number[] {
  const draws = new Draws(1, 'decision');
  let records = Array.from({ length: peers }, (_, index) => recordOf(index, draws));
  const times: number[] = [];
  for (let run = 0; run < WARM + count; run++) {
    // As the mesh hands them out: a new array after every change, the other records as they were.
    const index = draws.between(0, peers - 1);
    records = records.with(index, { ...(records[index] as PeerRecord), ...loadOf(draws) });
    const known = snapshot({ peers: records });
    const begunMs = performance.now();
    work(known, draws);
    if (run >= WARM) times.push((performance.now() - begunMs) * 1_000);
  }
  return times;
}

function recordOf(index: number, draws: Draws): PeerRecord {
  const speed = draws.pick([0.25, 1, 1, 8]);
  const rttMs = draws.within(1, 60);
  const profile = { fixedMs: 12 / speed, perTokenMs: 0.1 / speed, decodeMs: 0, loadMs: 400 / speed, samples: 20 };
  // Most nodes of a mesh offer several models; one of ten has to load this one first.
  const others = ['c', 'd', 'e'].map((letter) =>
    offer({ model: { id: letter, digest: `sha256:${letter.repeat(64)}` } }),
  );
  const state = draws.chance(0.1) ? 'disk' : 'loaded';
  const wanted = offer({ model: MINILM, task: 'feature-extraction', dimensions: 384, sizeBytes: 23e6, state, profile });
  return peer(`node-${index}`, {
    offers: [...others, wanted],
    link: { rttMs, rttFloorMs: rttMs * 0.9, goodputBytesPerSecond: draws.pick([12.5e6, 125e6]), path: 'direct' },
    ...loadOf(draws),
  });
}

function loadOf(draws: Draws): Pick<PeerRecord, 'load' | 'callsInFlight' | 'heardAgoMs'> {
  const requestsInFlight = draws.between(0, 6);
  const queuedMs = requestsInFlight * draws.within(5, 15);
  return {
    load: { requestsInFlight, queuedMs, latencyMs: draws.within(10, 40), memoryFreeBytes: 1e9 },
    callsInFlight: draws.between(0, 4),
    heardAgoMs: draws.within(0, 500),
  };
}
