// GET /api/v1/events: one stream of what happens, that can be taken up again.
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import type { ManagedNodes } from '../../../node/core/manage.ts';
import type { Pulse, Pulses } from '../../../node/core/pulse.ts';
import type { GatewayLimits } from '../../../node/gateway/limits.ts';
import { EventLog, type EventLogInit } from '../../../node/telemetry/event-log.ts';
import { ControlEvent, HistoryAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { until } from '../../support/wait.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { head, KEY, OTHER, RawClient, type RunningGateway, startGateway } from './support.ts';

async function start(limits: Partial<GatewayLimits> = {}, init?: EventLogInit) {
  const events = new EventLog({ clock: new ManualClock(), log: silentLog }, init);
  const gateway = await startGateway({ control: { events }, limits });
  return { ...gateway, events };
}

/** One block of the stream: its fields. */
type Block = Readonly<Record<string, string>>;

/** Reads the stream as an EventSource does. */
class Watcher {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #controller: AbortController;
  #text = '';
  /** Id of the last block that had one. */
  lastId = '';

  private constructor(response: Response, controller: AbortController) {
    this.response = response;
    this.#controller = controller;
    const decoder = new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>;
    this.#reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(decoder).getReader();
  }

  static async open(
    { url }: Pick<RunningGateway, 'url'>,
    query = '',
    headers: Record<string, string> = {},
    path = '/api/v1/events',
  ): Promise<Watcher> {
    const controller = new AbortController();
    const response = await fetch(`${url}${path}${query}`, {
      headers: { authorization: `Bearer ${KEY}`, ...headers },
      signal: controller.signal,
    });
    return new Watcher(response, controller);
  }

  async block(): Promise<Block | undefined> {
    while (!this.#text.includes('\n\n')) {
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
    const at = this.#text.indexOf('\n\n');
    const lines = this.#text.slice(0, at).split('\n');
    this.#text = this.#text.slice(at + 2);
    const block = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
    this.lastId = block.id ?? this.lastId;
    return block;
  }

  /** The next block with data. */
  async event(): Promise<ControlEvent> {
    for (;;) {
      const block = await this.block();
      if (block === undefined) throw new Error('the stream ended');
      if (block.data === undefined) continue;
      const event = ControlEvent.parse(JSON.parse(block.data));
      expect([block.event, block.id]).toEqual([event.type, event.id]);
      return event;
    }
  }

  close(): void {
    this.#controller.abort();
  }
}

const model = (id: string) => ({ id, state: 'loaded' as const });

const transfer = {
  id: 'tr_1',
  kind: 'pull',
  model: 'owner/model',
  phase: 'fetching',
  chosen: [],
  totalBytes: 10,
  doneBytes: 5,
  hereBytes: 0,
  bytesPerSecond: 1,
  sources: [{ kind: 'hub', name: 'hub.example', bytes: 5, bytesPerSecond: 1, state: 'active' }],
} as const;

describe('a watcher', () => {
  it('gets what happens from now on, each with type, id and time', async () => {
    const { url, events } = await start();
    events.publish('model', model('before'));
    const watcher = await Watcher.open({ url });
    expect(watcher.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    // It knows where it is before anything happens.
    expect(await watcher.block()).toEqual({ retry: '1000', id: expect.stringMatching(/^[0-9a-z]{8}-1$/) });
    events.publish('model', model('a'));
    events.publish('transfer', transfer);
    expect(await watcher.event()).toEqual({
      id: watcher.lastId,
      type: 'model',
      atMs: 0,
      data: { id: 'a', state: 'loaded' },
    });
    expect(await watcher.event()).toMatchObject({ type: 'transfer', data: transfer });
    watcher.close();
  });

  it('that comes back gets what it missed, by the header or by the query', async () => {
    const { url, events } = await start();
    const first = await Watcher.open({ url });
    events.publish('model', model('a'));
    await first.event();
    first.close();
    for (const id of ['b', 'c']) events.publish('model', model(id));
    const byHeader = await Watcher.open({ url }, '?since=0', { 'last-event-id': first.lastId });
    const byQuery = await Watcher.open({ url }, `?since=${first.lastId}`);
    const all = await Watcher.open({ url }, '?since=0');
    events.publish('model', model('d'));
    for (const [watcher, expected] of [
      [byHeader, 'bcd'],
      [byQuery, 'bcd'],
      [all, 'abcd'],
    ] as const) {
      for (const id of expected) expect(await watcher.event()).toMatchObject({ data: { id } });
      watcher.close();
    }
  });

  it('that missed more than is kept is told so, and goes on from there', async () => {
    const { url, events } = await start({}, { countMax: 2 });
    const first = await Watcher.open({ url });
    await first.block();
    first.close();
    for (const id of ['a', 'b', 'c']) events.publish('model', model(id));
    const second = await Watcher.open({ url }, '', { 'last-event-id': first.lastId });
    expect(await second.event()).toMatchObject({ type: 'reset' });
    events.publish('model', model('d'));
    expect(await second.event()).toMatchObject({ data: { id: 'd' } });
    second.close();
    const third = await Watcher.open({ url }, `?since=${second.lastId}`);
    events.publish('model', model('e'));
    expect(await third.event()).toMatchObject({ data: { id: 'e' } });
    third.close();
  });

  it.each(['zzzzzzzz-1', '99', 'nonsense', '-1', '1e0', `${'9'.repeat(40)}`])(
    'that comes with an id of no event of this run (%s) is told to read anew',
    async (since) => {
      const { url, events } = await start();
      events.publish('model', model('a'));
      const watcher = await Watcher.open({ url }, `?since=${since}`);
      expect(await watcher.event()).toMatchObject({ type: 'reset' });
      watcher.close();
    },
  );

  it('gets the types that it asked for, and no others', async () => {
    const { url, events } = await start();
    const watcher = await Watcher.open({ url }, '?types=model,log');
    events.publish('transfer', {});
    events.publish('model', model('a'));
    expect(await watcher.event()).toMatchObject({ type: 'model' });
    watcher.close();
    const refused = await Watcher.open({ url }, '?types=model,weather');
    expect(refused.response.status).toBe(400);
    refused.close();
  });

  it('hears that the connection is alive, and where it is, while nothing of its types happens', async () => {
    const { url, events } = await start({ watcherKeepAliveMs: 5 });
    const watcher = await Watcher.open({ url }, '?types=log');
    await watcher.block();
    events.publish('model', model('a'));
    await until('a mark behind the event', async () => (await watcher.block())?.id?.endsWith('-1'));
    watcher.close();
  });

  it('that asks for the headers alone gets no stream', async () => {
    const { url } = await start();
    const answer = await fetch(`${url}/api/v1/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${KEY}` },
    });
    expect(answer.status).toBe(200);
  });

  it('is sent away when the node stops', async () => {
    const { url, gateway } = await start();
    const watcher = await Watcher.open({ url });
    await watcher.block();
    await gateway.stop();
    expect(await watcher.block()).toBeUndefined();
  });
});

describe('a watcher of another node', () => {
  type WatchOf = ManagedNodes['watch'];

  async function startOther(watch: WatchOf, limits: Partial<GatewayLimits> = {}) {
    const nodes = { manage: () => Promise.reject(new Error('not expected in this test')), watch };
    return startGateway({ components: { nodes }, limits });
  }

  const open = (url: string, query = '', headers: Record<string, string> = {}) =>
    Watcher.open({ url }, query, headers, `/api/v1/nodes/${OTHER}/events`);

  it('is told what that node tells, and comes back behind it', async () => {
    const asked: unknown[] = [];
    const { url, gateway } = await startOther(async (node, { types, seen }, { onOpen, onEvent, onMark, signal }) => {
      asked.push({ node, types: [...types], seen });
      onOpen();
      onMark('abc-1');
      onEvent({ id: 'abc-2', type: 'model', atMs: 1, data: model('a') });
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      throw signal.reason;
    });
    const first = await open(url, '?types=model');
    expect(await first.block()).toEqual({ retry: '1000', id: 'abc-1' });
    expect(await first.event()).toMatchObject({ id: 'abc-2', data: { id: 'a' } });
    first.close();
    await until('the watch to end', () => gateway.requestsInFlight === 0);
    const second = await open(url, '', { 'last-event-id': first.lastId });
    await second.block();
    second.close();
    expect(asked).toEqual([
      { node: OTHER, types: ['model'], seen: undefined },
      { node: OTHER, types: ['node', 'model', 'request', 'transfer', 'settings', 'log'], seen: 'abc-2' },
    ]);
  });

  it.each([
    ['forbidden', 403],
    ['unsupported', 400],
    ['peer_unreachable', 503],
  ] as const)('is refused with what that node says: %s, %i', async (code, status) => {
    const { call } = await startOther(async () => {
      throw new WeftError({ code, message: 'No.' });
    });
    const response = await call(`/api/v1/nodes/${OTHER}/events`);
    expect([response.status, await response.json()]).toMatchObject([status, { error: { weft_code: code } }]);
  });

  it('loses its stream with that node, and counts among the watchers of this one', async () => {
    const lost = Promise.withResolvers<never>();
    const { url } = await startOther(
      (_node, _watch, { onOpen, onMark }) => {
        onOpen();
        onMark('abc-1');
        return lost.promise;
      },
      { watchersMax: 1 },
    );
    const watcher = await open(url);
    await watcher.block();
    const own = await Watcher.open({ url });
    expect(own.response.status).toBe(429);
    own.close();
    lost.reject(new WeftError({ code: 'peer_lost', message: 'Gone.' }));
    expect(await watcher.block()).toBeUndefined();
  });
});

describe('watchers', () => {
  it('are bounded in number, and one that leaves makes room', async () => {
    const { url, gateway } = await start({ watchersMax: 1 });
    const first = await Watcher.open({ url });
    await first.block();
    const second = await Watcher.open({ url });
    expect(second.response.status).toBe(429);
    second.close();
    first.close();
    await until('the first to be gone', () => gateway.requestsInFlight === 0);
    const third = await Watcher.open({ url });
    expect(third.response.status).toBe(200);
    third.close();
  });

  it('leave no listener behind', async () => {
    const { url, events, gateway } = await start();
    const listening = new Set<unknown>();
    const subscribe = events.subscribe.bind(events);
    events.subscribe = (listener) => {
      listening.add(listener);
      const end = subscribe(listener);
      return () => {
        listening.delete(listener);
        end();
      };
    };
    const watcher = await Watcher.open({ url });
    await watcher.block();
    expect(listening.size).toBe(1);
    watcher.close();
    await until('the watcher to be gone', () => gateway.requestsInFlight === 0);
    expect(listening.size).toBe(0);
  });
});

describe('a watcher that does not read', () => {
  const flood = async (limits: Partial<GatewayLimits>) => {
    const { port, events, gateway } = await start(limits);
    const client = new RawClient(port);
    client.write(head('GET /api/v1/events'));
    await client.until('id: ');
    client.socket.pause();
    const line = { atMs: 0, level: 'info', message: 'x'.repeat(60_000), fields: {} };
    for (let index = 0; index < 400; index += 1) events.publish('log', line);
    return { gateway, client };
  };

  it('loses its connection when more waits for it than the bound', async () => {
    const { gateway } = await flood({ streamBufferBytesMax: 1 << 20 });
    await until('the watcher to be cut off', () => gateway.requestsInFlight === 0);
  });

  it('would hold everything in memory without the bound', async () => {
    const { gateway, client } = await flood({ streamBufferBytesMax: Number.POSITIVE_INFINITY });
    expect(gateway.requestsInFlight).toBe(1);
    client.socket.destroy();
    await until('its end', () => gateway.requestsInFlight === 0);
  });
});

describe('pulses', () => {
  const pulse = (atMs: number) => ({
    atMs,
    self: {
      requestsInFlight: 0,
      queuedMs: 0,
      memoryFreeBytes: 1,
      memoryUsedBytes: 1,
      tokensPerSecond: 0,
      local: 0,
      remote: 0,
    },
    peers: [],
  });

  /** Pulses that a test gives, and how many watch them. */
  async function startPulses() {
    const events = new EventLog({ clock: new ManualClock(), log: silentLog });
    const watchers = new Set<(pulse: Pulse) => void>();
    const history = Array.from({ length: 720 }, (_, index) => pulse(index));
    const pulses: Pulses = {
      stepMs: 5_000,
      history: () => history,
      watch: (listener) => {
        watchers.add(listener);
        return () => watchers.delete(listener);
      },
    };
    const gateway = await startGateway({ control: { events, pulses } });
    const beat = (atMs: number): void => {
      for (const call of watchers) call(pulse(atMs));
    };
    return { ...gateway, events, watchers, beat };
  }

  it('come to those who name them, with the id of the last event', async () => {
    const { events, beat, watchers, ...gateway } = await startPulses();
    const watcher = await Watcher.open(gateway, '?types=pulse,model');
    await watcher.block();
    events.publish('model', model('one'));
    const { id } = await watcher.event();
    beat(7);
    beat(8);
    expect(await watcher.event()).toEqual({ id, type: 'pulse', atMs: 7, data: pulse(7) });
    expect(await watcher.event()).toMatchObject({ id, atMs: 8 });
    // Who comes back misses none of the others, and gets none of these again.
    events.publish('model', model('two'));
    const back = await Watcher.open(gateway, `?types=pulse,model&since=${id}`);
    expect(await back.event()).toMatchObject({ type: 'model', data: { id: 'two' } });
    watcher.close();
    back.close();
    await until('nobody to watch', () => watchers.size === 0);
  });

  it('push no event out, and are not taken where nobody names them', async () => {
    const { events, beat, watchers, ...gateway } = await startPulses();
    events.publish('model', model('one'));
    const watcher = await Watcher.open(gateway);
    await watcher.block();
    expect(watchers.size).toBe(0);
    for (let beats = 0; beats < 5_000; beats += 1) beat(beats);
    expect(events.since(0)).toHaveLength(1);
    watcher.close();
  });

  it('of the last hour, or less, are one answer', async () => {
    const { call } = await startPulses();
    const read = async (query: string) => HistoryAnswer.parse(await (await call(`/api/v1/history${query}`)).json());
    expect(await read('')).toMatchObject({ stepMs: 5_000, pulses: { length: 720 } });
    const { pulses } = await read('?minutes=2');
    expect([pulses.length, pulses.at(-1)?.atMs]).toEqual([24, 719]);
    for (const query of ['?minutes=0', '?minutes=61', '?minutes=x', '?other=1']) {
      expect((await call(`/api/v1/history${query}`)).status).toBe(400);
    }
  });
});
