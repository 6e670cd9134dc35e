// One node managed from another, over a real connection: who may, what crosses, and what each guard stops.
import { afterEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { EventFeed } from '../../../node/core/event-feed.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { ManagedAnswer, ManagedNode, ManagedOptions } from '../../../node/core/manage.ts';
import type { Mesh } from '../../../node/core/mesh.ts';
import type { Member, Role } from '../../../node/core/trust.ts';
import { PeerManagement } from '../../../node/mesh/peer-management.ts';
import { createManageGuards, type ManageGuards, serveManage } from '../../../node/mesh/serve-manage.ts';
import { EventLog } from '../../../node/telemetry/event-log.ts';
import { MANAGED_OPERATIONS, type ManagedOperation } from '../../../protocol/api/control.ts';
import type { Managed } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { MANAGE_ANSWER_BYTES_MAX, MANAGE_REQUEST_BYTES_MAX } from '../../../protocol/limits.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { recordingLog, recordingTelemetry } from '../gateway/support.ts';
import { makeKey, startPair, stopAll } from './support.ts';

afterEach(stopAll);

const options = (): ManagedOptions & { readonly requestId: string } => ({
  signal: new AbortController().signal,
  requestId: 'req_test',
  afterwards: () => undefined,
});

const feed = new EventFeed({
  clock: systemClock,
  random: systemRandom,
  events: new EventLog({ clock: systemClock, log: silentLog }),
  pulses: { stepMs: 5_000, history: () => [], watch: () => () => undefined },
});

const none: ManagedNode = { perform: () => Promise.reject(new Error('not expected in this test')) };

interface Asked {
  readonly operation: ManagedOperation;
  readonly request: unknown;
  readonly options: ManagedOptions;
}

interface World {
  readonly role?: Role;
  readonly managed?: Managed;
  readonly answer?: (asked: Asked) => ManagedAnswer | Promise<ManagedAnswer>;
  readonly guards?: Partial<ManageGuards>;
}

/** A node that answers, and another that manages it. */
async function start(world: World = {}) {
  const { role = 'admin', managed = 'admins', answer = () => ({ status: 200, body: { models: [] } }), guards } = world;
  const keys = { there: await makeKey(), here: await makeKey() };
  const asked: Asked[] = [];
  const log = recordingLog();
  const telemetry = recordingTelemetry();
  const members: Member[] = [{ node: keys.here.node, name: 'laptop', role }];
  const membership = { members: () => members };
  const { a, b } = await startPair(
    {
      key: keys.there,
      prepare: (mesh) =>
        serveManage({
          mesh,
          membership,
          log,
          telemetry,
          node: {
            async perform(operation, request, performing) {
              asked.push({ operation, request, options: performing });
              return answer({ operation, request, options: performing });
            },
          },
          guards: { ...createManageGuards({ membership, managed: () => managed }), ...guards },
        }),
    },
    { key: keys.here },
  );
  const nodes = new PeerManagement({ mesh: b.mesh, membership: b.membership, here: none, feed });
  const ask = (operation: ManagedOperation, request: unknown = {}): Promise<ManagedAnswer> =>
    nodes.manage(a.key.node, operation, request, options());
  return { a, b, ask, asked, log, telemetry, members };
}

describe('another node', () => {
  it('does what it is asked, and answers as its own API would', async () => {
    const { ask, asked, b } = await start();
    expect(await ask('ps')).toEqual({ status: 200, body: { models: [] } });
    expect(asked).toMatchObject([{ operation: 'ps', request: {}, options: { caller: b.key.node } }]);
  });

  it('may say that it has begun', async () => {
    const { ask } = await start({ answer: () => ({ status: 202, body: { accepted: true } }) });
    expect(await ask('pull', { model: 'a/b' })).toEqual({ status: 202, body: { accepted: true } });
  });

  it('refuses with its own reasons', async () => {
    const { ask } = await start({
      answer: () => {
        throw new WeftError({ code: 'model_not_found', message: 'None is called so.', facts: { param: 'model' } });
      },
    });
    await expect(ask('load', { model: 'x' })).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'None is called so.',
      facts: { param: 'model' },
    });
  });

  it('is this one where it is meant, and none where it is no member', async () => {
    const { b } = await start();
    const here: ManagedNode = { perform: async (operation) => ({ status: 200, body: operation }) };
    const nodes = new PeerManagement({ mesh: b.mesh, membership: b.membership, here, feed });
    expect(await nodes.manage(b.mesh.self, 'ps', {}, options())).toEqual({ status: 200, body: 'ps' });
    await expect(nodes.manage('12D3KooWNobody', 'ps', {}, options())).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is told when its answer has left', async () => {
    let left: (() => void) | undefined;
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    const { ask } = await start({
      answer: ({ options: { afterwards } }) => {
        afterwards(() => left?.());
        return { status: 200, body: { restarting: true } };
      },
    });
    expect(await ask('restart')).toMatchObject({ body: { restarting: true } });
    await gone;
  });

  it('that is too old is said to be', async () => {
    const { a, b } = await startPair();
    const nodes = new PeerManagement({ mesh: b.mesh, membership: b.membership, here: none, feed });
    await expect(nodes.manage(a.key.node, 'ps', {}, options())).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('knows no operation beyond the table', async () => {
    const { a, b, asked } = await start();
    for (const operation of ['stop', 'key', '__proto__', 'toString', '']) {
      const call = b.mesh.call(a.key.node, PEER_METHODS.manage, { operation, json: '{}' }, options());
      await expect(call).rejects.toMatchObject({ code: 'method_unknown' });
    }
    const long = b.mesh.call(a.key.node, PEER_METHODS.manage, { operation: 'x'.repeat(65), json: '{}' }, options());
    await expect(long).rejects.toMatchObject({ code: 'bad_request' });
    expect(asked).toEqual([]);
  });

  it('is given the time of the operation, and no more', async () => {
    const budgets: (number | undefined)[] = [];
    const call = (async (_node: string, _method: unknown, { operation }: { operation: string }, { budgetMs }) => {
      budgets.push(budgetMs);
      throw new WeftError({ code: 'deadline_exceeded', message: operation });
    }) as Mesh['call'];
    const nodes = new PeerManagement({
      mesh: { self: 'a', call },
      membership: { isMember: () => true },
      here: none,
      feed,
    });
    for (const operation of ['status', 'doctor', 'pull', 'load'] as const) {
      await expect(nodes.manage('b', operation, {}, options())).rejects.toMatchObject({ code: 'deadline_exceeded' });
    }
    expect(budgets).toEqual([10_000, 60_000, 10_000, 600_000]);
    for (const { timeoutMs } of Object.values(MANAGED_OPERATIONS)) {
      expect(timeoutMs).toBeLessThanOrEqual(PEER_METHODS.manage.timeouts.totalMs);
    }
  });
});

describe('guards', () => {
  it('refuse a plain member, and count it', async () => {
    const { ask, asked, telemetry, log } = await start({ role: 'member' });
    await expect(ask('status')).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('admins'),
    });
    await expect(ask('restart')).rejects.toMatchObject({ code: 'forbidden' });
    expect(asked).toEqual([]);
    expect(telemetry.counted.map(({ labels }) => labels?.reason)).toEqual(['manage', 'manage']);
    // Whoever may not manage a node doesn't fill its log.
    expect(log.lines).toEqual([]);
  });

  it('twin: without the one for admins, a plain member restarts the node', async () => {
    const answer = (): ManagedAnswer => ({ status: 200, body: { restarting: true } });
    const { ask, asked } = await start({ role: 'member', answer, guards: { admin: () => undefined } });
    await ask('restart');
    expect(asked).toMatchObject([{ operation: 'restart' }]);
  });

  it('hold for every call: who is no admin any more is refused from then on', async () => {
    const { ask, members } = await start();
    await ask('ps');
    members.splice(0);
    await expect(ask('ps')).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('refuse admins where the owner wants none', async () => {
    const { ask, asked } = await start({ managed: 'none' });
    await expect(ask('status')).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('nobody'),
    });
    expect(asked).toEqual([]);
  });

  it('twin: without the one for the setting, an admin reads on', async () => {
    const { ask, asked } = await start({ managed: 'none', guards: { setting: () => undefined } });
    await ask('ps');
    expect(asked).toHaveLength(1);
  });
});

describe('bounds', () => {
  it('refuse a body that is too large before it is sent', async () => {
    const { ask, asked } = await start();
    const request = { model: 'x'.repeat(MANAGE_REQUEST_BYTES_MAX) };
    await expect(ask('pull', request)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(asked).toEqual([]);
  });

  it('refuse an answer that is too large, and cut lists to their newest', async () => {
    const line = (atMs: number) => ({ atMs, level: 'info', message: 'ü'.repeat(1_000), fields: {} });
    const lines = Array.from({ length: 1_000 }, (_, at) => line(at));
    const { ask } = await start({
      answer: ({ operation }) => ({
        status: 200,
        body: operation === 'logs' ? { lines } : { file: 'x'.repeat(MANAGE_ANSWER_BYTES_MAX), settings: [] },
      }),
    });
    await expect(ask('config')).rejects.toMatchObject({ code: 'body_too_large' });
    const { body } = (await ask('logs')) as { readonly body: { readonly lines: typeof lines } };
    expect(body.lines.at(-1)).toEqual(lines.at(-1));
    expect(body.lines).toEqual(lines.slice(-body.lines.length));
    const bytes = (list: typeof lines): number => Buffer.byteLength(JSON.stringify({ lines: list }));
    expect(bytes(body.lines)).toBeLessThanOrEqual(MANAGE_ANSWER_BYTES_MAX);
    // One more would not have had room.
    expect(bytes(lines.slice(-body.lines.length - 1))).toBeGreaterThan(MANAGE_ANSWER_BYTES_MAX);
  });

  it('let only so many calls of one admin be under way', async () => {
    const { callsPerPeer } = PEER_METHODS.manage.quota;
    const release: (() => void)[] = [];
    const { ask, asked } = await start({
      answer: () =>
        new Promise((resolve) => {
          release.push(() => resolve({ status: 200, body: { models: [] } }));
          if (release.length === callsPerPeer) full.resolve();
        }),
    });
    const full = Promise.withResolvers<void>();
    const calls = Array.from({ length: callsPerPeer }, () => ask('ps'));
    await full.promise;
    await expect(ask('ps')).rejects.toMatchObject({ code: 'quota_exceeded' });
    for (const end of release) end();
    await Promise.all(calls);
    expect(asked).toHaveLength(callsPerPeer);
  });
});

describe('answers', () => {
  it.each([
    ['of another shape', { models: 'none' }],
    ['that are none', null],
    ['with a status that means something else', { accepted: true }],
  ])('%s are not passed on', async (_what, body) => {
    const { ask } = await start({ answer: () => ({ status: body === null ? 200 : 202, body }) });
    await expect(ask('ps')).rejects.toMatchObject({ code: 'frame_invalid' });
  });

  it('lose what this version does not know', async () => {
    const { ask } = await start({ answer: () => ({ status: 200, body: { models: [], more: '<script>' } }) });
    expect((await ask('ps')).body).toEqual({ models: [] });
  });

  it('never say that the key of this node is wrong', async () => {
    const { ask } = await start({
      answer: () => {
        throw new WeftError({ code: 'unauthorized', message: 'Sign in again.' });
      },
    });
    await expect(ask('ps')).rejects.toMatchObject({ code: 'frame_invalid' });
  });
});

describe('the log of the managed node', () => {
  it('says before it is done who changes what, without values of settings', async () => {
    const { ask, log, b } = await start({
      answer: ({ operation }) => {
        if (operation === 'configure') expect(log.lines).toHaveLength(1);
        if (operation === 'load') throw new WeftError({ code: 'out_of_memory', message: 'No room.' });
        return { status: 200, body: operation === 'configure' ? { file: 'f', settings: [] } : { models: [] } };
      },
    });
    await ask('ps');
    await ask('configure', { keepAlive: 'secret-value', storage: null });
    await expect(ask('load', { model: `${'m'.repeat(300)}\n`, pin: true })).rejects.toMatchObject({
      code: 'out_of_memory',
    });
    const who = { by: b.key.node, name: 'laptop' };
    expect(log.lines).toEqual([
      {
        level: 'info',
        fields: { ...who, operation: 'configure', what: 'keepAlive, storage' },
        message: expect.any(String),
      },
      {
        level: 'info',
        fields: { ...who, operation: 'load', what: { model: 'm'.repeat(200), pin: 'true' } },
        message: expect.any(String),
      },
      {
        level: 'info',
        fields: expect.objectContaining({ ...who, code: 'out_of_memory' }),
        message: expect.any(String),
      },
    ]);
    expect(JSON.stringify(log.lines)).not.toContain('secret-value');
  });
});
