import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { SILENT } from '../../../desktop/main/log.ts';
import { type MeshView, NodeEvents } from '../../../desktop/main/node-events.ts';
import { until } from '../../support/wait.ts';

const listening: NodeEvents[] = [];
afterEach(() => {
  for (const events of listening.splice(0)) events.stop();
});

/** A node whose events the test writes. */
function setup() {
  let members = [{ node: 'a', name: 'desk' }];
  let peers: { readonly node: string; readonly state: string }[] = [];
  const streams: PassThrough[] = [];
  const joined: string[] = [];
  const views: MeshView[] = [];
  let status = 200;
  const events = new NodeEvents(
    {
      log: SILENT,
      onJoined: (name) => void joined.push(name),
      onChange: (view) => void views.push(view),
      link: {
        async send({ signal }) {
          const stream = new PassThrough();
          streams.push(stream);
          signal.addEventListener('abort', () => stream.destroy());
          return { status, headers: {}, body: stream as unknown as IncomingMessage };
        },
        ask: async (_method, path) => (path.endsWith('/members') ? { members } : { peers }),
      },
    },
    { retryMs: 5 },
  );
  listening.push(events);
  const say = (type: string, data: object): void => {
    streams.at(-1)?.write(`event: ${type}\ndata: ${JSON.stringify({ id: '1', type, atMs: 1, data })}\n\n`);
  };
  return {
    events,
    streams,
    joined,
    views,
    say,
    last: () => views.at(-1),
    set: (next: { members?: typeof members; peers?: typeof peers; status?: number }) => {
      members = next.members ?? members;
      peers = next.peers ?? peers;
      status = next.status ?? status;
    },
  };
}

const change = (node: string, state: string, name = node) => ({ node, name, state, models: [] });

describe('the events of the node', () => {
  it('count who is connected, and what was served for others', async () => {
    const { events, say, last, set } = setup();
    set({ peers: [{ node: 'b', state: 'connected' }] });
    events.nodeServes(true);
    await until('the first view', () => last()?.peers === 1);
    say('node', change('c', 'connected'));
    say('request', { requestId: '1', phase: 'ended', name: 'run', caller: 'b', status: 'ok' });
    say('request', { requestId: '2', phase: 'ended', name: 'POST', status: 'ok' });
    say('request', { requestId: '3', phase: 'begun', name: 'run', caller: 'b' });
    say('request', { requestId: '4', phase: 'ended', name: 'run', caller: 'b', status: 'error' });
    say('node', change('b', 'gone'));
    await until('the last view', () => last()?.served === 1 && last()?.peers === 1);
    events.nodeServes(false);
    expect(last()).toEqual({ peers: 0, served: 1 });
  });

  it('tell of members who are new, once, and not of those who were there', async () => {
    const { events, say, joined, last } = setup();
    events.nodeServes(true);
    await until('the first view', () => last() !== undefined);
    say('node', change('a', 'connected'));
    say('node', change('b', 'gone', 'attic'));
    say('node', change('b', 'connected', 'attic'));
    say('node', change('b', 'removed', 'attic'));
    say('node', change('b', 'connected', 'attic again'));
    await until('both', () => joined.length === 2);
    expect(joined).toEqual(['attic', 'attic again']);
  });

  it('are read anew after a break or a reset, and what is no event is passed over', async () => {
    const { events, streams, say, joined, last, set } = setup();
    events.nodeServes(true);
    await until('the first view', () => last() !== undefined);
    streams.at(-1)?.write('data: nonsense\n\ndata: {"type":"later","data":{}}\n\n: a comment\n\n');
    set({
      members: [
        { node: 'a', name: 'desk' },
        { node: 'b', name: 'attic' },
      ],
      peers: [{ node: 'b', state: 'connected' }],
    });
    say('reset', {});
    await until('the reset', () => last()?.peers === 1);
    streams.at(-1)?.end();
    await until('another stream', () => streams.length === 2);
    say('node', change('b', 'connected'));
    say('node', change('c', 'connected', 'cellar'));
    await until('the new one', () => joined.length > 0);
    expect(joined).toEqual(['cellar']);
  });

  it('are asked for again while the node refuses', async () => {
    const { events, streams, last, set } = setup();
    set({ status: 401 });
    events.nodeServes(true);
    await until('a second try', () => streams.length >= 2);
    set({ status: 200 });
    await until('a view', () => last() !== undefined);
  });
});
