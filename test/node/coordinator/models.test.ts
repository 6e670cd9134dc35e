import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../../node/coordinator/model-names.ts';
import type { AvailableModel } from '../../../node/core/dispatcher.ts';
import type { ModelState } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { offer } from '../scheduler/builders.ts';
import {
  available,
  BundledTransfer,
  bundledOffers,
  bundledStore,
  encoding,
  fakeCoordinator,
  generating,
} from './fakes.ts';

const model = (
  id: string,
  init: { nodes?: string[]; states?: ModelState[]; digest?: string; aliases?: string[] } = {},
): AvailableModel => {
  const { nodes = ['a'], digest = id, aliases = [] } = init;
  const states = init.states ?? nodes.map(() => 'loaded' as const);
  return { offer: offer({ model: { id, digest }, aliases }), nodes, states };
};

describe('a name', () => {
  const models = [model('a/chat', { aliases: ['chatty'] }), model('b/other'), model('c/twin'), model('d/twin')];
  const find = (name: string, from = models) => findModel(from, name, 'text-generation', 'self').offer.model.id;

  it('is a hub id, a short name, or the unique last part of an id, in any case', () => {
    expect(['a/chat', 'A/Chat', 'chatty', 'Chatty', 'chat', 'OTHER', 'c/twin'].map((name) => find(name))).toEqual([
      'a/chat',
      'a/chat',
      'a/chat',
      'a/chat',
      'a/chat',
      'b/other',
      'c/twin',
    ]);
  });

  it('that fits no model is refused with the names of those that there are', () => {
    expect(() => find('gpt-4')).toThrow(
      'There is no model "gpt-4" in this mesh. It has chatty, b/other, c/twin, d/twin.',
    );
    expect(() => find('')).toThrow(expect.objectContaining({ code: 'model_not_found', status: 404 }));
    expect(() => find('x', [])).toThrow('It has none at the moment.');
    expect(() => find('x'.repeat(5000))).toThrow(/"x{96}…"/);
    const many = Array.from({ length: 20 }, (_, index) => model(`o/m${index}`));
    expect(() => find('x', many)).toThrow('o/m11, and 8 more.');
  });

  it('that fits no model may be that of one on nodes that take no work', () => {
    const refused =
      (nodes: number, from = models) =>
      () =>
        findModel(from, 'x', undefined, 'self', () => nodes);
    expect(refused(0)).toThrow(/d\/twin\.$/);
    expect(refused(1, [])).toThrow(
      'It has none at the moment. A node that takes no work of others now may have it: `weft peers` shows which.',
    );
    expect(refused(2)).toThrow('2 nodes that take no work of others now may have it');
  });

  it('that fits two models is refused with both', () => {
    expect(() => find('twin')).toThrow('"twin" could be c/twin or d/twin.');
  });

  it('means the bytes that can run now, here before elsewhere, on many nodes before few', () => {
    const same = (digest: string, nodes: string[], states?: ModelState[]) =>
      model('a/chat', { digest, nodes, ...(states === undefined ? {} : { states }) });
    const best = (...list: AvailableModel[]) => findModel(list, 'chat', 'text-generation', 'self').offer.model.digest;
    expect(best(same('1', ['a']), same('2', ['a', 'b']))).toBe('2');
    expect(best(same('1', ['a', 'b']), same('2', ['self']))).toBe('2');
    expect(best(same('1', ['self'], ['quarantined']), same('2', ['a']))).toBe('2');
    expect(best(same('1', []), same('2', ['a']))).toBe('2');
  });

  it('of a model whose nodes are all away, or that is for something else, is an error of its own', () => {
    expect(() => find('chat', [model('a/chat', { nodes: [] })])).toThrow(
      expect.objectContaining({ code: 'no_capable_node', status: 503 }),
    );
    expect(() => findModel(models, 'chat', 'feature-extraction', 'self')).toThrow(
      expect.objectContaining({
        code: 'bad_request',
        message: 'a/chat answers chats: use /v1/chat/completions, or `weft run`.',
      }),
    );
  });
});

describe('the coordinator', () => {
  let store: Awaited<ReturnType<typeof bundledStore>>;
  beforeAll(async () => {
    store = await bundledStore();
  });
  afterAll(() => store[Symbol.asyncDispose]());
  const never = new AbortController().signal;
  const options = { signal: never, requestId: 'req' };
  const hello = { model: 'minilm', inputs: ['hello'] };

  it('lists each model once, with its nodes, and none that nobody can run', () => {
    const models = [
      model('a/chat', { nodes: ['self', 'b'], states: ['disk', 'loaded'] }),
      model('a/chat', { nodes: ['c'], digest: 'other' }),
      model('b/sick', { states: ['quarantined'] }),
      model('c/away', { nodes: [] }),
    ];
    const { coordinator } = fakeCoordinator({ store, models });
    expect(coordinator.models()).toEqual([
      {
        id: 'a/chat',
        aliases: [],
        task: 'text-generation',
        contextLength: 8192,
        dimensions: 0,
        sizeBytes: 108e6,
        nodes: [
          { node: 'self', name: 'name of self', state: 'disk', self: true },
          { node: 'b', name: 'name of b', state: 'loaded', self: false },
        ],
      },
    ]);
  });

  it('lists the forms of a model, and takes a request for one by its name', async () => {
    const q4 = model('a/chat', { nodes: ['self'], digest: 'sha256:1' });
    const models = [
      { ...q4, offer: { ...q4.offer, precision: 'q4' } },
      { ...q4, nodes: ['b'], offer: { ...q4.offer, model: { id: 'a/chat', digest: 'sha256:2' }, precision: 'fp16' } },
      ...available(bundledOffers(store)),
    ];
    const { coordinator } = fakeCoordinator({ store, models, encode: encoding });
    const [chat, ...rest] = coordinator.models();
    expect(chat).toMatchObject({
      precision: 'q4',
      forms: [
        { form: 'q4', nodes: [{ node: 'self' }] },
        { form: 'fp16', nodes: [{ node: 'b' }] },
      ],
    });
    expect(rest.map(({ forms }) => forms)).toEqual(rest.map(() => undefined));
    const named = { model: 'minilm:int8', inputs: ['hello'] };
    expect((await coordinator.embed(named, options)).promptTokens).toBe(3);
    await expect(coordinator.embed({ ...named, model: 'minilm:q4' }, options)).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'No node of this mesh offers "q4" of Xenova/all-MiniLM-L6-v2. It has int8.',
    });
  });

  it('takes the tokenizer of a model that is elsewhere from its peers: once, small files only, and keeps it', async () => {
    await using empty = await bundledStore([]);
    const transfer = new BundledTransfer(store);
    const models = available(bundledOffers(store), ['peer', 'other']);
    const { coordinator } = fakeCoordinator({ store: empty, transfer, models, encode: encoding });
    const answers = await Promise.all([coordinator.embed(hello, options), coordinator.embed(hello, options)]);
    expect(answers.map((answer) => answer.promptTokens)).toEqual([3, 3]);
    expect(new Set(transfer.fetched).size).toBe(transfer.fetched.length);
    expect(transfer.sources[0]).toEqual(['peer', 'other']);
    const digest = store.find('minilm')?.ref.digest ?? '';
    const large = store.byDigest(digest)?.manifest.files.find((file) => file.path.endsWith('.onnx'))?.sha256;
    expect(transfer.fetched).not.toContain(large);

    const count = transfer.fetched.length;
    const restarted = fakeCoordinator({ store: empty, transfer, models, encode: encoding });
    await restarted.coordinator.embed(hello, options);
    expect(transfer.fetched.length).toBe(count);
  });

  it('goes on fetching for the others when one caller leaves', async () => {
    await using empty = await bundledStore([]);
    const transfer = new BundledTransfer(store);
    const gate = Promise.withResolvers<void>();
    const slow = {
      fetchManifest: (digest: string) => transfer.fetchManifest(digest),
      fetch: async (...args: Parameters<BundledTransfer['fetch']>) => {
        await gate.promise;
        return transfer.fetch(...args);
      },
    };
    const models = available(bundledOffers(store), ['peer']);
    const { coordinator } = fakeCoordinator({ store: empty, transfer: slow, models, encode: encoding });
    const abort = new AbortController();
    const leaves = coordinator.embed(hello, { ...options, signal: abort.signal });
    const stays = coordinator.embed(hello, options);
    abort.abort();
    await expect(leaves).rejects.toMatchObject({ code: 'cancelled' });
    gate.resolve();
    await expect(stays).resolves.toMatchObject({ promptTokens: 3 });
  });

  it('tries again after a fetch that failed, and trusts no manifest but the one that was named', async () => {
    await using empty = await bundledStore([]);
    const transfer = new BundledTransfer(store);
    const smol = store.find('smollm2')?.ref.digest ?? '';
    let attempt = 0;
    const flaky = {
      fetch: (...args: Parameters<BundledTransfer['fetch']>) => transfer.fetch(...args),
      fetchManifest: async (digest: string) => {
        attempt++;
        if (attempt === 1) throw new WeftError({ code: 'peer_lost', message: 'gone' });
        return transfer.fetchManifest(attempt === 2 ? smol : digest);
      },
    };
    const models = available(bundledOffers(store), ['peer']);
    const { coordinator } = fakeCoordinator({ store: empty, transfer: flaky, models, encode: encoding });
    await expect(coordinator.embed(hello, options)).rejects.toMatchObject({ code: 'peer_lost' });
    await expect(coordinator.embed(hello, options)).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(coordinator.embed(hello, options)).resolves.toMatchObject({ promptTokens: 3 });
  });

  it('answers a chat whose model only a peer has', async () => {
    await using empty = await bundledStore([]);
    const transfer = new BundledTransfer(store);
    const models = available(bundledOffers(store), ['peer']);
    const generate = generating([2], ['peer']);
    const { coordinator } = fakeCoordinator({ store: empty, transfer, models, generate });
    const request = {
      model: 'smollm2',
      messages: [{ role: 'user', content: 'Hi' }],
      temperature: 0,
      topP: 1,
      stop: [],
    };
    const result = await coordinator.chat(request, options, { onDelta: () => undefined });
    expect(result).toMatchObject({ choices: [{ finish: 'stop' }], nodes: ['peer'] });
  });
});
