// How long one decision takes among a thousand nodes that differ in speed, link, load and state, of which one has spoken
// since the decision before. Called by the bench `route`.
import type { PeerRecord } from '../../node/core/mesh.ts';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import { MINILM, offer, peer, request, snapshot } from '../node/scheduler/builders.ts';
import { Draws } from '../sim/draws.ts';

const WARM = 2_000;

/** Microseconds of each of `count` decisions among so many peers. */
export function decisionTimes(policy: RoutingPolicy, peers: number, count: number): readonly number[] {
  const draws = new Draws(1, 'decision');
  const excluded = new Map<string, string>();
  let records = Array.from({ length: peers }, (_, index) => recordOf(index, draws));
  const times: number[] = [];
  for (let run = 0; run < WARM + count; run++) {
    // As the mesh hands them out: a new array after every change, the other records as they were.
    const index = draws.between(0, peers - 1);
    records = records.with(index, { ...(records[index] as PeerRecord), ...loadOf(draws) });
    const asked = request({ model: MINILM, inputTokens: 64, outputTokens: 0, answerRows: 1, excluded });
    const known = snapshot({ peers: records });
    const begunMs = performance.now();
    policy.choose(asked, known, () => draws.next());
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
