// A member that is signed out is out at once: real member lists over a real network.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { overriding } from '../../../node/mesh/overriding.ts';
import type { MemberList } from '../../../node/trust/member-list.ts';
import { MemberPolicy } from '../../../node/trust/policy.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { connected, SOON, startNode, stateOf, stopAll } from '../mesh/support.ts';
import { bringIn, openNode } from '../trust/fakes.ts';

afterEach(stopAll);

const REQUEST = {
  model: { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` },
  ids: Int32Array.of(1),
  promptLength: 1,
  maxNewTokens: 1_000,
  stopIds: [],
  sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
};

/** Ada, an admin, and Ben, whose answer to her streams until it is told to end; so does hers to him. */
async function meshOfTwo(wrap: (list: MemberList) => MemberList = (list) => list) {
  const [ada, ben] = [await openNode('ada'), await openNode('ben')];
  await bringIn(ada.list, ben);
  const served: { readonly by: string; readonly signal: AbortSignal; readonly item: () => void }[] = [];
  const node = async ({ key, list }: typeof ada, bootstrap: () => readonly string[]): ReturnType<typeof startNode> => {
    const membership = wrap(list);
    return startNode({
      key,
      bootstrap,
      components: { membership, policy: new MemberPolicy({ membership }), log: silentLog },
      prepare: (mesh) =>
        mesh.handle(PEER_METHODS.generate, (_request, { signal, item }) => {
          let index = 0;
          const next = (): void => {
            item({ firstIndex: index, ids: [index] });
            index += 1;
          };
          served.push({ by: key.node, signal, item: next });
          next();
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          });
        }),
    });
  };
  const a = await node(ada, () => []);
  const b = await node(ben, () => a.mesh.addresses());
  await connected(a, b);
  const stream = async (from: typeof a, to: typeof a) => {
    const items: unknown[] = [];
    const ended = from.mesh
      .call(to.key.node, PEER_METHODS.generate, REQUEST, {
        signal: new AbortController().signal,
        requestId: 'req_1',
        onItem: (item) => items.push(item),
      })
      .then(
        () => 'ok',
        (error: { code: string }) => error.code,
      );
    await vi.waitFor(() => expect(items).toHaveLength(1), SOON);
    return { items, ended };
  };
  return { ada, ben, a, b, served, stream };
}

describe('a member that is revoked', () => {
  it('loses its connections and its streams, those to it and those from it', async () => {
    const { ada, ben, a, b, served, stream } = await meshOfTwo();
    const fromBen = await stream(b, a);
    const toBen = await stream(a, b);
    await ada.list.revoke(b.key.node, 'sold');
    expect(await toBen.ended).toBe('not_a_member');
    expect(await fromBen.ended).toBe('not_a_member');
    // He gets the word itself before his connection is cut.
    await vi.waitFor(() => expect(ben.list.isMember(b.key.node)).toBe(false), SOON);
    await vi.waitFor(() => expect(served.map(({ signal }) => signal.aborted)).toEqual([true, true]), SOON);
    expect(a.mesh.peer(b.key.node)).toBeUndefined();
    await vi.waitFor(() => expect(stateOf(b, a)).not.toBe('connected'), SOON);
  });

  it('is cut off although it does not listen', async () => {
    const { promise: never } = Promise.withResolvers<boolean>();
    // Until the network is up, they have to hear of each other.
    let listens = true;
    const { ada, a, b, served, stream } = await meshOfTwo((list) =>
      overriding(list, {
        merge: (statements) => (listens || list.self.name !== 'ben' ? list.merge(statements) : never),
      }),
    );
    listens = false;
    const fromBen = await stream(b, a);
    await ada.list.revoke(b.key.node, 'sold');
    // His work ends at once, whatever he does.
    expect(served.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(await fromBen.ended).toBe('not_a_member');
    await vi.waitFor(() => expect(stateOf(b, a)).not.toBe('connected'), SOON);
  });

  it('would go on with its streams if the network did not hear of it', async () => {
    const deaf = (list: MemberList): MemberList =>
      new Proxy(list, {
        get: (target, name) => {
          if (name === 'onChange') return () => () => undefined;
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    const { ada, a, b, served, stream } = await meshOfTwo(deaf);
    const { items, ended } = await stream(b, a);
    await ada.list.revoke(b.key.node, 'sold');
    served.find(({ by }) => by === a.key.node)?.item();
    await vi.waitFor(() => expect(items).toHaveLength(2), SOON);
    await stopAll();
    await ended;
  });
});
