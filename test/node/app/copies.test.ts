// Copies of a model over a mesh whose nodes decide at once, by adverts that are late and get lost.
import { afterEach, describe, expect, it } from 'vitest';
import { CLAIM_MS } from '../../../node/scheduler/limits.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { SMOL } from '../scheduler/builders.ts';
import { CopiesMesh, type CopiesMeshInit, LOAD_MS } from './copies-mesh.ts';

const SEEDS = Number(process.env.WEFT_TEST_RUNS ?? 12);
const open: CopiesMesh[] = [];

function meshOf(seed: number, init: Partial<CopiesMeshInit> = {}): CopiesMesh {
  const mesh = new CopiesMesh({ nodes: 8, random: seeded(seed), ...init });
  open.push(mesh);
  return mesh;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((mesh) => mesh.stop()));
});

const SERVICE_MS = 200;
const HOUR_MS = 3_600_000;

function seeded(seed: number): () => number {
  const random = new SeededRandom(seed);
  return () => random.next();
}

const one = (min: number, max: number) => [{ model: 'smollm2', min, max }];

/**
 * Requests for the model, placed through all nodes in turn; each waits as before one queue for each copy, with requests
 * that come at random.
 * @param perS of the whole mesh @param noise share by which the rate wanders from one call to the next
 */
function ask(mesh: CopiesMesh, { perS, everyMs, noise = 0 }: { perS: number; everyMs: number; noise?: number }) {
  const random = seeded(99);
  let owed = 0;
  let next = 0;
  return (): void => {
    const now = perS * (1 + noise * (2 * random() - 1));
    const loaded = mesh.nodes.filter(({ alive, state }) => alive && state === 'loaded');
    const utilisation = Math.min(0.95, (now * SERVICE_MS) / 1_000 / Math.max(1, loaded.length));
    const timing = { queueMs: (SERVICE_MS * utilisation) / (1 - utilisation), loadMs: 0, computeMs: SERVICE_MS };
    const alive = mesh.nodes.filter((node) => node.alive);
    for (owed += (now * everyMs) / 1_000; owed >= 1; owed--) {
      next++;
      alive[next % alive.length]?.copies.demand.add('placed', SMOL.digest, timing);
      loaded[next % Math.max(1, loaded.length)]?.copies.demand.add('computed', SMOL.digest, timing);
    }
  };
}

describe('copies of a model', () => {
  it.each([
    [1, 1],
    [2, 3],
  ])('eight nodes that want %d to %d at once load no more than that', async (min, max) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const mesh = meshOf(seed, { replicas: one(min, max) });
      const history = await mesh.watch(120_000);
      expect(Math.max(...history.map(({ copies }) => copies)), `seed ${seed}`).toBe(min);
      expect(mesh.copies).toBe(min);
      expect(mesh.done).toHaveLength(min);
    }
  });

  it('without leases they load more', async () => {
    let over = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const mesh = meshOf(seed, { replicas: one(1, 1), leases: false });
      const history = await mesh.watch(20_000);
      if (Math.max(...history.map(({ copies }) => copies)) > 1) over++;
    }
    expect(over).toBe(SEEDS);
  });

  it('with adverts that get lost, never more than max for longer than a lease, and in the end what is wanted', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const mesh = meshOf(seed, { replicas: one(1, 2), lost: 0.6, delayMs: [5, 900] });
      const history = await mesh.watch(300_000, 100, ask(mesh, { perS: 20, everyMs: 100 }));
      expect(mesh.overMs(2, history), `seed ${seed}`).toBeLessThanOrEqual(CLAIM_MS);
      expect(mesh.copies, `seed ${seed}`).toBe(2);
      expect(
        history.slice(-1_000).every(({ copies }) => copies === 2),
        `seed ${seed}`,
      ).toBe(true);
    }
  });

  it('demand adds copies until they pay no more, and its end lets them go', async () => {
    const mesh = meshOf(3, { loaded: 1 });
    await mesh.watch(600_000, 100, ask(mesh, { perS: 20, everyMs: 100 }));
    // 4 s of work a second: five copies at the least.
    const most = mesh.copies;
    expect(most).toBeGreaterThanOrEqual(5);
    const loads = mesh.done.length;
    await mesh.watch(1_200_000, 100, ask(mesh, { perS: 20, everyMs: 100 }));
    expect(mesh.done).toHaveLength(loads);
    await mesh.watch(3_600_000, 100, ask(mesh, { perS: 0.2, everyMs: 100 }));
    expect(mesh.copies).toBe(1);
  });

  it('requests that all waited for one load ask for no second copy', async () => {
    const mesh = meshOf(4, { loaded: 1 });
    for (let request = 0; request < 50; request++) {
      const timing = { queueMs: LOAD_MS, loadMs: LOAD_MS, computeMs: SERVICE_MS };
      mesh.nodes[0]?.copies.demand.add('placed', SMOL.digest, timing);
    }
    await mesh.watch(120_000);
    expect(mesh.done).toEqual([]);
  });

  it('does not flap under a demand at the threshold', async () => {
    // A second copy pays from 1.67 requests a second on, when they come evenly.
    for (const perS of [1.4, 1.6, 1.67, 1.8, 2]) {
      const mesh = meshOf(Math.round(perS * 100), { loaded: 1, nodes: 4 });
      await mesh.watch(2 * HOUR_MS, 1_000, ask(mesh, { perS, everyMs: 1_000, noise: 0.5 }));
      expect(mesh.done.length, `${perS} a second`).toBeLessThanOrEqual(2);
    }
  });

  it('keeps the least number in memory when nobody asks', async () => {
    const mesh = meshOf(5, { replicas: one(2, 4) });
    await mesh.watch(60_000);
    expect(mesh.nodes.filter(({ pinned }) => pinned.has(SMOL.digest))).toHaveLength(2);
    expect(mesh.nodes.every(({ pinned, state }) => (state === 'loaded') === pinned.has(SMOL.digest))).toBe(true);
  });

  it('lets the copies beyond the most go, and never one that works', async () => {
    const mesh = meshOf(6, { loaded: 6, replicas: one(1, 2) });
    for (const node of mesh.nodes.slice(0, 3)) node.inFlight = 1;
    await mesh.watch(60_000);
    expect(mesh.nodes.map(({ state }) => state).slice(0, 3)).toEqual(['loaded', 'loaded', 'loaded']);
    // One more may be kept for the least number.
    expect(mesh.copies).toBeLessThanOrEqual(4);
    for (const node of mesh.nodes) node.inFlight = 0;
    await mesh.watch(120_000);
    expect(mesh.copies).toBe(2);
  });

  it('another node takes over when the owner of a copy, or of a claim, is gone', async () => {
    const mesh = meshOf(7, { replicas: one(1, 1) });
    await mesh.watch(20_000);
    mesh.nodes.find(({ state }) => state === 'loaded')?.kill();
    await mesh.watch(40_000);
    expect(mesh.copies).toBe(1);

    const claiming = meshOf(8, { replicas: one(1, 1) });
    const history: string[] = [];
    await claiming.watch(10_000, 20, () => {
      const owner = claiming.nodes.find(({ alive, copies }) => alive && (copies.said().intents ?? []).length > 0);
      if (owner === undefined || history.length > 0) return;
      history.push(owner.id);
      owner.kill();
    });
    expect(history).toHaveLength(1);
    expect(claiming.copies).toBe(1);
  });

  it('a member that claims and never acts holds the others up for a lease, once', async () => {
    const mesh = meshOf(9, { replicas: one(1, 1), nodes: 4 });
    const liar = mesh.nodes[0];
    if (liar === undefined) throw new Error('no nodes');
    liar.decides = false;
    const lie = (sinceMs: number): void => {
      liar.lies = [{ digest: SMOL.digest, kind: 'load', sinceMs }];
      liar.announce();
    };
    lie(30_000);
    await mesh.watch(20_000);
    expect(mesh.copies).toBe(0);
    await mesh.watch(50_000);
    expect(mesh.copies).toBe(1);
    // When that came to nothing it claims anew, as if for the first time: nobody believes it.
    liar.lies = [];
    liar.announce();
    await mesh.watch(70_000);
    lie(0);
    await mesh.watch(71_000);
    mesh.nodes.find(({ state }) => state === 'loaded')?.kill();
    await mesh.watch(85_000);
    expect(mesh.copies).toBe(1);
  });

  it('what a member lies about demand passes no bound', async () => {
    const mesh = meshOf(10, { replicas: one(0, 2), nodes: 8 });
    for (let request = 0; request < 1_000; request++) {
      mesh.nodes[0]?.copies.demand.add('placed', SMOL.digest, { queueMs: 1e12, loadMs: 0, computeMs: Number.NaN });
    }
    const history = await mesh.watch(600_000);
    expect(mesh.overMs(2, history)).toBe(0);
  });
});
