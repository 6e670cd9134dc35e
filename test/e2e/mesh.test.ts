// Daemons that find each other, work for each other, and keep strangers out.
import { describe, expect, it } from 'vitest';
import { clientOf, streamChat } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, ticketOf } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { until } from '../support/wait.ts';

const start = daemonsOfTest();
interface PeersAnswer {
  readonly peers: {
    readonly node: string;
    readonly state: string;
    readonly link?: { readonly rttMs?: number } | null;
    readonly hardware?: object;
    readonly offers: object[];
  }[];
}
const peersOf = async (daemon: Daemon): Promise<PeersAnswer['peers']> =>
  (JSON.parse((await daemon.weft('peers', '--json')).stdout) as PeersAnswer).peers;

describe('a mesh of two', () => {
  it('lets a node that offers nothing answer through its peer', async () => {
    const worker = await start();
    const edge = await start({ args: ['--offer', 'none', '--join', await ticketOf(worker)] });
    await connectedPeers(edge, 1);
    const openai = clientOf(edge);
    const models = (await openai.models.list()).data.map(({ id }) => id);
    expect(models).toContain('HuggingFaceTB/SmolLM2-135M-Instruct');

    const chat = await streamChat(edge, { maxTokens: 12 });
    expect(chat.nodes).toEqual([worker.node]);
    expect(chat.text).toBe((await streamChat(worker, { maxTokens: 12 })).text);

    const { data, response } = await openai.embeddings
      .create({ model: 'minilm', input: 'Hello world!', encoding_format: 'float' })
      .withResponse();
    expect(response.headers.get('x-weft-node')).toBe(worker.node);
    expect(data.data[0]?.embedding[0]).toBeCloseTo(-0.02238, 3);

    const ran = await edge.weft('run', 'smollm2', '--max-tokens', '8', '--temperature', '0', 'Hi');
    expect(ran.stderr + ran.stdout).toMatch(new RegExp(`${worker.node.slice(-6)}|${worker.name}`));
    const loaded = JSON.parse((await edge.weft('ps', '--json')).stdout) as { models: object[] };
    expect(loaded.models).toEqual([]);
  });

  it('joins a running daemon, and shows each the other with hardware, models, RTT and load', async () => {
    const [first, second] = [await start(), await start()];
    await pair(first, second);
    for (const [here, there] of [
      [first, second],
      [second, first],
    ] as const) {
      const peer = await until(`${there.name} among the peers`, async () =>
        (await peersOf(here)).find(
          ({ node, state, link }) => node === there.node && state === 'connected' && typeof link?.rttMs === 'number',
        ),
      );
      expect(peer.hardware).toBeDefined();
      expect(peer.offers.length).toBe(2);
    }
  });

  it('answers 503 soon when the only node that could do it is gone', async () => {
    const worker = await start();
    const edge = await start({ args: ['--offer', 'none', '--join', await ticketOf(worker)] });
    await connectedPeers(edge, 1);
    await streamChat(edge, { maxTokens: 2 });
    worker.kill('SIGKILL');
    const error = await streamChat(edge, { maxTokens: 2 }).then(
      () => undefined,
      (thrown: unknown) => thrown as { status?: number },
    );
    expect([404, 503]).toContain(error?.status);
    expect(error?.status).toBe(503);
  });
});

describe('three nodes', () => {
  it('lets two that know only a third find and use each other', async () => {
    const hub = await start({ args: ['--offer', 'none'] });
    const worker = await start({ args: ['--join', await ticketOf(hub)] });
    const edge = await start({ args: ['--offer', 'none', '--join', await ticketOf(hub)] });
    await connectedPeers(edge, 1);
    expect((await streamChat(edge, { maxTokens: 4 })).nodes).toEqual([worker.node]);
    await hub.stop();
    expect((await streamChat(edge, { maxTokens: 4 })).nodes).toEqual([worker.node]);
  });
});

describe('a stranger', () => {
  it('that was not invited is no peer of anyone', async () => {
    const [member, stranger] = [await start(), await start()];
    const wrong = await stranger.weft('join', `${(await ticketOf(member)).slice(0, -4)}abcd`);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toMatch(/ticket/i);
    expect(await peersOf(member)).toEqual([]);
    expect(await peersOf(stranger)).toEqual([]);
  });

  it('with a ticket that was used already is turned away', async () => {
    const member = await start();
    const ticket = await ticketOf(member);
    const newcomer = await start();
    expect((await newcomer.weft('join', ticket)).code).toBe(0);
    const late = await start();
    const refused = await late.weft('join', ticket);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/weft invite/);
  });
});
