// Events as watchers get them, and get them again.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeEvent } from '../../../node/core/events.ts';
import { EventLog, type EventLogInit } from '../../../node/telemetry/event-log.ts';
import { runs } from '../../support/property.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { recordingLog } from './support.ts';

function make(init?: EventLogInit) {
  const clock = new ManualClock();
  const log = recordingLog();
  return { clock, log, events: new EventLog({ clock, log }, init) };
}

describe('events', () => {
  it('are numbered from one, and given again behind any number that is still kept', () => {
    const { clock, events } = make();
    expect([events.last, events.since(0)]).toEqual([0, []]);
    events.publish('node', { a: 1 });
    clock.advance(7);
    events.publish('model', 'b');
    expect(events.last).toBe(2);
    expect(events.since(0)).toEqual([
      { id: 1, type: 'node', atMs: 0, data: { a: 1 } },
      { id: 2, type: 'model', atMs: 7, data: 'b' },
    ]);
    expect(events.since(1)?.map(({ id }) => id)).toEqual([2]);
    expect(events.since(2)).toEqual([]);
  });

  it('are bounded in number, and say so when some are gone', () => {
    const { events } = make({ countMax: 3 });
    for (let index = 1; index <= 5; index += 1) events.publish('node', index);
    expect(events.since(1)).toBeUndefined();
    expect(events.since(2)?.map(({ data }) => data)).toEqual([3, 4, 5]);
  });

  it('are bounded in bytes: one that is too large is handed out, and not kept', () => {
    const { events } = make({ bytesMax: 1_000 });
    const heard: number[] = [];
    events.subscribe(({ id }) => heard.push(id));
    events.publish('log', 'x'.repeat(400));
    events.publish('log', 'x'.repeat(400));
    events.publish('log', 'x'.repeat(400));
    expect(events.since(1)?.map(({ id }) => id)).toEqual([2, 3]);
    expect(events.since(0)).toBeUndefined();
    events.publish('log', 'x'.repeat(5_000));
    expect(events.since(3)).toBeUndefined();
    expect(events.since(4)).toEqual([]);
    expect(heard).toEqual([1, 2, 3, 4]);
  });

  it('behind a number of another life, or none at all, are not known', () => {
    const { events } = make();
    events.publish('node', 1);
    for (const id of [2, -1, Number.NaN, Number.POSITIVE_INFINITY]) expect(events.since(id)).toBeUndefined();
  });

  it('are either all given or reported as lost, whatever came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 300 })),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 64, max: 800 }),
        (sizes, countMax, bytesMax) => {
          const { events } = make({ countMax, bytesMax });
          const all: NodeEvent[] = [];
          events.subscribe((event) => all.push(event));
          for (const size of sizes) events.publish('log', 'x'.repeat(size));
          for (let id = 0; id <= sizes.length; id += 1) {
            const behind = events.since(id);
            if (behind !== undefined) expect(behind).toEqual(all.slice(id));
          }
          expect(events.since(sizes.length)).toEqual([]);
        },
      ),
      runs(100),
    );
  });

  it('that are no JSON value are left out and logged', () => {
    const { events, log } = make();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const data of [circle, 1n, undefined, () => 1]) events.publish('node', data);
    expect([events.last, log.lines.length]).toEqual([0, 4]);
  });
});

describe('listeners', () => {
  it('hear every event at once until they end their subscription', () => {
    const { events } = make();
    const heard: unknown[] = [];
    const end = events.subscribe(({ data }) => heard.push(data));
    events.publish('node', 1);
    end();
    events.publish('node', 2);
    expect(heard).toEqual([1]);
  });

  it('that throw are left out, once and with a line in the log, and harm nobody', () => {
    const { events, log } = make();
    const heard: unknown[] = [];
    events.subscribe(() => {
      throw new Error('a defect elsewhere');
    });
    events.subscribe(({ data }) => heard.push(data));
    events.publish('node', 1);
    events.publish('node', 2);
    expect(heard).toEqual([1, 2]);
    expect(log.lines).toHaveLength(1);
  });

  it('hear events in order, although one of them publishes another', () => {
    const { events } = make();
    const heard: unknown[] = [];
    events.subscribe(({ data }) => {
      if (data === 1) events.publish('node', 2);
    });
    events.subscribe(({ data }) => heard.push(data));
    events.publish('node', 1);
    expect(heard).toEqual([1, 2]);
  });

  it('may come and go while an event is handed out', () => {
    const { events } = make();
    const heard: string[] = [];
    const end = events.subscribe(() => {
      heard.push('a');
      end();
      events.subscribe(() => heard.push('b'));
    });
    events.publish('node', 1);
    events.publish('node', 2);
    expect(heard).toEqual(['a', 'b']);
  });
});
