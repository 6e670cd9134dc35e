// GET /api/v1/events: what happens on the node, while it happens, for the desktop, `weft top` and scripts. A watcher that
// comes back names the last event that it saw; whatever is still kept follows, or an event `reset` that says it isn't.
import { type ControlEvent, EventsQuery, USUAL_EVENT_TYPES } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Clock, Random, Timer } from '../core/clock.ts';
import type { Events, NodeEvent } from '../core/events.ts';
import type { Pulses } from '../core/pulse.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { newId } from './ids.ts';
import type { GatewayLimits } from './limits.ts';
import type { EventStream } from './sse.ts';

export interface EventsComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly pulses: Pulses;
  readonly limits: Pick<GatewayLimits, 'watchersMax' | 'watcherKeepAliveMs'>;
}

/** How long a browser waits before it comes back. */
const RETRY_MS = 1_000;

/** Characters of the part of an id that stands for this run of the node. */
const RUN_LENGTH = 8;

/** The endpoint. */
export function events(components: EventsComponents): Endpoint {
  // Numbers begin anew at each start of the node: an id of another run must not pass for one of this.
  const run = newId(components.random, '').slice(0, RUN_LENGTH);
  let watchers = 0;
  return {
    method: 'GET',
    url: '/api/v1/events',
    async handle(exchange) {
      const { since, types = USUAL_EVENT_TYPES } = exchange.readQuery(EventsQuery);
      if (exchange.reply.request.method === 'HEAD') return '';
      if (watchers >= components.limits.watchersMax)
        throw new WeftError({ code: 'overloaded', message: 'Too many clients watch the events of this node.' });
      watchers += 1;
      try {
        const header = exchange.reply.request.headers['last-event-id'];
        const seen = typeof header === 'string' ? header : since;
        await watch(components, exchange, { run, seen, types: new Set<string>(types) });
        return undefined;
      } finally {
        watchers -= 1;
      }
    },
  };
}

interface Watch {
  readonly run: string;
  /** Id of the last event that the watcher saw. */
  readonly seen: string | undefined;
  readonly types: ReadonlySet<string>;
}

/** Resolves when the watcher is gone, or is sent away because the node stops. */
async function watch(
  { clock, events, pulses, limits }: EventsComponents,
  exchange: Exchange,
  init: Watch,
): Promise<void> {
  const stream = exchange.eventStream();
  const wireId = (id: number): string => `${init.run}-${id}`;
  const send = (event: NodeEvent): void => {
    if (!init.types.has(event.type)) return;
    const id = wireId(event.id);
    stream.send({ ...event, id }, { id, event: event.type });
  };
  stream.open({});
  const last = init.seen === undefined ? events.last : numberOf(init.seen, init.run);
  const missed = last === undefined ? undefined : events.since(last);
  if (missed === undefined) sendReset(stream, wireId(events.last), clock);
  for (const event of missed ?? []) send(event);
  stream.mark(wireId(events.last), RETRY_MS);
  // No await stands between the two: nothing falls into the gap.
  const unsubscribe = events.subscribe(send);
  // Not kept, and not to be taken up again: each has the id of the last event that is.
  const unwatch = init.types.has('pulse')
    ? pulses.watch((data) => {
        const id = wireId(events.last);
        stream.send({ id, type: 'pulse', atMs: data.atMs, data }, { id, event: 'pulse' });
      })
    : undefined;
  const keepAlive = every(clock, limits.watcherKeepAliveMs, () => stream.mark(wireId(events.last)));
  try {
    await new Promise<void>((resolve) => {
      if (exchange.signal.aborted) resolve();
      exchange.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    keepAlive.cancel();
    unsubscribe();
    unwatch?.();
    stream.end();
  }
}

function sendReset(stream: EventStream, id: string, clock: Clock): void {
  const reset: ControlEvent = { id, type: 'reset', atMs: clock.wallNow(), data: {} };
  stream.send(reset, { id, event: 'reset' });
}

/** The number of an id of this run, or a number alone; undefined for an id of another run. */
function numberOf(id: string, run: string): number | undefined {
  const digits = /^(?:([0-9a-z]+)-)?(\d{1,15})$/.exec(id);
  return digits === null || (digits[1] ?? run) !== run ? undefined : Number(digits[2]);
}

function every(clock: Clock, ms: number, callback: () => void): Timer {
  let timer: Timer;
  const again = (): void => {
    timer = clock.after(ms, () => {
      callback();
      again();
    });
  };
  again();
  return { cancel: () => timer.cancel() };
}
