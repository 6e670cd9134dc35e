// Cases 7, 8 and 20 of the list of faults, simulated: a peer that turns bad, churn, and peers that lie.
import { describe, expect, it } from 'vitest';
import { policyNamed } from '../../node/scheduler/policies.ts';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import { weftPolicy } from '../../node/scheduler/weft-policy.ts';
import { Draws } from './draws.ts';
import { Invariants } from './invariants.ts';
import { type Lie, type Outcome, type SimModel, type SimNodeSpec, World } from './world.ts';

const EMBED: SimModel = {
  id: 'embed',
  workMs: { median: 12, sigma: 0.3 },
  inBytes: 20_000,
  outBytes: 1_600,
  loadMs: 400,
  memoryMb: 300,
};

const node = (name: string, changes: Partial<SimNodeSpec> = {}): SimNodeSpec => ({
  name,
  speed: 1,
  slots: 1,
  rttMs: [1, 4],
  mbit: 1_000,
  memoryMb: 4_000,
  loaded: [EMBED.id],
  disk: [],
  ...changes,
});

/** An entry that can do nothing itself: whatever ends was ended by a peer. */
const ENTRY = node('entry', { loaded: [], speed: 0.25, rttMs: [0, 0] });

/** A world, and who was sent what. */
class Scene {
  readonly world: World;
  /** Peers that requests were sent to, in order. */
  readonly sent: string[] = [];
  readonly #draws: Draws;

  constructor(seed: number, peers: readonly SimNodeSpec[], policy: RoutingPolicy = weftPolicy) {
    this.#draws = new Draws(seed, 'scene');
    this.world = new World({ seed, models: [EMBED], policy: () => policy });
    this.world.addEntry(ENTRY);
    for (const peer of peers) this.world.addNode(peer);
    this.world.onEvent((kind, _atMs, peer) => {
      if (kind === 'sent') this.sent.push(peer);
    });
  }

  /** So many requests at this rate; resolves when all have ended. */
  async ask(count: number, rps: number): Promise<readonly Outcome[]> {
    const { clock } = this.world;
    const asked: Promise<Outcome>[] = [];
    let atMs = 0;
    for (let request = 0; request < count; request++) {
      atMs += this.#draws.exponential(1_000 / rps);
      const workMs = this.#draws.lognormal(EMBED.workMs.median, EMBED.workMs.sigma);
      asked.push(
        new Promise((resolve, reject) => {
          clock.after(atMs, () => this.world.submit(ENTRY.name, EMBED.id, workMs).then(resolve, reject));
        }),
      );
    }
    return this.#ended(asked);
  }

  /** So many requests, each after the end of the one before. */
  async askInTurn(count: number): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (let request = 0; request < count; request++) {
      const workMs = this.#draws.lognormal(EMBED.workMs.median, EMBED.workMs.sigma);
      outcomes.push(...(await this.#ended([this.world.submit(ENTRY.name, EMBED.id, workMs)])));
    }
    return outcomes;
  }

  async #ended(asked: readonly Promise<Outcome>[]): Promise<readonly Outcome[]> {
    const { clock } = this.world;
    let ended: readonly Outcome[] | undefined;
    let failure: unknown;
    Promise.all(asked).then(
      (outcomes) => {
        ended = outcomes;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    for (const untilMs = clock.now() + 900_000; ended === undefined && clock.now() < untilMs; ) {
      await clock.run(clock.now() + 10);
      if (failure !== undefined) throw failure;
    }
    if (ended === undefined) throw new Error('Requests have not ended within a quarter of an hour.');
    return ended;
  }
}

/** Faults of case 7: what happens to the best of four peers. */
const TURNS_BAD: readonly [string, (world: World) => void][] = [
  ['runs at a twentieth of its speed', (world) => world.slow('best', 0.1)],
  ['has a link of 300 ms', (world) => world.link('best', { rttMs: 300 })],
  ['has a link of 1 Mbit/s', (world) => world.link('best', { mbit: 1 })],
  ['stands still', (world) => world.stop('best')],
  ['goes silent', (world) => world.silence('best')],
  ['is reset', (world) => world.reset('best')],
];

describe('a peer that turns bad', () => {
  const peers = [node('best', { speed: 2 }), node('second'), node('third'), node('fourth')];
  const sentToBest = async (policy: RoutingPolicy, turn: (world: World) => void): Promise<number> => {
    const scene = new Scene(1, peers, policy);
    await scene.askInTurn(60);
    expect(scene.sent).toContain('best');
    turn(scene.world);
    scene.sent.length = 0;
    const outcomes = await scene.askInTurn(60);
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    return scene.sent.filter((peer) => peer === 'best').length;
  };

  it.each(TURNS_BAD)('%s: it is left within three requests', async (_what, turn) => {
    expect(await sentToBest(weftPolicy, turn)).toBeLessThanOrEqual(3);
  });

  it('is not left by a policy that measures nothing', async () => {
    const roundRobin = policyNamed('round-robin') as RoutingPolicy;
    expect(await sentToBest(roundRobin, (world) => world.slow('best', 0.1))).toBeGreaterThan(3);
  });
});

/** Twenty nodes, of which four leave each minute, half of them without a word, and four others come. */
describe('churn of a fifth of 20 nodes a minute', () => {
  const MINUTES = 5;
  const RPS = 12;

  it.each([1, 2, 3])('loses none of 3,000 requests (seed %i)', async (seed) => {
    const names = Array.from({ length: 20 }, (_, index) => `node-${index}`);
    const scene = new Scene(
      seed,
      names.map((name) => node(name)),
    );
    const { world } = scene;
    const broken: string[] = [];
    const invariants = new Invariants({ onBroken: (what) => broken.push(what) });
    world.onEvent(invariants.watch);
    const goneAfterMs: number[] = [];
    const endedMs = new Map<string, number>();
    world.onEvent((kind, atMs, gone) => {
      const since = endedMs.get(gone);
      if (kind === 'gone' && since !== undefined) goneAfterMs.push(atMs - since);
    });

    const draws = new Draws(seed, 'churn');
    const present = [...names];
    for (let leaving = 0; leaving < 4 * MINUTES; leaving++) {
      world.clock.after(7_000 + leaving * 15_000, () => {
        const leaver = draws.pick(present);
        present.splice(present.indexOf(leaver), 1);
        endedMs.set(leaver, world.clock.now());
        invariants.died(leaver, world.clock.now());
        if (leaving % 2 === 0) world.kill(leaver);
        else world.reset(leaver);
        present.push(world.addNode(node(`node-${20 + leaving}`)));
      });
    }
    const outcomes = await scene.ask(MINUTES * 60 * RPS, RPS);
    await world.clock.run(world.clock.now() + 10_000);
    invariants.end();

    expect(outcomes.length).toBeGreaterThanOrEqual(3_000);
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    expect(broken).toEqual([]);
    expect(goneAfterMs).toHaveLength(4 * MINUTES);
    expect(Math.max(...goneAfterMs)).toBeLessThanOrEqual(5_000);
  });
});

describe('a peer that lies', () => {
  /** Half as fast as the others, whatever it says. */
  const peers = [node('liar', { speed: 0.1 }), node('honest-1'), node('honest-2'), node('honest-3')];
  const LIES: readonly [string, Lie][] = [
    ['says that it is a hundred times as fast', { claim: 0.01 }],
    ['says that it is idle', { idle: true }],
    ['says both', { claim: 0.01, idle: true }],
    ['takes what it should decline', { claim: 0.01, idle: true, takesAll: true }],
    ['declines everything, and quotes next to nothing', { claim: 0.01, idle: true, declinesAll: true }],
    ['takes everything, and never answers', { claim: 0.01, idle: true, mute: true }],
  ];

  /** Requests that came to harm there: it kept them for long, or they had to go elsewhere. */
  const lost = async (lie: Lie, policy: RoutingPolicy): Promise<number> => {
    const scene = new Scene(1, peers, policy);
    scene.world.lie('liar', lie);
    const outcomes = [...(await scene.ask(600, 40))];
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    // Ten times the work of a request: no honest peer was ever that late.
    return outcomes.filter(({ latencyMs }) => latencyMs > 10 * EMBED.workMs.median).length;
  };

  /** Weft's choice, by what others say alone. */
  const gullible: RoutingPolicy = {
    name: 'gullible',
    choose: (request, snapshot, random) => {
      const { corrections: _unused, ...told } = snapshot;
      return weftPolicy.choose(request, told, random);
    },
  };

  it.each(LIES)('%s: it costs three requests at most', async (_what, lie) => {
    expect(await lost(lie, weftPolicy)).toBeLessThanOrEqual(3);
  });

  it('goes on costing requests where nobody measures', async () => {
    expect(await lost({ claim: 0.01, idle: true }, gullible)).toBeGreaterThan(30);
  });
});
