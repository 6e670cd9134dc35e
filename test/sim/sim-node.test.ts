import { describe, expect, it } from 'vitest';
import type { Priority } from '../../node/core/engine.ts';
import { EventLog } from './event-log.ts';
import { Job } from './sim-job.ts';
import { prepare, type SimModel, WorkRef } from './sim-models.ts';
import { SimNode, type SimNodeSpec } from './sim-node.ts';
import { CHAT, EMBED, MODELS, PAGE, spec } from './small-world.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One executor, and when its jobs ended: `MODEL/WORK` and the time. */
function executor(changes: Partial<SimNodeSpec> = {}) {
  const clock = new VirtualClock();
  const models = new Map(MODELS.map((model) => [model.id, prepare(model)]));
  const node = new SimNode({ clock, log: new EventLog(), models }, spec('node', changes), 0);
  const ended: [string, number][] = [];
  const take = (model: SimModel, workMs: number, options: { withinMs?: number; priority?: Priority } = {}) => {
    const known = models.get(model.id);
    if (known === undefined) throw new RangeError(model.id);
    const note = (): unknown => ended.push([`${model.id}/${workMs}`, clock.now()]);
    return node.take({ work: new WorkRef(known, workMs, 0), ended: note }, options);
  };
  const job = (...args: Parameters<typeof take>): Job => {
    const taken = take(...args);
    if (!(taken instanceof Job)) throw new Error(taken.code);
    return taken;
  };
  const states = (): Record<string, string> =>
    Object.fromEntries(node.offers().map(({ model, state }) => [model.id, state]));
  return { clock, node, take, job, ended, states };
}

describe('slots and queue', () => {
  it('runs so many at once at its speed, the others in their order', async () => {
    const { clock, job, ended } = executor({ slots: 2, speed: 0.5 });
    for (const workMs of [10, 30, 20, 5]) job(EMBED, workMs);
    await clock.run(200);
    expect(ended).toEqual([
      ['embed/10', 20],
      ['embed/30', 60],
      ['embed/20', 60],
      ['embed/5', 70],
    ]);
  });

  it('takes interactive work first, and starves no batch work', async () => {
    const { clock, job, ended } = executor();
    job(EMBED, 1);
    for (const workMs of [2, 3]) job(EMBED, workMs, { priority: 'batch' });
    for (const workMs of [11, 12, 13, 14, 15, 16]) job(EMBED, workMs);
    await clock.run(200);
    const order = ended.map(([name]) => Number(name.split('/')[1]));
    expect(order).toEqual([1, 11, 12, 2, 13, 14, 15, 3, 16]);
  });

  it('predicts when work that comes now would begin', async () => {
    const { clock, node, job } = executor();
    expect(node.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0, latencyMs: 0 });
    for (let count = 0; count < 3; count++) job(EMBED, 10);
    expect(node.load()).toMatchObject({ requestsInFlight: 3, queuedMs: 30 });
    await clock.run(4);
    expect(node.load()).toMatchObject({ requestsInFlight: 3, queuedMs: 26 });
    await clock.run(25);
    expect(node.load()).toMatchObject({ requestsInFlight: 1, queuedMs: 5, latencyMs: 10 });
    await clock.run(40);
    expect(node.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0 });
  });

  it('expects something still of work that takes longer than predicted', async () => {
    const { clock, node, job } = executor();
    job(EMBED, 100);
    await clock.run(50);
    expect(node.load().queuedMs).toBe(2.5);
  });

  it('refuses more than it can queue', () => {
    const many = executor();
    for (let count = 0; count < 512; count++) many.job(EMBED, 1);
    expect(many.take(EMBED, 1)).toMatchObject({ code: 'overloaded' });
    const long = executor();
    for (let count = 0; count < 34; count++) long.job(CHAT, 1);
    expect(long.take(CHAT, 1)).toMatchObject({ code: 'overloaded', facts: { retryAfterMs: '15300' } });
  });
});

describe('conditions', () => {
  it('declines what it predicts to take longer, with its quote', async () => {
    const { clock, node, take, job } = executor({ speed: 2 });
    expect(take(EMBED, 1, { withinMs: 5 })).toBeInstanceOf(Job);
    job(EMBED, 1);
    expect(take(EMBED, 1, { withinMs: 14 })).toMatchObject({ code: 'declined', facts: { quotedMs: '15' } });
    expect(take(EMBED, 1, { withinMs: 15 })).toBeInstanceOf(Job);
    await clock.run(50);
    expect(node.load().requestsInFlight).toBe(0);
  });

  it('counts a load', () => {
    const { take } = executor({ loaded: [], disk: ['embed'] });
    expect(take(EMBED, 1, { withinMs: 409 })).toMatchObject({ code: 'declined', facts: { quotedMs: '410' } });
    expect(take(EMBED, 1, { withinMs: 410 })).toBeInstanceOf(Job);
  });

  it('learns how long its work really takes, and tells when that is news', async () => {
    const { clock, node, job, take } = executor();
    const told: number[] = [];
    node.onAdvert(({ offers }) => told.push(offers[0]?.profile.fixedMs ?? 0));
    for (let count = 0; count < 8; count++) job(EMBED, 11);
    await clock.run(100);
    expect(told).toEqual([]);
    expect(take(EMBED, 1, { withinMs: 10.9 })).toMatchObject({ facts: { quotedMs: '11' } });
    node.slow(0.1);
    for (let count = 0; count < 40; count++) job(EMBED, 11);
    await clock.run(10_000);
    expect(told.length).toBeGreaterThan(0);
    expect(told.at(-1)).toBeCloseTo(110);
  });

  it('does not have what it was not given', () => {
    const { take } = executor({ loaded: ['embed'], disk: ['chat'], memoryMb: 500 });
    expect(take(PAGE, 1)).toMatchObject({ code: 'model_not_found' });
    expect(take(CHAT, 1)).toMatchObject({ code: 'out_of_memory' });
  });
});

describe('models', () => {
  it('loads what is asked for, and unloads what was used longest ago', async () => {
    const { clock, node, job, ended, states } = executor({
      memoryMb: 900,
      speed: 2,
      loaded: ['embed'],
      disk: ['chat', 'page'],
    });
    const adverts: string[] = [];
    node.onAdvert(({ offers }) => adverts.push(offers.map(({ state }) => state).join(' ')));
    job(CHAT, 100);
    job(CHAT, 100);
    expect(states()).toEqual({ embed: 'loaded', chat: 'loading', page: 'disk' });
    expect(node.load().memoryFreeBytes).toBe(0);
    await clock.run(600);
    expect(ended).toEqual([
      ['chat/100', 500],
      ['chat/100', 550],
    ]);
    expect(states()).toEqual({ embed: 'loaded', chat: 'loaded', page: 'disk' });
    // Both must leave for it: the embeddings were used first, but alone they make no room.
    job(EMBED, 10);
    job(PAGE, 100);
    await clock.run(610);
    expect(states()).toEqual({ embed: 'loaded', chat: 'disk', page: 'loading' });
    await clock.run(2_000);
    expect(ended.at(-1)).toEqual(['page/100', 605 + 350 + 50]);
    expect(adverts).toEqual(['loaded loading disk', 'loaded loaded disk', 'loaded disk loading', 'loaded disk loaded']);
  });

  it('waits for a load that is under way', async () => {
    const { clock, job, ended } = executor({ slots: 2, loaded: [], disk: ['embed'] });
    job(EMBED, 100);
    await clock.run(100);
    job(EMBED, 10);
    await clock.run(1_000);
    expect(ended).toEqual([
      ['embed/10', 410],
      ['embed/100', 500],
    ]);
  });
});

describe('speed', () => {
  it('changes for what runs already', async () => {
    const { clock, node, job, ended } = executor();
    job(EMBED, 100);
    await clock.run(50);
    node.slow(0.1);
    await clock.run(150);
    node.slow(1);
    await clock.run(1_000);
    expect(ended).toEqual([['embed/100', 190]]);
  });

  it('stands still and goes on, loads and queue included', async () => {
    const { clock, node, job, ended } = executor({ loaded: [], disk: ['embed'] });
    job(EMBED, 10);
    await clock.run(100);
    node.stop();
    node.stop();
    await clock.run(5_100);
    expect(ended).toEqual([]);
    node.cont();
    job(EMBED, 10);
    await clock.run(10_000);
    expect(ended).toEqual([
      ['embed/10', 5_410],
      ['embed/10', 5_420],
    ]);
  });
});

describe('cancelling', () => {
  it('never begins what waits, and ends what runs with its step', async () => {
    const { clock, node, job, ended } = executor({ speed: 2 });
    const running = job(EMBED, 1_000);
    const waiting = job(EMBED, 500);
    job(EMBED, 50);
    node.cancel(waiting);
    expect(node.load()).toMatchObject({ requestsInFlight: 2 });
    await clock.run(20);
    node.cancel(running);
    node.cancel(running);
    await clock.run(1_000);
    expect(ended).toEqual([['embed/50', 55]]);
    node.cancel(running);
    expect(node.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0 });
  });
});

describe('ends', () => {
  it('loses its work, and comes back empty', async () => {
    const { clock, node, job, ended, states } = executor();
    const { incarnation } = node;
    job(EMBED, 10);
    job(EMBED, 10);
    node.die();
    await clock.run(100);
    expect(ended).toEqual([]);
    node.rise();
    expect(node.incarnation).toBeGreaterThan(incarnation);
    expect(states()).toEqual({ embed: 'disk', chat: 'disk', page: 'disk' });
    job(EMBED, 10);
    await clock.run(1_000);
    expect(ended).toEqual([['embed/10', 510]]);
  });

  it('has a later incarnation even after its clock was set back', () => {
    const { node } = executor();
    const { incarnation } = node;
    node.die();
    node.rise();
    expect(node.incarnation).toBe(incarnation + 1);
  });
});

describe('liars', () => {
  it('say what isn’t so of their speed and load', () => {
    const { node, job } = executor();
    job(EMBED, 10);
    node.lie = { claim: 0.01, idle: true };
    node.announce();
    expect(node.offers()[0]?.profile).toMatchObject({ fixedMs: 0.1, loadMs: 4 });
    expect(node.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0, latencyMs: 0 });
  });

  it('take on what they should decline, or decline everything that they may', () => {
    const { node, job, take } = executor();
    job(EMBED, 1_000);
    node.lie = { takesAll: true };
    expect(take(EMBED, 10, { withinMs: 1 })).toBeInstanceOf(Job);
    node.lie = { declinesAll: true };
    expect(take(EMBED, 10, { withinMs: 1e6 })).toMatchObject({ code: 'declined', facts: { quotedMs: '1' } });
    expect(take(EMBED, 10)).toBeInstanceOf(Job);
  });

  it('work, and never answer', async () => {
    const { clock, node, job, ended } = executor();
    node.lie = { mute: true };
    job(EMBED, 10);
    await clock.run(100);
    expect([ended, node.load().requestsInFlight]).toEqual([[], 0]);
  });
});
