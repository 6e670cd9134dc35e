// Second connections of one key, as the doctor's dials make them: they come and go, and the first one stays.
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import type { Libp2pMesh } from '../../../node/mesh/mesh.ts';
import { reachPeer } from '../../../node/mesh/reach.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { connected, never, startPair, stateOf, stopAll, type TestNode } from './support.ts';

/** A hundred handshakes of one machine in a row are no attack here. */
const LIMITS = { ...MESH_LIMITS, connections: { ...MESH_LIMITS.connections, inboundConnectionThreshold: 10_000 } };
const ROUNDS = 20;

afterEach(stopAll);

/** Streams until it is cancelled. */
const streams = (mesh: Libp2pMesh): void =>
  mesh.handle(PEER_METHODS.generate, async (_request, { signal, item }) => {
    item({ firstIndex: 0, ids: [0] });
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    throw signal.reason;
  });

const REQUEST = {
  model: { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` },
  ids: Int32Array.of(1),
  promptLength: 1,
  maxNewTokens: 1_000,
  stopIds: [],
  sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
};

const probe = (from: TestNode, to: TestNode): Promise<unknown> =>
  from.mesh.call(
    to.key.node,
    PEER_METHODS.probe,
    { incarnation: 0n, sequence: 0n, membersDigest: new Uint8Array() },
    { signal: never, requestId: '' },
  );

const reach = ({ key }: TestNode, { key: { node }, mesh }: TestNode, signal = never) =>
  reachPeer({ clock: systemClock }, { key, node, address: mesh.addresses()[0] ?? '', signal });

describe('second connections of a connected member', () => {
  it('come and go many times, and no call over the first fails', async () => {
    const { a, b } = await startPair(
      { init: { limits: LIMITS }, prepare: streams },
      { init: { limits: LIMITS }, prepare: streams },
    );
    const states: string[] = [];
    a.mesh.onPeers(() => states.push(stateOf(a, b)));
    b.mesh.onPeers(() => states.push(stateOf(b, a)));
    const controller = new AbortController();
    const began: Promise<void>[] = [];
    const ended = [a, b].map((from) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      began.push(promise);
      const options = { signal: controller.signal, requestId: 'req_1', onItem: () => resolve() };
      const peer = from === a ? b : a;
      return from.mesh.call(peer.key.node, PEER_METHODS.generate, REQUEST, options).catch((error) => error.code);
    });
    await Promise.all(began);
    for (let round = 0; round < ROUNDS; round += 1) {
      // Both ways at once, some cut off in the midst, and calls meanwhile.
      const cut = AbortSignal.timeout(round % 7 === 0 ? 5 + round : 60_000);
      const dials = [reach(b, a, cut), reach(a, b), reach(b, a)].map((dial) => dial.catch((error) => error.code));
      const calls = [probe(a, b), probe(b, a)];
      expect(await Promise.all(dials)).toEqual([
        expect.stringMatching(/^(answers|cancelled|deadline_exceeded)$/),
        'answers',
        'answers',
      ]);
      await Promise.all([...calls, probe(a, b), probe(b, a)]);
    }
    expect(new Set(states)).toEqual(new Set(states.length === 0 ? [] : ['connected']));
    controller.abort();
    expect(await Promise.all(ended)).toEqual(['cancelled', 'cancelled']);
  });

  it('do not keep the first one from coming back', async () => {
    const { a, b } = await startPair({ init: { limits: LIMITS } }, { init: { limits: LIMITS } });
    for (let round = 0; round < ROUNDS; round += 1) {
      // One of them is cut off in the midst: its connection may be gone when the other side hears of it.
      const dials = [reach(b, a), reach(b, a, AbortSignal.timeout(1 + (round % 30)))].map((dial) =>
        dial.catch(() => undefined),
      );
      await b.mesh.stop();
      await b.mesh.start();
      await Promise.all([...dials, connected(a, b)]);
      await Promise.all([probe(a, b), probe(b, a)]);
    }
  });
});
