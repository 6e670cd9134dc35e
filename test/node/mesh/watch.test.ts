// What happens on one node, told to another over a real connection: who may hear it, what crosses, and what each guard stops.
import { afterEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { EventFeed } from '../../../node/core/event-feed.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { ManagedNode } from '../../../node/core/manage.ts';
import type { Mesh, PeerCallOptions } from '../../../node/core/mesh.ts';
import type { Member, Role } from '../../../node/core/trust.ts';
import { WATCH_EVENTS_WAITING_MAX, WATCH_LENGTH_WAITING_MAX } from '../../../node/mesh/limits.ts';
import { PeerManagement } from '../../../node/mesh/peer-management.ts';
import { createManageGuards, type ManageGuards } from '../../../node/mesh/serve-manage.ts';
import { serveWatch } from '../../../node/mesh/serve-watch.ts';
import { EventLog, type EventLogInit } from '../../../node/telemetry/event-log.ts';
import type { ControlEvent } from '../../../protocol/api/control.ts';
import type { Managed } from '../../../protocol/capability.ts';
import type { WatchItem } from '../../../protocol/codec.ts';
import { WATCH_EVENT_BYTES_MAX } from '../../../protocol/limits.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { until } from '../../support/wait.ts';
import { recordingTelemetry } from '../gateway/support.ts';
import { makeKey, startPair, stopAll } from './support.ts';

afterEach(stopAll);

const here: ManagedNode = { perform: () => Promise.reject(new Error('not expected in this test')) };
const line = (message: string) => ({ atMs: 1, level: 'info' as const, message, fields: {} });

function feedOf(events: EventLog): EventFeed {
  const pulses = { stepMs: 5_000, history: () => [], watch: () => () => undefined };
  return new EventFeed({ clock: systemClock, random: systemRandom, events, pulses });
}

/** Watches and keeps what is told. */
function watching(nodes: PeerManagement, node: string, types: readonly string[], seen?: string) {
  const ended = new AbortController();
  const told: ControlEvent[] = [];
  const marks: string[] = [];
  let opened = 0;
  const end = nodes
    .watch(
      node,
      { types: new Set(types), seen },
      {
        signal: ended.signal,
        requestId: 'req_test',
        markMs: 60_000,
        onOpen: () => {
          opened += 1;
        },
        onEvent: (event) => told.push(event),
        onMark: (id) => marks.push(id),
      },
    )
    .catch((error: unknown) => error);
  return {
    told,
    marks,
    end,
    stop: () => ended.abort(),
    get opened() {
      return opened;
    },
  };
}

interface World {
  readonly role?: Role;
  readonly kept?: EventLogInit;
  readonly guards?: Partial<ManageGuards>;
}

/** A node on which things happen, and another that watches it. */
async function start({ role = 'admin', kept, guards }: World = {}) {
  const keys = { there: await makeKey(), here: await makeKey() };
  const events = new EventLog({ clock: systemClock, log: silentLog }, kept);
  const telemetry = recordingTelemetry();
  const members: Member[] = [{ node: keys.here.node, name: 'laptop', role }];
  const setting: { managed: Managed } = { managed: 'admins' };
  const membership = { members: () => members };
  let following = 0;
  const feed = feedOf(events);
  const subscribe = events.subscribe.bind(events);
  events.subscribe = (listener) => {
    following += 1;
    const unsubscribe = subscribe(listener);
    return () => {
      following -= 1;
      unsubscribe();
    };
  };
  const { a, b } = await startPair(
    {
      key: keys.there,
      prepare: (mesh) =>
        serveWatch({
          mesh,
          feed,
          telemetry,
          guards: { ...createManageGuards({ membership, managed: () => setting.managed }), ...guards },
        }),
    },
    { key: keys.here },
  );
  const nodes = new PeerManagement({
    mesh: b.mesh,
    membership: b.membership,
    here,
    feed: feedOf(new EventLog({ clock: systemClock, log: silentLog })),
  });
  const watch = (types: readonly string[], seen?: string) => watching(nodes, a.key.node, types, seen);
  return { a, b, nodes, events, watch, members, setting, telemetry, following: () => following };
}

describe('another node', () => {
  it('tells what happens there, of the kinds that are asked for', async () => {
    const { events, watch, following } = await start();
    events.publish('log', line('before'));
    const watcher = watch(['log', 'settings']);
    await until('the way to be open', () => watcher.marks.length === 1);
    events.publish('log', line('one'));
    events.publish('transfer', {});
    events.publish('settings', { lends: false });
    await until('both', () => watcher.told.length === 2);
    expect(watcher.told).toMatchObject([
      { type: 'log', data: { message: 'one' } },
      { type: 'settings', data: { lends: false } },
    ]);
    expect(watcher.opened).toBe(1);
    watcher.stop();
    expect(await watcher.end).toMatchObject({ code: 'cancelled' });
    await until('nothing to be left there', () => following() === 0);
  });

  it('goes on behind the last event that was seen, or says that some were missed', async () => {
    const { events, watch } = await start({ kept: { countMax: 3 } });
    const first = watch(['log']);
    await until('the way to be open', () => first.marks.length === 1);
    first.stop();
    await first.end;
    for (const text of ['a', 'b']) events.publish('log', line(text));
    const second = watch(['log'], first.marks[0]);
    await until('what was missed', () => second.told.length === 2);
    expect(second.told).toMatchObject([{ data: { message: 'a' } }, { data: { message: 'b' } }]);
    second.stop();
    await second.end;
    for (const text of ['c', 'd', 'e', 'f']) events.publish('log', line(text));
    for (const seen of [first.marks[0], 'zzzz-1', 'nonsense']) {
      const late = watch(['log'], seen);
      await until('to be told', () => late.marks.length === 1);
      expect(late.told).toMatchObject([{ type: 'reset' }]);
      late.stop();
      await late.end;
    }
  });

  it('tells nobody elsewhere of conversations', async () => {
    const { events, watch } = await start();
    const watcher = watch(['conversation', 'log']);
    await until('the way to be open', () => watcher.marks.length === 1);
    events.publish('conversation', { id: 'c', change: 'created' });
    events.publish('log', line('behind it'));
    await until('the line', () => watcher.told.length > 0);
    expect(watcher.told.map(({ type }) => type)).toEqual(['log']);
    watcher.stop();
    await watcher.end;
  });

  it('says that something was missed where an event is too large to travel', async () => {
    const { events, watch } = await start();
    const watcher = watch(['log']);
    await until('the way to be open', () => watcher.marks.length === 1);
    events.publish('log', line('x'.repeat(WATCH_EVENT_BYTES_MAX)));
    events.publish('log', line('small'));
    await until('both', () => watcher.told.length === 2);
    expect(watcher.told.map(({ type }) => type)).toEqual(['reset', 'log']);
    watcher.stop();
    await watcher.end;
  });

  it('that is lost is said to be', async () => {
    const { a, watch } = await start();
    const watcher = watch(['log']);
    await until('the way to be open', () => watcher.marks.length === 1);
    await a.mesh.stop();
    expect(await watcher.end).toMatchObject({ code: 'peer_lost' });
  });

  it('is this one where it is meant, and none where it is no member', async () => {
    const { b, nodes } = await start();
    const own = watching(nodes, b.mesh.self, ['log']);
    await until('the way to be open', () => own.marks.length === 1);
    own.stop();
    await own.end;
    expect(own.opened).toBe(1);
    const stranger = watching(nodes, '12D3KooWNobody', ['log']);
    expect(await stranger.end).toMatchObject({ code: 'not_found' });
    expect(stranger.opened).toBe(0);
  });

  it('that is too old is said to be', async () => {
    const { a, b } = await startPair();
    const feed = feedOf(new EventLog({ clock: systemClock, log: silentLog }));
    const nodes = new PeerManagement({ mesh: b.mesh, membership: b.membership, here, feed });
    const watcher = watching(nodes, a.key.node, ['log']);
    expect(await watcher.end).toMatchObject({ code: 'unsupported' });
    expect(watcher.opened).toBe(0);
  });
});

describe('guards', () => {
  it('refuse a plain member, and count it', async () => {
    const { watch, telemetry, following } = await start({ role: 'member' });
    const watcher = watch(['log']);
    expect(await watcher.end).toMatchObject({ code: 'forbidden' });
    expect([watcher.opened, following()]).toEqual([0, 0]);
    expect(telemetry.counted.map(({ labels }) => labels?.reason)).toEqual(['manage']);
  });

  it('twin: without the one for admins, a plain member reads the log', async () => {
    const { events, watch } = await start({ role: 'member', guards: { admin: () => undefined } });
    const watcher = watch(['log']);
    await until('the way to be open', () => watcher.marks.length === 1);
    events.publish('log', line('private'));
    await until('the line', () => watcher.told.length === 1);
    watcher.stop();
    await watcher.end;
  });

  it.each([
    ['an owner who wants none', ({ setting }: Awaited<ReturnType<typeof start>>) => (setting.managed = 'none')],
    ['the end of a role', ({ members }: Awaited<ReturnType<typeof start>>) => members.splice(0)],
  ])('end it for %s, before anything more is told', async (_what, change) => {
    const world = await start();
    const watcher = world.watch(['log']);
    await until('the way to be open', () => watcher.marks.length === 1);
    change(world);
    world.events.publish('log', line('private'));
    expect(await watcher.end).toMatchObject({ code: 'forbidden' });
    expect(watcher.told).toEqual([]);
    await until('nothing to be left there', () => world.following() === 0);
  });
});

describe('a watcher whose link is full', () => {
  /** The handler of `watch`, with a link that takes nothing until it is told to. */
  function stuck() {
    const events = new EventLog({ clock: systemClock, log: silentLog });
    const sent: WatchItem[] = [];
    const room: (() => void)[] = [];
    let handler: ((request: unknown, context: unknown) => Promise<unknown>) | undefined;
    serveWatch({
      mesh: { handle: (_method, given) => (handler = given as typeof handler) } as Pick<Mesh, 'handle'>,
      feed: feedOf(events),
      telemetry: recordingTelemetry(),
      guards: { admin: () => undefined, setting: () => undefined },
    });
    const ended = new AbortController();
    const end = handler?.(
      { types: ['log'], since: '' },
      {
        caller: 'b',
        signal: ended.signal,
        item: (item: WatchItem) => {
          sent.push(item);
          return new Promise<void>((resolve) => room.push(resolve));
        },
      },
    ).catch((error: unknown) => error);
    return { events, sent, room, stop: () => ended.abort(new Error('over')), end };
  }

  it('is told that it missed some, and costs no more than the bound', async () => {
    const { events, sent, room, stop, end } = stuck();
    for (let index = 0; index < 3 * WATCH_EVENTS_WAITING_MAX; index += 1) events.publish('log', line(String(index)));
    expect(sent).toHaveLength(1);
    let items = 0;
    while (room.length > 0) {
      room.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
      items += 1;
    }
    expect(items).toBeLessThanOrEqual(WATCH_EVENTS_WAITING_MAX + 1);
    const texts = sent.flatMap((item) => ('json' in item ? [JSON.parse(item.json) as ControlEvent] : []));
    expect(texts[0]).toMatchObject({ type: 'reset' });
    expect(texts.at(-1)).toMatchObject({ data: { message: String(3 * WATCH_EVENTS_WAITING_MAX - 1) } });
    stop();
    await end;
  });

  it('costs no more bytes than the bound, however large each event is', async () => {
    const { events, sent, room, stop, end } = stuck();
    const large = 'x'.repeat(50_000);
    for (let index = 0; index < 100; index += 1) events.publish('log', line(`${index} ${large}`));
    let told = 0;
    while (room.length > 0) {
      room.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
    }
    for (const item of sent) told += 'json' in item ? item.json.length : 0;
    expect(told).toBeLessThanOrEqual(WATCH_LENGTH_WAITING_MAX);
    expect(sent.some((item) => 'json' in item && item.json.includes('"reset"'))).toBe(true);
    stop();
    await end;
  });
});

describe('what a peer tells', () => {
  /** A peer that says whatever it likes. */
  async function toldBy(items: readonly WatchItem[]) {
    const call = (async (_node: string, method: unknown, _request: unknown, { onItem }: PeerCallOptions<WatchItem>) => {
      expect(method).toBe(PEER_METHODS.watch);
      for (const item of items) onItem?.(item);
    }) as unknown as Mesh['call'];
    const feed = feedOf(new EventLog({ clock: systemClock, log: silentLog }));
    const nodes = new PeerManagement({
      mesh: { self: 'a', call },
      membership: { isMember: () => true },
      here,
      feed,
    });
    const watcher = watching(nodes, 'b', ['log']);
    await watcher.end;
    return watcher;
  }

  const event = (over: object): WatchItem => ({
    json: JSON.stringify({ id: 'abc-1', type: 'log', atMs: 1, data: line('x'), ...over }),
  });

  it('is taken where it is an event that was asked for', async () => {
    const { told, marks } = await toldBy([event({}), { mark: 'abc-2' }, event({ type: 'reset', data: {} })]);
    expect(told.map(({ type }) => type)).toEqual(['log', 'reset']);
    expect(marks).toEqual(['abc-2']);
  });

  it.each([
    ['no JSON', { json: '{' }],
    ['no event', { json: '[1]' }],
    ['of a kind that nobody asked for', event({ type: 'settings', data: { lends: true } })],
    ['of a kind that only a later version knows', event({ type: 'weather' })],
    ['damaged', event({ data: { message: 5 } })],
    ['an id that would begin an event of its own', event({ id: 'abc-1\n\ndata: {}' })],
    ['a mark that would', { mark: 'abc-1\n\ndata: {}' }],
  ] satisfies [string, WatchItem][])('is passed over where it is %s', async (_what, item) => {
    const { told, marks } = await toldBy([item]);
    expect([told, marks]).toEqual([[], []]);
  });
});
