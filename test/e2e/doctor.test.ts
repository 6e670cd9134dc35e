// `weft doctor` as a person runs it, on machines with one layer broken by the operating system itself: exactly that layer
// is named, with what to do. What tests in one process can break is in test/node/app/doctor.
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { DoctorAnswer } from '../../protocol/api/control/operation.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { until } from '../support/wait.ts';

const BIN = fileURLToPath(new URL('../../bin/weft.js', import.meta.url));
const isRoot = process.getuid?.() === 0;
/** Whether every user may make namespaces here, with mounts of their own. */
const namespaces = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0;

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true, force: true });
  }
});
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'weft-doctor-'));
  folders.push(path);
  return path;
}
const start = daemonsOfTest();

interface Answer extends DoctorAnswer {
  readonly from: 'daemon' | 'outside';
  readonly code: number;
}

/** Settings under which nothing but what a test breaks is at fault, whatever this machine is like. */
const QUIET = {
  WEFT_HOST: '127.0.0.1:0',
  WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
  WEFT_MDNS: 'false',
  WEFT_MEMORY: '64MiB',
};

/** Runs `weft doctor --json`, its command line behind this one, if any. */
async function examine(
  env: Readonly<Record<string, string>>,
  init: { readonly behind?: readonly string[]; readonly uid?: number } = {},
): Promise<Answer> {
  const { behind = [], uid } = init;
  const [program = '', ...args] = [...behind, process.execPath, BIN, 'doctor', '--json'];
  const outer = Object.entries(process.env).filter(([name]) => !/^(WEFT_|VITEST|NODE_OPTIONS$)/.test(name));
  const options = {
    env: { ...Object.fromEntries(outer), ...QUIET, ...env },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      if (stdout === '') reject(new Error(`weft doctor said nothing: ${stderr}`, { cause: error }));
      else resolve({ ...(JSON.parse(stdout) as Omit<Answer, 'code'>), code });
    });
  });
}

const faults = ({ checks }: Answer): readonly string[] =>
  checks.filter(({ status }) => status === 'failed').map(({ layer, name }) => `${layer}/${name}`);

const found = ({ checks }: Answer, layer: string, name: string) =>
  checks.find((check) => check.layer === layer && check.name === name);

describe('weft doctor without a daemon', () => {
  it('finds nothing wrong with a machine that is ready, and ends well', async () => {
    const answer = await examine({ WEFT_HOME: await folder() });
    expect(faults(answer)).toEqual([]);
    expect(answer).toMatchObject({ code: 0, ok: true, from: 'outside' });
  });

  it('names the program that holds a port which was asked for', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { readonly port: number };
    const answer = await examine({ WEFT_HOME: await folder(), WEFT_HOST: `127.0.0.1:${port}` });
    holder.close();
    expect(faults(answer)).toEqual(['ports/API']);
    expect(answer).toMatchObject({ code: 1, ok: false });
    const { detail, remedy } = found(answer, 'ports', 'API') ?? {};
    expect(remedy).toContain('WEFT_HOST');
    if (process.platform === 'linux') expect(detail).toContain(`process ${process.pid}`);
  });

  it('finds a folder that can only be read', async () => {
    const home = await folder();
    await chmod(home, 0o555);
    // Root may write everywhere.
    const answer = await examine({ WEFT_HOME: home }, isRoot ? { uid: 65_534 } : {});
    expect(faults(answer)).toEqual(['disk/data folder']);
    expect(found(answer, 'disk', 'data folder')).toMatchObject({
      detail: expect.stringMatching(/EACCES|EROFS/),
      remedy: expect.stringContaining('WEFT_HOME'),
    });
  });

  it.skipIf(process.platform === 'win32')('finds a limit of open files that is too low', async () => {
    const behind = ['sh', '-c', 'ulimit -n 128 && exec "$@"', 'sh'];
    const answer = await examine({ WEFT_HOME: await folder() }, { behind });
    expect(faults(answer)).toEqual(['limits/open files']);
    expect(found(answer, 'limits', 'open files')).toMatchObject({
      detail: expect.stringContaining('128'),
      remedy: expect.stringContaining('ulimit -n'),
    });
  });

  it.skipIf(!namespaces)(`finds a disk that is full${namespaces ? '' : ' (skipped: no namespaces here)'}`, async () => {
    const home = await folder();
    const mounted = `mount -t tmpfs -o size=1m none ${home} && exec "$@"`;
    const answer = await examine({ WEFT_HOME: home }, { behind: ['unshare', '-rm', 'sh', '-c', mounted, 'sh'] });
    expect(faults(answer)).toEqual(['disk/free space']);
    expect(found(answer, 'disk', 'free space')?.remedy).toContain('Free some space');
  });

  it.skipIf(!namespaces)(`finds mDNS blocked${namespaces ? '' : ' (skipped: no namespaces here)'}`, async () => {
    const env = { WEFT_HOME: await folder(), WEFT_MDNS: 'true' };
    const answer = await examine(env, { behind: ['unshare', '-rn'] });
    expect(faults(answer).filter((fault) => fault !== 'ports/API' && fault !== 'ports/swarm')).toEqual([
      'mdns/local network',
    ]);
    expect(found(answer, 'mdns', 'local network')?.detail).toContain('mDNS is blocked');
  });
});

describe('weft doctor of a mesh', () => {
  async function two(): Promise<readonly [Daemon, Daemon]> {
    const [first, second] = [await start(), await start()];
    await pair(first, second);
    await connectedPeers(first, 1);
    return [first, second];
  }

  it('is content with one that works, and names the member whose port is closed', async () => {
    const [first, second] = await two();
    const sound = await examine({ WEFT_HOME: first.home });
    expect(sound.from).toBe('daemon');
    expect(faults(sound)).toEqual([]);
    expect(found(sound, 'peer', second.name)).toMatchObject({ status: 'ok' });
    await second.stop();
    await until('the member to be gone', async () => {
      const { stdout } = await first.weft('status', '--json');
      return (JSON.parse(stdout) as { readonly peersConnected: number }).peersConnected === 0;
    });
    const gone = await examine({ WEFT_HOME: first.home });
    expect(faults(gone)).toEqual([`peer/${second.name}`]);
    expect(found(gone, 'peer', second.name)).toMatchObject({
      detail: expect.stringContaining('connection refused'),
      remedy: expect.stringContaining('weft serve'),
    });
  });

  it('sees the members from a folder without a daemon too, and takes nobody’s place', async () => {
    const [first, second] = await two();
    const copy = await folder();
    await second.stop();
    await cp(second.home, copy, { recursive: true });
    const answer = await examine({ WEFT_HOME: copy });
    expect(answer.from).toBe('outside');
    expect(faults(answer)).toEqual([]);
    expect(found(answer, 'peer', first.name)).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('answers'),
    });
  });
});
