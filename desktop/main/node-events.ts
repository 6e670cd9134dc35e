// What the main process hears of its node: who is connected, who joined, what was computed for others. For the tray and for
// notifications; the pages listen for themselves.
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { EVENT_BYTES_MAX, EVENTS_RETRY_MS, MEMBERS_MAX } from './limits.ts';
import type { Log } from './log.ts';
import type { NodeLink } from './node-link.ts';

/** What of the node's answers and events is of use here; a newer node may say more. */
const Members = z.object({ members: z.array(z.object({ node: z.string(), name: z.string() })) });
const Peers = z.object({ peers: z.array(z.object({ node: z.string(), state: z.string() })) });
const NodeEvent = z.object({
  type: z.literal('node'),
  data: z.object({ node: z.string(), name: z.string(), state: z.string() }),
});
const RequestEvent = z.object({
  type: z.literal('request'),
  data: z.object({ phase: z.string(), caller: z.string().optional(), status: z.string().optional() }),
});
const Event = z.union([NodeEvent, RequestEvent, z.object({ type: z.literal('reset') })]);

export interface MeshView {
  /** Other members that are connected now. */
  readonly peers: number;
  /** Requests that were answered for other members since the app listens. */
  readonly served: number;
}

export interface NodeEventsComponents {
  readonly link: Pick<NodeLink, 'send' | 'ask'>;
  readonly log: Log;
  /** Somebody is a member who wasn't before. */
  readonly onJoined: (name: string) => void;
  readonly onChange: (view: MeshView) => void;
}

export class NodeEvents {
  readonly #components: NodeEventsComponents;
  readonly #retryMs: number;
  #members = new Set<string>();
  #connected = new Set<string>();
  #served = 0;
  #shown = '';
  #listening: AbortController | undefined;

  constructor(components: NodeEventsComponents, init: { readonly retryMs?: number } = {}) {
    this.#components = components;
    this.#retryMs = init.retryMs ?? EVENTS_RETRY_MS;
  }

  /** The node serves from now on; or it doesn't any more. */
  nodeServes(serves: boolean): void {
    if (serves === (this.#listening !== undefined)) return;
    this.#listening?.abort();
    this.#listening = undefined;
    if (serves) {
      const listening = new AbortController();
      this.#listening = listening;
      void this.#listen(listening.signal);
    } else {
      this.#connected.clear();
      this.#tell();
    }
  }

  stop(): void {
    this.nodeServes(false);
  }

  /** Never rejects. */
  async #listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#once(signal);
      } catch (error) {
        if (!signal.aborted) this.#components.log.info({ error }, 'the events of the node have ended');
      }
      if (!signal.aborted) await pause(this.#retryMs, signal);
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { link } = this.#components;
    const { status, body } = await link.send({
      method: 'GET',
      path: '/api/v1/events?types=node,request',
      headers: { accept: 'text/event-stream' },
      signal,
    });
    try {
      if (status !== 200) throw new Error(`The node answered ${status}.`);
      // After the stream is open: what happens meanwhile waits in it.
      await this.#readAll();
      for await (const line of createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line.startsWith('data:') && line.length <= EVENT_BYTES_MAX) await this.#heard(line.slice(5));
      }
    } finally {
      body.destroy();
    }
  }

  /** Who is there before the first event: none of them has just joined. */
  async #readAll(): Promise<void> {
    const { link } = this.#components;
    const { members } = Members.parse(await link.ask('GET', '/api/v1/members'));
    const { peers } = Peers.parse(await link.ask('GET', '/api/v1/peers'));
    this.#members = new Set(members.slice(0, MEMBERS_MAX).map(({ node }) => node));
    this.#connected = new Set(peers.filter(({ state }) => state === 'connected').map(({ node }) => node));
    this.#tell();
  }

  async #heard(text: string): Promise<void> {
    const event = Event.safeParse(parsed(text));
    if (!event.success) return; // Of a kind that is of no use here.
    const { data } = event;
    if (data.type === 'reset') {
      await this.#readAll();
      return;
    }
    if (data.type === 'request') {
      const { phase, caller, status } = data.data;
      if (phase === 'ended' && caller !== undefined && status === 'ok') this.#served += 1;
    } else {
      this.#nodeChanged(data.data);
    }
    this.#tell();
  }

  #nodeChanged({ node, name, state }: { readonly node: string; readonly name: string; readonly state: string }): void {
    if (state === 'connected') this.#connected.add(node);
    else this.#connected.delete(node);
    if (state === 'removed') {
      this.#members.delete(node);
    } else if (!this.#members.has(node) && this.#members.size < MEMBERS_MAX) {
      this.#members.add(node);
      this.#components.onJoined(name);
    }
  }

  #tell(): void {
    const view: MeshView = { peers: this.#connected.size, served: this.#served };
    const shown = JSON.stringify(view);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#components.onChange(view);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
