// Pausing what a node does for others, between real daemons.
import { describe, expect, it } from 'vitest';
import type { PeersAnswer } from '../../protocol/api/control.ts';
import { streamChat } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, ticketOf } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { until } from '../support/wait.ts';

const start = daemonsOfTest();

async function api<Answer>(daemon: Daemon, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${daemon.url}/api/v1/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

/** Waits until the edge's list of peers says this of the only other node. */
async function withheld(edge: Daemon, reason: 'paused' | 'unlent' | undefined): Promise<void> {
  await until(`the edge to be told: ${reason ?? 'nothing'}`, async () => {
    const { peers } = await api<PeersAnswer>(edge, 'peers');
    return peers.every((peer) => peer.state === 'connected' && peer.withheld === reason);
  });
}

interface Models {
  readonly models: readonly { readonly id: string }[];
}

describe('a node that has paused sharing', () => {
  it('is asked for nothing by its peers, serves itself, and shares again', async () => {
    const worker = await start();
    const edge = await start({ args: ['--offer', 'none', '--join', await ticketOf(worker)] });
    await connectedPeers(edge, 1);
    expect((await streamChat(edge, { maxTokens: 4 })).nodes).toEqual([worker.node]);

    expect(await api(worker, 'sharing', { paused: true })).toEqual({ paused: true, lends: false });
    expect(await api(worker, 'sharing')).toEqual({ paused: true, lends: false });
    await withheld(edge, 'paused');
    expect((await edge.weft('peers')).stdout).toContain('connected, paused');
    await until('the edge to hear of it', async () => (await api<Models>(edge, 'models')).models.length === 0);
    const refused = await fetch(`${edge.url}/v1/embeddings`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${edge.key}`,
        'content-type': 'application/json',
        'x-weft-deadline-ms': '500',
      },
      body: JSON.stringify({ model: 'minilm', input: 'nobody is there for it' }),
    });
    expect(refused.status).toBe(404);
    expect(await refused.text()).toContain('A node that takes no work of others now may have it');
    expect((await streamChat(worker, { maxTokens: 4 })).nodes).toEqual([worker.node]);

    await api(worker, 'sharing', { paused: false });
    await withheld(edge, undefined);
    await until('the edge to hear of it', async () => (await api<Models>(edge, 'models')).models.length > 0);
    expect((await streamChat(edge, { maxTokens: 4 })).nodes).toEqual([worker.node]);

    // For good, by a setting.
    expect((await worker.weft('config', 'set', 'lend', 'false')).code).toBe(0);
    await withheld(edge, 'unlent');
    // A pause that comes and goes says nothing new.
    await api(worker, 'sharing', { paused: true });
    await withheld(edge, 'unlent');
    await api(worker, 'sharing', { paused: false });
    await until('the edge to hear of it', async () => (await api<Models>(edge, 'models')).models.length === 0);
    expect(await api(worker, 'sharing')).toEqual({ paused: false, lends: false });
    expect((await streamChat(worker, { maxTokens: 4 })).nodes).toEqual([worker.node]);
    expect((await worker.weft('config', 'set', 'lend', 'true')).code).toBe(0);
    await withheld(edge, undefined);
    await until('the edge to hear of it', async () => (await api<Models>(edge, 'models')).models.length > 0);
  });
});
