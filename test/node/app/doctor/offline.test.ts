// What is seen without a daemon: the data folder of a member, and a real node that it once reached.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { AddressBook } from '../../../../node/app/address-book.ts';
import { examineOffline, type OfflineInit } from '../../../../node/app/doctor/offline.ts';
import { packagePaths } from '../../../../node/app/paths.ts';
import { systemRandom } from '../../../../node/app/random.ts';
import { FileStore } from '../../../../node/config/file-store.ts';
import { loadSettings } from '../../../../node/config/settings.ts';
import { systemClock as clock } from '../../../../node/core/clock.ts';
import { silentLog as log } from '../../../../node/core/log.ts';
import { loadDeviceKey } from '../../../../node/trust/device-key.ts';
import { MemberList } from '../../../../node/trust/member-list.ts';
import { temporaryFolder } from '../../config/temporary-folder.ts';
import { makeKey, never, startNode, stopAll, type TestNode } from '../../mesh/support.ts';
import { check, faults } from './support.ts';

const ENV = {
  WEFT_HOST: '127.0.0.1:0',
  WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
  WEFT_MDNS: 'false',
  WEFT_THREADS: '1',
  WEFT_MEMORY: '64MiB',
};

function examine(home: string, env: Readonly<Record<string, string>> = {}, change: Partial<OfflineInit> = {}) {
  const settings = loadSettings({ flags: {}, env: { ...ENV, ...env }, home });
  const init = { home, settings, version: '0.0.0', paths: packagePaths(), settingsProblem: undefined, ...change };
  return examineOffline({ clock }, init, never);
}

/** The data folder of a member that knows another one, which takes it for a member, or not. */
async function memberFolder(isMember: boolean): Promise<{ readonly home: string; readonly other: TestNode }> {
  const home = temporaryFolder();
  const store = await FileStore.open({ folder: join(home, 'state') });
  const key = await loadDeviceKey(store, systemRandom);
  const members = await MemberList.open({ store, clock, log }, { key, name: 'laptop' });
  const otherKey = await makeKey();
  const other = await startNode({ key: otherKey, members: isMember ? [key.node] : [] });
  await members.add(otherKey.node, otherKey.publicKey, 'member', 'server');
  await (await AddressBook.open(store)).remember(other.mesh.addresses());
  return { home, other };
}

/** Every file below a folder, with what it holds and may do. */
function contents(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const info = statSync(join(folder, name));
      return `${name} ${info.mode} ${info.isFile() ? readFileSync(join(folder, name), 'hex') : ''}`;
    });
}

afterEach(stopAll);

describe('the doctor without a daemon', () => {
  it('reaches the members that the folder knows, and changes nothing in it', async () => {
    const { home } = await memberFolder(true);
    const before = contents(home);
    const report = await examine(home);
    expect(faults(report)).toEqual([]);
    expect(check(report, 'peer', 'server')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('It answers at'),
    });
    expect(check(report, 'membership')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('admin of mesh'),
    });
    expect(contents(home)).toEqual(before);
  });

  it('sees that a member does not take this device for one', async () => {
    const { home } = await memberFolder(false);
    const report = await examine(home);
    expect(faults(report)).toEqual(['peer/server']);
    expect(check(report, 'peer', 'server').remedy).toContain('weft members');
  });

  it('sees that a member is gone', async () => {
    const { home, other } = await memberFolder(true);
    await other.mesh.stop();
    expect(faults(await examine(home))).toEqual(['peer/server']);
  });

  it('sees a clock that is behind the folder’s own statements', async () => {
    const { home } = await memberFolder(true);
    const settings = loadSettings({ flags: {}, env: ENV, home });
    const init = { home, settings, version: '0.0.0', paths: packagePaths(), settingsProblem: undefined };
    const slow = { ...clock, wallNow: () => Date.now() - 86_400_000 };
    const report = await examineOffline({ clock: slow }, init, never);
    expect(faults(report)).toEqual(['clock/this machine']);
    expect(check(report, 'clock', 'this machine').remedy).toContain('timedatectl');
  });

  it('names a damaged document, and goes on', async () => {
    const { home } = await memberFolder(true);
    const store = await FileStore.open({ folder: join(home, 'state') });
    await store.write('device-key', new Uint8Array(3));
    const report = await examine(home);
    expect(faults(report)).toEqual(['membership/this device']);
    expect(check(report, 'membership').detail).toContain('device-key');
  });

  it('tells a port that moves from one that was asked for', async () => {
    const home = temporaryFolder();
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as { readonly port: number };
    const asked = await examine(home, { WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}` });
    expect(faults(asked)).toEqual(['ports/swarm']);
    expect(check(asked, 'ports', 'swarm').remedy).toContain('WEFT_LISTEN');
    const settings = loadSettings({ flags: {}, env: { ...ENV, WEFT_HOST: `127.0.0.1:${port}` }, home });
    const byDefault = { ...settings, sources: { ...settings.sources, host: 'default' as const } };
    const moved = await examine(home, {}, { settings: byDefault });
    expect(faults(moved)).toEqual([]);
    expect(check(moved, 'ports', 'API')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('next free one'),
    });
  });
});
