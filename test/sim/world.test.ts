import { describe, expect, it } from 'vitest';
import { WeftError } from '../../protocol/errors.ts';
import { Draws } from './draws.ts';
import { CHAT, EMBED, MODELS, PAGE, type SmallWorld, smallWorld, spec } from './small-world.ts';
import { World } from './world.ts';

/** The code that a call fails with, and when. */
async function failure(world: World, call: Promise<unknown>): Promise<{ code: string; atMs: number }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof WeftError) return { code: error.code, atMs: world.clock.now() };
    throw error;
  }
  throw new Error('It was answered.');
}

/** When the entry was told so of the node, first. */
const whenSeen = ({ seen }: SmallWorld, kind: string, node: string, afterMs = 0): number | undefined =>
  seen.find((event) => event.kind === kind && event.node === node && event.atMs > afterMs)?.atMs;

/** The record that the entry has of a node. */
const record = ({ world }: SmallWorld, node: string) => world.entry('entry').mesh.peer(node);

describe('a call', () => {
  it('takes its bytes, half a round trip each way, and the work', async () => {
    const { world, call } = smallWorld([spec('a')]);
    const answer = call('a', EMBED, 20);
    await world.clock.run(1_000);
    // 1 ms for 1,000 bytes, 5 there, 20 of work, the same back.
    expect(await answer).toEqual({ atMs: 32, queueMs: 0, loadMs: 0, computeMs: 20, prefillMs: 0 });
  });

  it('waits for the line and for a slot', async () => {
    const { world, call } = smallWorld([spec('a')]);
    const answers = [1, 2].map(() => call('a', EMBED, 20));
    await world.clock.run(1_000);
    expect((await Promise.all(answers)).map(({ atMs, queueMs }) => [atMs, queueMs])).toEqual([
      [32, 0],
      [52, 19],
    ]);
  });

  it('is acknowledged on receipt, and brings fresh load with it', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    let acknowledgedMs = 0;
    const onAck = (): void => {
      acknowledgedMs = world.clock.now();
    };
    void call('a', EMBED, 100, { onAck });
    expect(record(small, 'a')?.callsInFlight).toBe(1);
    await world.clock.run(10.5);
    expect(record(small, 'a')?.load.requestsInFlight).toBe(0);
    await world.clock.run(11);
    expect(acknowledgedMs).toBe(11);
    expect(record(small, 'a')).toMatchObject({ load: { requestsInFlight: 1 }, heardAgoMs: 0 });
    await world.clock.run(200);
    expect(record(small, 'a')).toMatchObject({ load: { requestsInFlight: 0 }, callsInFlight: 0 });
  });

  it('is declined before any work, with the quote', async () => {
    const { world, call, seen } = smallWorld([spec('a')]);
    void call('a', EMBED, 100);
    const declined = call('a', EMBED, 10, { withinMs: 12 }).catch((error: unknown) => error);
    await world.clock.run(1_000);
    expect(await declined).toMatchObject({ code: 'declined', facts: { quotedMs: '19' } });
    expect(seen.filter(({ kind }) => kind === 'begun')).toHaveLength(1);
  });

  it('fails for its caller at once when that gives it up, and stops at the node soon', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    const abort = new AbortController();
    const given = failure(world, call('a', EMBED, 1_000, { signal: abort.signal }));
    world.clock.after(100, () => abort.abort());
    await world.clock.run(5_000);
    expect(await given).toEqual({ code: 'cancelled', atMs: 100 });
    // Half a round trip, and the step that it is in.
    expect(whenSeen(small, 'stopped', 'a')).toBe(125);
    expect(whenSeen(small, 'done', 'a')).toBeUndefined();
  });

  it('is not begun where it was given up on its way', async () => {
    const small = smallWorld([spec('a', { mbit: 0.08 })]);
    const abort = new AbortController();
    const given = failure(small.world, small.call('a', EMBED, 10, { signal: abort.signal }));
    small.world.clock.after(50, () => abort.abort());
    await small.world.clock.run(5_000);
    expect(await given).toMatchObject({ code: 'cancelled' });
    expect(whenSeen(small, 'taken', 'a')).toBeUndefined();
  });

  it('is refused at the bound of calls to one peer', async () => {
    const { world, call } = smallWorld([spec('a')]);
    const calls = Array.from({ length: 65 }, () =>
      call('a', EMBED, 1)
        .then(() => 'answered')
        .catch((error) => error.code),
    );
    await world.clock.run(1_000);
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(64);
    expect(outcomes.at(-1)).toBe('quota_exceeded');
  });
});

describe('what an entry knows', () => {
  it('is everything at the start, and news after half a round trip and a moment', async () => {
    const small = smallWorld([spec('a', { loaded: ['embed'], disk: ['page'] })]);
    const { world, call } = small;
    const known = record(small, 'a');
    expect(known).toMatchObject({ state: 'connected', link: { rttMs: 10, rttFloorMs: 10, path: 'direct' } });
    expect(known?.link.goodputBytesPerSecond).toBeCloseTo(1e6);
    void call('a', PAGE, 10);
    await world.clock.run(60);
    expect(record(small, 'a')?.advert.offers[1]?.state).toBe('disk');
    const peers = world.entry('entry').mesh.peers();
    await world.clock.run(62);
    expect(record(small, 'a')?.advert.offers[1]?.state).toBe('loading');
    expect(world.entry('entry').mesh.peers()).not.toBe(peers);
  });

  it('hears of load twice a second', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    world.addEntry(spec('other', { mbit: 1_000 }));
    for (let count = 0; count < 3; count++) void call('a', EMBED, 2_000, { entry: 'other' });
    await world.clock.run(600);
    expect(record(small, 'a')?.load.requestsInFlight).toBe(3);
  });

  it('learns of a node that joins, which then works', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    world.clock.after(1_000, () => world.addNode(spec('b')));
    await world.clock.run(1_054);
    expect(record(small, 'b')).toBeUndefined();
    await world.clock.run(1_055);
    expect(record(small, 'b')?.state).toBe('connected');
    const answer = call('b', EMBED, 10);
    await world.clock.run(2_000);
    expect((await answer).atMs).toBe(1_077);
  });

  it('follows a link that gets longer', async () => {
    const small = smallWorld([spec('a')]);
    small.world.link('a', { rttMs: 100 });
    await small.world.clock.run(10_000);
    expect(record(small, 'a')?.link.rttMs).toBeGreaterThan(80);
  });
});

describe('faults', () => {
  it('kill: a call that was not acknowledged fails in time, the others with the heartbeat', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    await world.clock.run(5_000);
    const acknowledged = failure(world, call('a', EMBED, 60_000));
    await world.clock.run(5_100);
    world.kill('a');
    const late = failure(world, call('a', EMBED, 10));
    await world.clock.run(5_100 + 2_750);
    expect(await acknowledged).toMatchObject({ code: 'peer_timeout' });
    const goneMs = whenSeen(small, 'gone', 'a') ?? 0;
    expect((await acknowledged).atMs).toBe(goneMs);
    expect(goneMs).toBeGreaterThanOrEqual(5_100 + 2_000 - 250);
    expect(whenSeen(small, 'suspect', 'a')).toBeLessThan(goneMs - 900);
    // 2,000 ms and four round trips after its byte had left; one of them was measured with a byte on the line.
    expect(await late).toMatchObject({ code: 'peer_timeout' });
    expect((await late).atMs).toBeGreaterThan(5_101 + 2_000 + 40);
    expect((await late).atMs).toBeLessThan(5_101 + 2_000 + 44);
    expect(record(small, 'a')?.state).toBe('gone');
    const unreachable = failure(world, call('a', EMBED, 10));
    await world.clock.run(60_000);
    expect(await unreachable).toMatchObject({ code: 'peer_unreachable' });
    expect(record(small, 'a')?.state).toBe('gone');
  });

  it('reset: everything fails after half a round trip', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    const waiting = failure(world, call('a', EMBED, 1_000));
    world.clock.after(100, () => world.reset('a'));
    await world.clock.run(200);
    expect(await waiting).toEqual({ code: 'peer_lost', atMs: 105 });
    expect(record(small, 'a')?.state).toBe('gone');
  });

  it('rise: it is back under a new incarnation, and a ghost of the old one changes nothing', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    const before = record(small, 'a')?.advert.incarnation ?? 0;
    world.clock.after(100, () => world.restart('a', 3_000));
    await world.clock.run(3_100 + 700);
    expect(record(small, 'a')?.state).toBe('connected');
    const after = record(small, 'a')?.advert;
    expect(after?.incarnation).toBeGreaterThan(before);
    expect(after?.offers[0]?.state).toBe('disk');
    world.ghost('a');
    expect(record(small, 'a')?.advert).toBe(after);
    const answer = call('a', EMBED, 10);
    await world.clock.run(10_000);
    expect((await answer).loadMs).toBe(400);
  });

  it('kill and rise before anybody has noticed: the new process ends the old connection', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    const lost = failure(world, call('a', EMBED, 60_000));
    world.clock.after(1_000, () => {
      world.kill('a');
      world.rise('a');
    });
    await world.clock.run(3_000);
    expect(await lost).toMatchObject({ code: 'peer_lost' });
    expect((await lost).atMs).toBeLessThan(1_520);
    expect(record(small, 'a')?.state).toBe('connected');
  });

  it('stop and cont in time: nothing is lost', async () => {
    const { world, call, seen } = smallWorld([spec('a')]);
    await world.clock.run(1_000);
    const running = call('a', EMBED, 500);
    await world.clock.run(1_100);
    world.stop('a');
    const sent = call('a', EMBED, 10);
    await world.clock.run(2_000);
    world.cont('a');
    await world.clock.run(5_000);
    expect((await running).atMs).toBe(1_000 + 6 + 500 + 900 + 6);
    expect((await sent).queueMs).toBeCloseTo(406);
    expect(seen.some(({ kind }) => kind === 'gone')).toBe(false);
  });

  it('stop for long: it is given up, and does nothing for nobody when it goes on', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    await world.clock.run(1_000);
    const running = failure(world, call('a', EMBED, 500));
    await world.clock.run(1_100);
    world.stop('a');
    const sent = failure(world, call('a', EMBED, 10));
    await world.clock.run(6_000);
    expect(await running).toMatchObject({ code: 'peer_timeout' });
    expect(await sent).toMatchObject({ code: 'peer_timeout' });
    expect(whenSeen(small, 'gone', 'a')).toBeLessThanOrEqual(1_100 + 2_750);
    world.cont('a');
    await world.clock.run(6_600);
    expect(record(small, 'a')?.state).toBe('connected');
    expect(whenSeen(small, 'done', 'a')).toBeUndefined();
    expect(small.seen.filter(({ kind }) => kind === 'taken')).toHaveLength(1);
    expect(world.node('a').load().requestsInFlight).toBe(0);
  });

  it('silence: it is noticed as a stop is, by the entries that it cuts off', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    world.addEntry(spec('other', { mbit: 1_000 }));
    await world.clock.run(1_000);
    const silenced = failure(world, call('a', EMBED, 3_000));
    const spoken = call('a', EMBED, 10, { entry: 'other' });
    await world.clock.run(1_100);
    world.silence('a', 'entry');
    await world.clock.run(3_850);
    expect(await silenced).toMatchObject({ code: 'peer_timeout' });
    expect(record(small, 'a')?.state).toBe('gone');
    expect(world.entry('other').mesh.peer('a')?.state).toBe('connected');
    // The node has given up its side too: the other one's work begins now.
    await world.clock.run(4_500);
    expect((await spoken).atMs).toBeLessThan(4_000);
    world.heal('a', 'entry');
    await world.clock.run(5_200);
    expect(record(small, 'a')?.state).toBe('connected');
  });

  it('silence that ends in time: what was on its way comes through', async () => {
    const { world, call, seen } = smallWorld([spec('a')]);
    await world.clock.run(1_000);
    const answer = call('a', EMBED, 10);
    world.silence('a');
    await world.clock.run(2_500);
    world.heal('a');
    await world.clock.run(5_000);
    expect((await answer).atMs).toBe(2_500 + 5 + 10 + 6);
    expect(seen.some(({ kind }) => kind === 'gone')).toBe(false);
  });

  it('slow: what runs takes longer, and the node says so', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    world.slow('a', 0.1);
    for (let count = 0; count < 40; count++) void call('a', EMBED, 10);
    await world.clock.run(10_000);
    expect(record(small, 'a')?.advert.offers[0]?.profile.fixedMs).toBeCloseTo(100);
  });

  it('lies: a mute node acknowledges, lives, and never answers', async () => {
    const small = smallWorld([spec('a')]);
    const { world, call } = small;
    world.lie('a', { mute: true });
    let acknowledged = false;
    let settled = false;
    const onAck = (): void => {
      acknowledged = true;
    };
    void call('a', EMBED, 10, { onAck }).finally(() => {
      settled = true;
    });
    await world.clock.run(60_000);
    expect([acknowledged, settled, record(small, 'a')?.state]).toEqual([true, false, 'connected']);
  });

  it('lies: a boaster is told about as it says', async () => {
    const small = smallWorld([spec('a')]);
    small.world.lie('a', { claim: 0.01, idle: true });
    void small.call('a', EMBED, 1_000);
    await small.world.clock.run(900);
    expect(record(small, 'a')?.advert.offers[0]?.profile.fixedMs).toBe(0.1);
    expect(record(small, 'a')?.load.requestsInFlight).toBe(0);
  });

  it('lets no entry end', () => {
    const { world } = smallWorld([]);
    for (const fault of ['kill', 'reset', 'stop'] as const) expect(() => world[fault]('entry')).toThrow(RangeError);
  });
});

describe('foresight', () => {
  it.each([
    ['idle', 1, 3],
    ['a queue', 12, 3],
    ['two slots', 12, 5],
  ])('is what then happens: %s', async (_what, requests, seeds) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const draws = new Draws(seed, 'foresight');
      const node = spec('a', {
        speed: draws.within(0.2, 4),
        slots: _what === 'two slots' ? 2 : 1,
        mbit: 1_000,
        memoryMb: draws.pick([900, 1_100, 4_000]),
        loaded: ['embed'],
        disk: ['chat', 'page'],
      });
      const { world, call } = smallWorld([node], { seed });
      const errors: number[] = [];
      for (let count = 0; count < requests; count++) {
        await world.clock.run(world.clock.now() + draws.within(0, 40));
        const model = _what === 'two slots' ? EMBED : draws.pick([EMBED, EMBED, CHAT, PAGE]);
        const workMs = draws.lognormal(model.workMs.median, model.workMs.sigma);
        const finishMs = world.finishMs('entry', 'a', model.id, workMs);
        void call('a', model, workMs).then(({ atMs }) => errors.push(Math.abs(atMs - finishMs)));
      }
      await world.clock.run(1e6);
      expect(errors).toHaveLength(requests);
      // An answer that waits for another one's 1,000 bytes.
      expect(Math.max(...errors)).toBeLessThan(0.02);
    }
  });

  it('is what then happens here', async () => {
    const { world } = smallWorld([]);
    const finishMs = world.finishMs('entry', 'entry', 'embed', 7);
    const outcome = world.submit('entry', 'embed', 7);
    await world.clock.run(10_000);
    expect(await outcome).toEqual({ ok: true, node: 'entry', latencyMs: finishMs, attempts: 1 });
  });

  it('is never, where it cannot be', async () => {
    const { world } = smallWorld([
      spec('killed'),
      spec('stopped'),
      spec('silent'),
      spec('mute'),
      spec('small', { loaded: ['embed'], disk: ['chat'], memoryMb: 300 }),
      spec('other', { loaded: ['page'] }),
    ]);
    world.kill('killed');
    world.stop('stopped');
    world.silence('silent');
    world.lie('mute', { mute: true });
    const finish = (node: string, model = 'embed'): number => world.finishMs('entry', node, model, 1);
    for (const node of ['killed', 'stopped', 'silent', 'mute', 'other', 'nobody']) {
      expect(finish(node)).toBe(Number.POSITIVE_INFINITY);
    }
    expect(finish('small', 'chat')).toBe(Number.POSITIVE_INFINITY);
    expect(finish('small')).toBeCloseTo(13);
  });
});

/** Several entries, faults, many requests. */
async function busyWorld(seed: number): Promise<World> {
  const world = new World({ seed, models: MODELS });
  const entries = ['e1', 'e2'].map((name) => world.addEntry(spec(name, { mbit: 1_000, speed: 0.25 })));
  for (let index = 0; index < 6; index++) world.addNode(spec(`n${index}`, { mbit: 100, rttMs: [1, 30] }));
  const draws = new Draws(seed, 'busy');
  for (let count = 0; count < 400; count++) {
    const workMs = draws.lognormal(10, 1);
    world.clock.after(draws.within(0, 8_000), () => void world.submit(draws.pick(entries), 'embed', workMs));
  }
  world.clock.after(1_000, () => world.kill('n0'));
  world.clock.after(1_500, () => world.restart('n1', 500));
  world.clock.after(2_000, () => world.slow('n2', 0.05));
  world.clock.after(2_500, () => world.stop('n3'));
  world.clock.after(6_000, () => world.cont('n3'));
  await world.clock.run(60_000);
  return world;
}

describe('replay', () => {
  it('has the same events for the same seed, and others for another', async () => {
    const [first, again, other] = [await busyWorld(1), await busyWorld(1), await busyWorld(2)];
    expect(first.requests).toBe(400);
    expect(first.events).toBeGreaterThan(2_000);
    expect(again.eventHash).toBe(first.eventHash);
    expect(again.events).toBe(first.events);
    expect(other.eventHash).not.toBe(first.eventHash);
  });

  it('tells worlds apart that differ in one moment', async () => {
    const hashes = [10, 10, 11].map(async (workMs) => {
      const { world, call } = smallWorld([spec('a')]);
      void call('a', EMBED, workMs);
      await world.clock.run(1_000);
      return world.eventHash;
    });
    const [a, b, c] = await Promise.all(hashes);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
  });
});

describe('requests', () => {
  it('are answered wherever they go, in spite of faults', async () => {
    const { world } = smallWorld([spec('a'), spec('b'), spec('c')]);
    const outcomes = Array.from({ length: 60 }, (_, index) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      world.clock.after(index * 50, () => {
        void world.submit('entry', 'embed', 10).then(({ ok }) => resolve(ok));
      });
      return promise;
    });
    world.clock.after(500, () => world.kill('a'));
    world.clock.after(1_500, () => world.reset('b'));
    await world.clock.run(60_000);
    expect(await Promise.all(outcomes)).not.toContain(false);
    expect(world.entry('entry').dispatcher.inFlight()).toBe(0);
  });

  it('fail with a code where nobody can', async () => {
    const world = new World({ seed: 1, models: MODELS });
    world.addEntry(spec('entry', { loaded: [] }));
    const outcome = world.submit('entry', 'embed', 1);
    await world.clock.run(100);
    expect(await outcome).toMatchObject({ ok: false, code: 'no_capable_node', attempts: 0 });
    await expect(world.submit('entry', 'nothing', 1)).rejects.toThrow(RangeError);
    await expect(world.submit('nobody', 'embed', 1)).rejects.toThrow(RangeError);
  });

  it('go where the oracle sends them', async () => {
    const world: World = new World({ seed: 1, models: MODELS, policy: (entry) => world.oracle(entry), hedgeShare: 0 });
    world.addEntry(spec('entry', { speed: 0.01 }));
    // The first is nearer, the second faster.
    world.addNode(spec('near', { rttMs: [1, 1] }));
    world.addNode(spec('far', { rttMs: [100, 100], speed: 10 }));
    const short = world.submit('entry', 'embed', 10);
    const long = world.submit('entry', 'embed', 1_000);
    await world.clock.run(10_000);
    expect([(await short).node, (await long).node]).toEqual(['near', 'far']);
  });
});
