// A node managed from the node beside a person: two real daemons, one of them an admin's, through the first one's API.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type {
  CancelAnswer,
  ConfigAnswer,
  DoctorAnswer,
  LogsAnswer,
  ModelsAnswer,
  PeersAnswer,
  PsAnswer,
  StatusAnswer,
  TransfersAnswer,
} from '../../protocol/api/control.ts';
import { temporaryFolder } from '../models/temporary.ts';
import { type Daemon, type DaemonInit, pair } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { startHub } from '../support/hub-server.ts';
import { until } from '../support/wait.ts';
import { wideModel } from '../support/wide-model.ts';

const start = daemonsOfTest();

interface Answer<T> {
  readonly status: number;
  readonly body: T & { readonly error?: { readonly weft_code: string } };
}

/** @param path behind `/api/v1/` */
async function ask<T>(daemon: Daemon, method: string, path: string, body?: unknown): Promise<Answer<T>> {
  const response = await fetch(`${daemon.url}/api/v1/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${daemon.key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer<T>['body'] };
}

/** The mesh is the admin's; the other one is a plain member. */
async function mesh(init: DaemonInit = {}) {
  const [admin, other] = await Promise.all([start(), start(init)]);
  await pair(admin, other);
  const at = (path: string): string => `nodes/${other.node}/${path}`;
  await until('the other node to be connected', async () => {
    const { body } = await ask<PeersAnswer>(admin, 'GET', 'peers');
    return body.peers.some(({ node, state }) => node === other.node && state === 'connected');
  });
  return { admin, other, at };
}

/** A hub that never answers: what is pulled from it is under way until somebody ends it. */
async function silentHub() {
  const hub = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void hub.close().closeAllConnections());
  await once(hub, 'listening');
  const url = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  return { hub, env: { HF_ENDPOINT: url, HF_HOME: await temporaryFolder(), NO_PROXY: '127.0.0.1' } };
}

const settingOf = ({ settings }: ConfigAnswer, name: string): unknown =>
  settings.find((setting) => setting.name === name)?.value;

describe('another node', () => {
  it('is read and changed as it would be at itself, and writes down who did it', async () => {
    const { admin, other, at } = await mesh({ env: { WEFT_NAME: 'cellar', HF_TOKEN: 'hf_not_to_be_seen' } });
    const status = await ask<StatusAnswer>(admin, 'GET', at('status'));
    expect(status).toMatchObject({ status: 200, body: { node: other.node, name: 'cellar', role: 'member' } });

    const changed = await ask<ConfigAnswer>(admin, 'PATCH', at('config'), { keepAlive: '7m', storage: '9GiB' });
    expect([changed.status, settingOf(changed.body, 'keepAlive')]).toEqual([200, '7m']);
    const own = await ask<ConfigAnswer>(other, 'GET', 'config');
    expect([settingOf(own.body, 'keepAlive'), settingOf(own.body, 'storage')]).toEqual(['7m', '9GiB']);
    expect(await ask(admin, 'PATCH', at('config'), { storage: 'much' })).toMatchObject({
      status: 400,
      body: { error: { weft_code: 'config_invalid', param: 'storage' } },
    });

    expect((await ask(admin, 'POST', at('models/load'), { model: 'minilm', pin: true })).status).toBe(200);
    expect((await ask<PsAnswer>(admin, 'GET', at('ps'))).body.models).toMatchObject([
      { id: 'Xenova/all-MiniLM-L6-v2', state: 'loaded', pinned: true },
    ]);
    expect((await ask<PsAnswer>(admin, 'GET', 'ps')).body.models).toEqual([]);

    const doctor = await ask<DoctorAnswer>(admin, 'GET', at('doctor'));
    expect(doctor.status).toBe(200);
    expect(doctor.body.checks.map(({ layer }) => layer)).toEqual(expect.arrayContaining(['runtime', 'disk', 'peer']));

    const { body: logs } = await ask<LogsAnswer>(admin, 'GET', at('logs?level=info&limit=2000'));
    const audit = logs.lines.filter(({ fields }) => fields.by === admin.node);
    expect(audit.map(({ level, fields }) => [level, fields.operation, fields.what, fields.code])).toEqual([
      ['info', 'configure', 'keepAlive, storage', undefined],
      ['info', 'configure', 'storage', undefined],
      ['info', 'configure', 'storage', 'config_invalid'],
      ['info', 'load', { model: 'minilm', pin: 'true' }, undefined],
    ]);

    // No secret is in anything that can be read.
    for (const path of ['status', 'config', 'logs?limit=2000', 'doctor', 'ps', 'models', 'requests', 'transfers']) {
      const text = JSON.stringify((await ask(admin, 'GET', at(path))).body);
      expect([path, text.includes(other.key), text.includes('hf_not_to_be_seen')]).toEqual([path, false, false]);
    }
    expect(settingOf((await ask<ConfigAnswer>(admin, 'GET', at('config'))).body, 'hubToken')).toBe('(set)');
  });

  it('pulls a model of the hub by itself, however long that takes', async () => {
    const folder = await temporaryFolder();
    const model = await wideModel(folder, { id: 'owner/wide', seed: 1 });
    const hub = await startHub({ folder });
    onTestFinished(() => hub.close());
    const env = { HF_ENDPOINT: hub.url, HF_HOME: await temporaryFolder(), NO_PROXY: '127.0.0.1' };
    const { admin, at } = await mesh({ env });
    const asked = await ask(admin, 'POST', at('models/pull'), { model: 'owner/wide' });
    expect([200, 202]).toContain(asked.status);
    const pulled = await until('the pull to end', async () => {
      const { body } = await ask<TransfersAnswer>(admin, 'GET', at('transfers'));
      return body.transfers.find(({ phase }) => phase === 'done');
    });
    expect(pulled).toMatchObject({ kind: 'pull', model: 'owner/wide' });
    expect(pulled.doneBytes).toBeGreaterThanOrEqual(model.sizeBytes);
    const { body } = await ask<ModelsAnswer>(admin, 'GET', at('models'));
    expect(body.models.map(({ id }) => id)).toContain('owner/wide');
    expect((await ask(admin, 'POST', at('models/remove'), { model: 'owner/wide' })).status).toBe(200);
    // A path would be one of that machine.
    expect(await ask(admin, 'POST', at('models/pull'), { model: '/etc/passwd' })).toMatchObject({
      status: 403,
      body: { error: { weft_code: 'forbidden' } },
    });
  });

  it('goes on with what lasts, until that is cancelled, from two windows at once', async () => {
    const { env } = await silentHub();
    const { admin, at } = await mesh({ env });
    expect(await ask(admin, 'POST', at('models/pull'), { model: 'owner/slow' })).toEqual({
      status: 202,
      body: { accepted: true },
    });
    const transfers = async () => (await ask<TransfersAnswer>(admin, 'GET', at('transfers'))).body.transfers;
    const [{ id, phase } = { id: '', phase: '' }] = await transfers();
    expect(phase).toBe('resolving');
    const windows = [1, 2].map(() => ask<CancelAnswer>(admin, 'POST', at('transfers/cancel'), { id }));
    const cancelled = (await Promise.all(windows)).map(({ body }) => body.cancelled);
    expect(cancelled.toSorted()).toEqual([false, true]);
    await until('the pull to be over', async () => (await transfers())[0]?.phase === 'cancelled');
    expect((await ask(admin, 'POST', at('transfers/cancel'), { id: 'pull-99' })).status).toBe(404);
  });

  it('restarts, and is back with the same process and the settings that waited for it', async () => {
    const { admin, other, at } = await mesh();
    expect((await ask(admin, 'PATCH', at('config'), { numParallel: 3 })).status).toBe(200);
    expect(await ask(admin, 'POST', at('restart'), {})).toMatchObject({ status: 200, body: { restarting: true } });
    const back = await until('the node to be back', async () => {
      if (!other.output().includes('Restarting.')) return undefined;
      const { status, body } = await ask<ConfigAnswer>(admin, 'GET', at('config'));
      return status === 200 ? body : undefined;
    });
    expect(settingOf(back, 'numParallel')).toBe(3);
    expect(other.child.exitCode).toBeNull();

    // As does `weft restart` at the node itself.
    const { code, stdout } = await other.weft('restart');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Restarted: Weft .* answers at http/)]);
    expect(other.output().split('Restarting.').length).toBe(3);
    expect(other.child.exitCode).toBeNull();
  });
});

describe('is refused', () => {
  it('a plain member, and whoever is not let by the node that is meant', async () => {
    const { admin, other, at } = await mesh();
    const manageable = async (from: Daemon): Promise<boolean | undefined> =>
      (await ask<PeersAnswer>(from, 'GET', 'peers')).body.peers[0]?.manageable;
    expect(await manageable(other)).toBe(false);
    for (const [method, path, body] of [
      ['GET', 'status', undefined],
      ['POST', 'restart', {}],
      ['PATCH', 'config', { keepAlive: '1m' }],
    ] as const) {
      expect(await ask(other, method, `nodes/${admin.node}/${path}`, body)).toMatchObject({
        status: 403,
        body: { error: { weft_code: 'forbidden' } },
      });
    }
    // Its own node is its own, by the same address.
    expect((await ask<StatusAnswer>(other, 'GET', `nodes/${other.node}/status`)).body.node).toBe(other.node);

    expect(await manageable(admin)).toBe(true);
    expect(await ask(admin, 'PATCH', at('config'), { managed: 'none' })).toMatchObject({ status: 403 });
    expect((await ask(other, 'PATCH', 'config', { managed: 'none' })).status).toBe(200);
    expect(await ask(admin, 'GET', at('status'))).toMatchObject({
      status: 403,
      body: { error: { weft_code: 'forbidden' } },
    });
    await until('the admin to know', async () => (await manageable(admin)) === false);
  });

  it('what is no operation, nobody, and too large', async () => {
    const { admin, at } = await mesh();
    expect(await ask(admin, 'GET', at('key'))).toMatchObject({ status: 404 });
    expect(await ask(admin, 'POST', at('stop'), {})).toMatchObject({ status: 404 });
    expect(await ask(admin, 'GET', 'nodes/12D3KooWNobody/status')).toMatchObject({
      status: 404,
      body: { error: { weft_code: 'not_found' } },
    });
    expect(await ask(admin, 'PATCH', at('config'), { name: 'x'.repeat(70_000) })).toMatchObject({
      status: 413,
      body: { error: { weft_code: 'body_too_large' } },
    });
  });
});

describe('a node that goes away in the middle', () => {
  it.each(['SIGSTOP', 'SIGKILL'] as const)('by %s ends the request with a reason', async (signal) => {
    const { hub, env } = await silentHub();
    const { admin, other, at } = await mesh({ env });
    const begun = once(hub, 'request');
    const asked = ask(admin, 'POST', at('models/pull'), { model: 'owner/slow' });
    await begun;
    other.kill(signal);
    const lost = expect.stringMatching(/^peer_(lost|timeout|unreachable)$/);
    expect(await asked).toMatchObject({ status: 503, body: { error: { weft_code: lost } } });
    expect(await ask(admin, 'GET', at('status'))).toMatchObject({
      status: 503,
      body: { error: { weft_code: lost } },
    });
  });
});
