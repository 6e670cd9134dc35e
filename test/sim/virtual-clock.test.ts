import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support/property.ts';
import { SimEvent, VirtualClock } from './virtual-clock.ts';

class Noted extends SimEvent {
  readonly #note: () => void;

  constructor(note: () => void) {
    super();
    this.#note = note;
  }

  fire(): void {
    this.#note();
  }
}

describe('VirtualClock', () => {
  it('jumps from event to event, and stands at the end of a run', async () => {
    const clock = new VirtualClock();
    const times: number[] = [];
    const wallMs = clock.wallNow();
    clock.after(70, () => times.push(clock.now()));
    clock.after(30, () => {
      times.push(clock.now());
      clock.after(20, () => times.push(clock.now()));
      clock.after(0, () => times.push(clock.now()));
    });
    await clock.run(60);
    expect(times).toEqual([30, 30, 50]);
    expect([clock.now(), clock.wallNow() - wallMs, clock.pending]).toEqual([60, 60, 1]);
    await clock.run(70);
    expect(times).toEqual([30, 30, 50, 70]);
    expect(clock.fired).toBe(4);
  });

  it('lets time pass until a promise settles, whichever way, and no longer', async () => {
    const clock = new VirtualClock();
    const slept = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
    clock.after(1_000, () => undefined);
    expect(
      await clock.until(
        slept(30)
          .then(() => slept(20))
          .then(() => clock.now()),
      ),
    ).toBe(50);
    await expect(clock.until(slept(50).then(() => Promise.reject(new Error('broken'))))).rejects.toThrow('broken');
    expect([clock.now(), clock.pending]).toEqual([100, 1]);
    expect(await clock.until(Promise.resolve('at once'))).toBe('at once');
    expect([clock.now(), clock.pending]).toEqual([100, 1]);
  });

  it('says so when a promise never settles, or not in time', async () => {
    const clock = new VirtualClock();
    const late = new Promise<void>((resolve) => clock.after(60, resolve));
    await expect(clock.until(late, 50)).rejects.toThrow('goes on at 50 ms');
    await clock.until(late, 60);
    await expect(clock.until(new Promise(() => undefined))).rejects.toThrow('waits for ever, from 60 ms');
    const again = (): void => void clock.after(1_000, again);
    again();
    await expect(clock.until(new Promise(() => undefined))).rejects.toThrow('goes on at 3600060 ms');
  });

  it('keeps the order of events of one moment, and takes none back in time', async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    clock.after(5, () => order.push('a'));
    clock.after(5, () => order.push('b'));
    clock.after(-3, () => order.push(`now ${clock.now()}`));
    clock.after(Number.NaN, () => order.push(`now ${clock.now()}`));
    await clock.run(10);
    clock.schedule(new Noted(() => order.push(`late ${clock.now()}`)), 4);
    await clock.run(10);
    expect(order).toEqual(['now 0', 'now 0', 'a', 'b', 'late 10']);
    expect(() => clock.schedule(new Noted(() => undefined), Number.NaN)).toThrow(RangeError);
  });

  it('lets promises go as far as they can before the next event', async () => {
    const clock = new VirtualClock();
    let steps = 0;
    const seen: number[] = [];
    const walk = async (): Promise<void> => {
      for (let step = 0; step < 10_000; step++) {
        await Promise.resolve();
        steps++;
      }
      // What promises begin belongs to the same moment.
      clock.after(0, () => seen.push(clock.now()));
    };
    clock.after(1, () => void walk());
    clock.after(2, () => seen.push(steps));
    await clock.run(2);
    expect(seen).toEqual([1, 10_000]);
  });

  it('lets promises go on before its first event and after its last', async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    const walk = async (name: string): Promise<void> => {
      for (let step = 0; step < 100; step++) await Promise.resolve();
      order.push(name);
    };
    void walk('before');
    clock.after(0, () => {
      order.push('event');
      void walk('after');
    });
    await clock.run(0);
    expect(order).toEqual(['before', 'event', 'after']);
  });

  it('does not wait for promises after an event that settles none', async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    const settling = new Noted(() => {
      clock.settled();
      void Promise.resolve().then(() => order.push('settled'));
    });
    const quiet = new Noted(() => void Promise.resolve().then(() => order.push('quiet')));
    clock.schedule(quiet, 1);
    clock.schedule(new Noted(() => order.push('second')), 1);
    clock.schedule(settling, 2);
    clock.schedule(new Noted(() => order.push('fourth')), 2);
    await clock.run(2);
    expect(order).toEqual(['second', 'quiet', 'settled', 'fourth']);
  });

  it('cancels timers, whenever and however often', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const first = clock.after(1, () => fired.push('first'));
    const second = clock.after(2, () => fired.push('second'));
    clock.after(1, () => second.cancel());
    first.cancel();
    first.cancel();
    await clock.run(5);
    expect(fired).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('runs once at a time, and again after an event has failed', async () => {
    const clock = new VirtualClock();
    clock.after(1, () => {
      throw new Error('broken');
    });
    const run = clock.run(5);
    await expect(clock.run(5)).rejects.toThrow('runs already');
    await expect(run).rejects.toThrow('broken');
    await clock.run(5);
    expect(clock.now()).toBe(5);
  });

  it('has every event at its time, however they are scheduled, moved and cancelled', async () => {
    const change = fc.record({
      event: fc.nat(19),
      atMs: fc.nat(30),
      cancel: fc.boolean(),
      inRun: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 60 }), async (changes) => {
        const clock = new VirtualClock();
        const happened: [number, number][] = [];
        // What should happen: by event, in the order in which they were scheduled last.
        const due = new Map<number, number>();
        const events = Array.from(
          { length: 20 },
          (_, index) =>
            new Noted(() => {
              happened.push([index, clock.now()]);
              expect(due.get(index)).toBe(clock.now());
              const [soonest] = [...due].sort((a, b) => a[1] - b[1]);
              expect(soonest?.[0]).toBe(index);
              due.delete(index);
            }),
        );
        const apply = ({ event, atMs, cancel }: (typeof changes)[number]): void => {
          const one = events[event] as Noted;
          due.delete(event);
          if (cancel) clock.cancel(one);
          else {
            due.set(event, Math.max(atMs, clock.now()));
            clock.schedule(one, atMs);
          }
        };
        for (const each of changes) if (!each.inRun) apply(each);
        for (const each of changes) {
          if (!each.inRun) continue;
          await clock.run(clock.now() + 1);
          apply(each);
        }
        await clock.run(1_000);
        expect([due.size, clock.pending]).toEqual([0, 0]);
      }),
      runs(200),
    );
  });
});
