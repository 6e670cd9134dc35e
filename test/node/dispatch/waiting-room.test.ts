import { describe, expect, it } from 'vitest';
import { Lifetime } from '../../../node/dispatch/lifetime.ts';
import { BATCH_TURN_EVERY, LOOK_AGAIN_MS, WAITING_LINES_MAX } from '../../../node/dispatch/limits.ts';
import type { Placed } from '../../../node/dispatch/placer.ts';
import { WaitingRoom } from '../../../node/dispatch/waiting-room.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

/** Nodes that are free or not, and the requests that wait for one of them. */
class Scene {
  readonly clock = new VirtualClock();
  readonly room = new WaitingRoom({ clock: this.clock });
  /** Free nodes: each request that is sent takes one. */
  free = 0;
  /** A request behind which so much waits takes a slow node, as long as there is one. */
  slow = 0;
  slowMs = Number.POSITIVE_INFINITY;
  readonly sent: string[] = [];
  readonly failed: string[] = [];
  looks = 0;
  refuses: string | undefined;

  /** Resolves once its fate is known or it waits. */
  async enter(name: string, changes: Enter = {}): Promise<void> {
    const { signal = new AbortController().signal, budgetMs = 100_000, digest = 'm', isBatch = false } = changes;
    const lifetime = new Lifetime({ clock: this.clock }, { signal, budgetMs });
    const begun = async (): Promise<void> => {
      const entered = this.room.enter({ digest, isBatch, lifetime, look: (aheadMs) => this.#look(name, aheadMs) });
      const placed = entered instanceof Promise ? await entered : entered;
      if (placed.plan.node === 'slow') this.slow--;
      else this.free--;
      this.sent.push(name);
      this.room.look();
    };
    void begun().catch((error: WeftError) => this.failed.push(`${name} ${error.code}`));
    await this.clock.run(this.clock.now());
  }

  async answer(): Promise<void> {
    this.free++;
    this.room.look();
    await this.clock.run(this.clock.now() + LOOK_AGAIN_MS.min);
  }

  #look(name: string, aheadMs: number): Placed {
    this.looks++;
    if (this.refuses === name) throw new WeftError({ code: 'deadline_unmeetable', message: 'Too late.' });
    const takesSlow = this.free === 0 && this.slow > 0 && aheadMs > this.slowMs;
    const price = { queueMs: 0, loadMs: 0, upMs: 0, computeMs: 100, downMs: 0, totalMs: 100 };
    return {
      plan: { kind: 'remote', node: takesSlow ? 'slow' : 'fast', price, others: [], rejected: [], samples: 1 },
      bindInMs: this.free > 0 || takesSlow ? 0 : 1_000,
    } as unknown as Placed;
  }
}

interface Enter {
  readonly signal?: AbortSignal;
  readonly budgetMs?: number;
  readonly digest?: string;
  readonly isBatch?: boolean;
}

describe('the waiting room', () => {
  it('sends at once where a node is free', async () => {
    const scene = new Scene();
    scene.free = 2;
    await scene.enter('a');
    await scene.enter('b');
    await scene.enter('c');
    expect(scene.sent).toEqual(['a', 'b']);
    expect(scene.room.size).toBe(1);
  });

  it('sends in the order of their coming, as many as there are free nodes', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c', 'd']) await scene.enter(name, { digest: name === 'b' ? 'other' : 'm' });
    await scene.answer();
    expect(scene.sent).toEqual(['a']);
    scene.free++;
    await scene.answer();
    expect(scene.sent).toEqual(['a', 'b', 'c']);
    expect(scene.room.size).toBe(1);
  });

  it('looks by itself where nothing comes', async () => {
    const scene = new Scene();
    await scene.enter('a');
    scene.free = 1;
    await scene.clock.run(LOOK_AGAIN_MS.max);
    expect(scene.sent).toEqual(['a']);
    expect(scene.clock.pending).toBe(1);
  });

  it('does not look at every one of a thousand answers that change nothing', async () => {
    const scene = new Scene();
    await scene.enter('a');
    const before = scene.looks;
    for (let answer = 0; answer < 1_000; answer++) scene.room.look();
    expect(scene.looks - before).toBe(1);
  });

  it('sends the last to a node that is too slow for the first', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c']) await scene.enter(name);
    scene.slow = 1;
    scene.slowMs = 150;
    scene.room.look();
    await scene.clock.run(LOOK_AGAIN_MS.max);
    expect(scene.sent).toEqual(['c']);
  });

  it('takes interactive work first, and batch work in its turn', async () => {
    const scene = new Scene();
    await scene.enter('batch', { isBatch: true });
    for (let index = 0; index < BATCH_TURN_EVERY + 2; index++) await scene.enter(`i${index}`);
    for (let index = 0; index < BATCH_TURN_EVERY + 3; index++) await scene.answer();
    expect(scene.sent.indexOf('batch')).toBe(BATCH_TURN_EVERY - 1);
    expect(scene.sent).toHaveLength(BATCH_TURN_EVERY + 3);
    expect(scene.room.size).toBe(0);
  });

  it('lets go of those whose caller leaves or whose time is over, and of nobody else', async () => {
    const scene = new Scene();
    const caller = new AbortController();
    await scene.enter('left', { signal: caller.signal });
    await scene.enter('late', { budgetMs: 50 });
    await scene.enter('stays');
    caller.abort();
    await scene.clock.run(60);
    expect(scene.failed).toEqual(['left cancelled', 'late deadline_exceeded']);
    expect(scene.room.size).toBe(1);
    await scene.answer();
    expect(scene.sent).toEqual(['stays']);
  });

  it('fails the one that can go nowhere any more, and goes on with the next', async () => {
    const scene = new Scene();
    await scene.enter('a');
    await scene.enter('b');
    scene.refuses = 'a';
    await scene.answer();
    expect(scene.failed).toEqual(['a deadline_unmeetable']);
    expect(scene.sent).toEqual(['b']);
  });

  it('has so many lines, and sends the rest at once', async () => {
    const scene = new Scene();
    for (let line = 0; line <= WAITING_LINES_MAX; line++) await scene.enter(`${line}`, { digest: `${line}` });
    expect(scene.sent).toEqual([`${WAITING_LINES_MAX}`]);
    expect(scene.room.size).toBe(WAITING_LINES_MAX);
  });
});
