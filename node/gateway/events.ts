// GET /api/v1/events: what happens on the node, while it happens, for the desktop, `weft top` and scripts. A watcher that
// comes back names the last event that it saw; whatever is still kept follows, or an event `reset` that says it isn't. And the same of
// the other nodes of the mesh, which decide themselves who may: /api/v1/nodes/{node}/events.
import { EventsQuery, USUAL_EVENT_TYPES, WATCHED_EVENT_TYPES } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { EventFeed, Watch, WatchOptions } from '../core/event-feed.ts';
import type { ManagedNodes } from '../core/manage.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';

export interface EventsComponents {
  readonly feed: EventFeed;
  readonly nodes: Pick<ManagedNodes, 'watch'>;
  readonly limits: Pick<GatewayLimits, 'watchersMax' | 'watcherKeepAliveMs'>;
}

/** How long a browser waits before it comes back. */
const RETRY_MS = 1_000;

const USUAL_OF_OTHERS = WATCHED_EVENT_TYPES.filter((type) => type !== 'pulse');

/** Tells until the signal aborts. */
type Source = (watch: Watch, options: WatchOptions) => Promise<never>;

/** The endpoints. */
export function events(components: EventsComponents): readonly Endpoint[] {
  const { feed, nodes, limits } = components;
  let watchers = 0;
  const endpoint = (url: string, usual: readonly string[], source: (exchange: Exchange) => Source): Endpoint => ({
    method: 'GET',
    url,
    async handle(exchange) {
      const { since, types = usual } = exchange.readQuery(EventsQuery);
      if (exchange.reply.request.method === 'HEAD') return '';
      if (watchers >= limits.watchersMax)
        throw new WeftError({ code: 'overloaded', message: 'Too many clients watch events through this node.' });
      watchers += 1;
      try {
        const header = exchange.reply.request.headers['last-event-id'];
        const seen = typeof header === 'string' ? header : since;
        const wanted = { seen, types: new Set<string>(types) };
        await watch(exchange, wanted, limits.watcherKeepAliveMs, source(exchange));
        return undefined;
      } finally {
        watchers -= 1;
      }
    },
  });
  return [
    endpoint('/api/v1/events', USUAL_EVENT_TYPES, () => (wanted, options) => feed.watch(wanted, options)),
    endpoint('/api/v1/nodes/:node/events', USUAL_OF_OTHERS, (exchange) => (wanted, options) => {
      const { requestId } = exchange;
      return nodes.watch(exchange.parameter('node'), wanted, { ...options, requestId });
    }),
  ];
}

/** Until the watcher is gone, is sent away because the node stops, or can't be told any more. */
async function watch(exchange: Exchange, wanted: Watch, markMs: number, source: Source): Promise<void> {
  const stream = exchange.eventStream();
  let marks = 0;
  try {
    await source(wanted, {
      signal: exchange.signal,
      markMs,
      onOpen: () => stream.open({}),
      onEvent: (event) => stream.send(event, { id: event.id, event: event.type }),
      onMark: (id) => stream.mark(id, marks++ === 0 ? RETRY_MS : undefined),
    });
  } catch (error) {
    // Whoever was told something comes back, and hears then why there is no more.
    if (!stream.opened) throw error;
    stream.end();
  }
}
