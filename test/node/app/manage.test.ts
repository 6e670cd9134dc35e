// What a managed node does for each operation, and what it does only for who is at it.
import { describe, expect, it } from 'vitest';
import { ManageableNode } from '../../../node/app/manage.ts';
import type { NodeControl } from '../../../node/core/control.ts';
import type { Library, PullOutcome } from '../../../node/core/library.ts';
import type { ManagedAnswer } from '../../../node/core/manage.ts';
import { MANAGED_OPERATIONS, type ManagedOperation } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { fakeControl, fakeLibrary, LISTINGS, STATUS } from '../gateway/support.ts';

const ADMIN = '12D3KooWAdmin';

function make(overrides: Partial<NodeControl> = {}, library: Partial<Library> = {}) {
  const clock = new ManualClock();
  const control = fakeControl({ library: fakeLibrary(library), ...overrides });
  const node = new ManageableNode({ clock, control, coordinator: { models: () => LISTINGS } });
  const afterwards: (() => void)[] = [];
  const perform = (
    operation: ManagedOperation,
    request: unknown = {},
    { caller, signal = new AbortController().signal }: { readonly caller?: string; readonly signal?: AbortSignal } = {},
  ): Promise<ManagedAnswer> =>
    node.perform(operation, request, {
      signal,
      ...(caller === undefined ? {} : { caller }),
      afterwards: (callback) => void afterwards.push(callback),
    });
  return { clock, perform, afterwards };
}

const outcome = { id: 'a/b' } as PullOutcome;

describe('a managed node', () => {
  it('answers as its own endpoints do', async () => {
    const { perform } = make(
      {
        requests: () => [],
        logs: ({ level, limit }) => [{ atMs: limit, level: level ?? 'info', message: 'm', fields: {} }],
        unload: async (id) => ({ id, wasLoaded: true }),
        configure: async (changes) => ({ file: JSON.stringify(changes), settings: [] }),
      },
      { cancel: () => true },
    );
    expect(await perform('status')).toEqual({ status: 200, body: STATUS });
    expect(await perform('ps')).toEqual({ status: 200, body: { models: [] } });
    // Queries come as texts.
    expect((await perform('logs', { level: 'warn', limit: '7' })).body).toMatchObject({
      lines: [{ atMs: 7, level: 'warn' }],
    });
    expect((await perform('logs')).body).toMatchObject({ lines: [{ atMs: 200, level: 'info' }] });
    expect((await perform('requests', { limit: '1' })).body).toEqual({ requests: [] });
    expect((await perform('transfers')).body).toEqual({ transfers: [] });
    expect((await perform('cancel', { id: 'pull-1' }, { caller: ADMIN })).body).toEqual({
      id: 'pull-1',
      cancelled: true,
    });
    expect((await perform('unload', { model: 'minilm' })).body).toEqual({ id: 'minilm', wasLoaded: true });
    expect((await perform('configure', { keepAlive: '1m' }, { caller: ADMIN })).body).toMatchObject({
      file: '{"keepAlive":"1m"}',
    });
    // Of what the mesh offers, what this node does.
    expect((await perform('models')).body).toEqual({ models: [LISTINGS[1]] });
    await expect(perform('request', { id: 'req_gone' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('checks every request by the schema of the endpoint', async () => {
    const { perform } = make();
    for (const [operation, { request }] of Object.entries(MANAGED_OPERATIONS)) {
      if (request === MANAGED_OPERATIONS.configure.request) continue;
      const refused = perform(operation as ManagedOperation, { nonsense: 1 });
      await expect(refused, operation).rejects.toMatchObject({ code: 'bad_request' });
    }
    await expect(perform('configure', [])).rejects.toMatchObject({ code: 'bad_request' });
    await expect(perform('logs', { limit: '0' })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('restarts once its answer is out', async () => {
    const restarts: string[] = [];
    const { perform, afterwards } = make({ restart: () => void restarts.push('restart') });
    expect(await perform('restart')).toEqual({ status: 200, body: { restarting: true } });
    expect(restarts).toEqual([]);
    for (const callback of afterwards) callback();
    expect(restarts).toEqual(['restart']);
  });
});

describe('what only who is at the node does', () => {
  const LOCAL = [
    'host',
    'apiKey',
    'origins',
    'listen',
    'models',
    'hub',
    'hubToken',
    'signers',
    'rawLocal',
    'managed',
    'otlpEndpoint',
  ];

  it.each(LOCAL)('changing %s, and taking it out of the file', async (name) => {
    const { perform } = make();
    for (const changes of [{ [name]: 'x' }, { [name]: null }, { keepAlive: '1m', [name]: 'x' }]) {
      await expect(perform('configure', changes, { caller: ADMIN })).rejects.toMatchObject({
        code: 'forbidden',
        facts: { setting: name },
      });
    }
  });

  it('twin: from here such a setting is changed, so that nothing else refuses it', async () => {
    const { perform } = make({ configure: async (changes) => ({ file: JSON.stringify(changes), settings: [] }) });
    expect((await perform('configure', { hub: 'http://evil.example' })).body).toMatchObject({
      file: '{"hub":"http://evil.example"}',
    });
  });

  it('making a model of files on its disk', async () => {
    const { perform } = make();
    for (const model of ['/etc/passwd', './x.onnx', '~/secrets', 'C:\\keys', ' /etc/shadow ']) {
      await expect(perform('pull', { model }, { caller: ADMIN })).rejects.toMatchObject({ code: 'forbidden' });
    }
  });

  it('twin: from here a path is pulled, so that nothing else refuses it', async () => {
    const { perform } = make({}, { pull: async ({ model }) => ({ ...outcome, id: model }) });
    expect((await perform('pull', { model: '/models/mine' })).body).toMatchObject({ id: '/models/mine' });
  });
});

describe('work that lasts', () => {
  it('is answered where it is done in a moment, and refused where it is refused by then', async () => {
    const { perform } = make(
      {},
      {
        pull: async () => outcome,
        verify: async () => {
          throw new WeftError({ code: 'model_not_found', message: 'No such model is installed.' });
        },
      },
    );
    expect(await perform('pull', { model: 'a/b' }, { caller: ADMIN })).toEqual({ status: 200, body: outcome });
    await expect(perform('verify', { model: 'c' }, { caller: ADMIN })).rejects.toMatchObject({
      code: 'model_not_found',
    });
  });

  it('goes on by itself when whoever asked has been told, or has gone', async () => {
    const pulls: AbortSignal[] = [];
    const { perform, clock } = make(
      {},
      {
        pull: (_request, { signal }) => {
          pulls.push(signal);
          return new Promise(() => undefined);
        },
      },
    );
    const leaving = new AbortController();
    const left = perform('pull', { model: 'a/b' }, { caller: ADMIN, signal: leaving.signal });
    leaving.abort(new WeftError({ code: 'cancelled', message: 'gone' }));
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });

    // The same is asked again: it is the same work.
    const asked = perform('pull', { model: 'a/b' }, { caller: ADMIN });
    clock.advance(3_000);
    expect(await asked).toEqual({ status: 202, body: { accepted: true } });
    expect(pulls).toHaveLength(1);
    expect(pulls[0]?.aborted).toBe(false);
  });

  it('is begun anew once it has ended', async () => {
    let pulls = 0;
    const { perform } = make({}, { pull: async () => ({ ...outcome, durationMs: ++pulls }) });
    await perform('pull', { model: 'a/b' });
    expect((await perform('pull', { model: 'a/b' })).body).toMatchObject({ durationMs: 2 });
  });

  it('is bounded', async () => {
    const { perform, clock } = make({}, { pull: () => new Promise(() => undefined) });
    const asked = Array.from({ length: 64 }, (_, at) => perform('pull', { model: `a/m${at}` }));
    await expect(perform('pull', { model: 'a/more' })).rejects.toMatchObject({ code: 'overloaded' });
    clock.advance(3_000);
    expect((await Promise.all(asked)).every(({ status }) => status === 202)).toBe(true);
  });
});
