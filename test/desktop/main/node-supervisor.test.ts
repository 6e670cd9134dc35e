import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readRecord } from '../../../desktop/main/home.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { nodeAnswers } from '../../../desktop/main/node-link.ts';
import type { NodeChild, NodeEnd, NodeStarter } from '../../../desktop/main/node-process.ts';
import { backOffMs, NodeSupervisor, type SupervisorLimits } from '../../../desktop/main/node-supervisor.ts';
import { type Daemon, startDaemon } from '../../support/daemon.ts';
import { isAlive, until } from '../../support/wait.ts';
import { homeView, linkTo, newFolder, realStarter } from '../support/homes.ts';

const QUICK: Partial<SupervisorLimits> = {
  LOOK_MS: 100,
  LOOK_TIMEOUT_MS: 500,
  START_LOOK_MS: 25,
  BACK_OFF_MS_MIN: 50,
  BACK_OFF_MS_MAX: 400,
  SILENT_HOLDER_MS_MAX: 1_000,
  SUCCESSOR_MS: 100,
};

const supervisors: NodeSupervisor[] = [];
afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop();
});

/** Looks after the real nodes of a folder. */
function supervise(
  home: string,
  init: {
    readonly limits?: Partial<SupervisorLimits>;
    readonly env?: Readonly<Record<string, string>>;
    readonly starter?: (real: NodeStarter) => NodeStarter;
  } = {},
): NodeSupervisor {
  const real = realStarter({ home, logs: join(home, 'logs'), ...(init.env === undefined ? {} : { env: init.env }) });
  const supervisor = new NodeSupervisor(
    {
      log: SILENT,
      home: homeView(home),
      starter: init.starter?.(real) ?? real,
      answers: nodeAnswers,
      now: () => performance.now(),
    },
    { ...QUICK, ...init.limits },
  );
  supervisors.push(supervisor);
  return supervisor;
}

const reaches = (supervisor: NodeSupervisor, node: string) =>
  until(`the node to be ${node}`, () => (supervisor.view.node === node ? supervisor.view : undefined));

const pidOf = async (home: string): Promise<number> =>
  until('a record', async () => (await homeView(home).record())?.pid);

/** A folder with a lock that a daemon has left. */
async function daemonOn(): Promise<Daemon> {
  return startDaemon({ home: newFolder() });
}

describe('a node that runs already', () => {
  it('is taken on, and is left running at the end', async () => {
    const daemon = await daemonOn();
    const supervisor = supervise(daemon.home);
    supervisor.start();
    expect(await reaches(supervisor, 'adopted')).toEqual({ node: 'adopted', api: daemon.url });
    await expect(supervisor.stopNode()).rejects.toThrow('not started by the app');
    await expect(supervisor.restartNode()).rejects.toThrow('not started by the app');
    await supervisor.stop();
    expect(await isAlive(daemon.pid)).toBe(true);
    expect(await nodeAnswers(daemon.url)).toBe(true);
  });

  it('is not brought back when somebody has stopped it', async () => {
    const daemon = await daemonOn();
    const supervisor = supervise(daemon.home);
    supervisor.start();
    await reaches(supervisor, 'adopted');
    await daemon.stop();
    expect(await reaches(supervisor, 'stopped')).toMatchObject({ detail: 'The node was stopped outside of this app.' });
    // And is taken on again when somebody starts it.
    await startDaemon({ home: daemon.home });
    await reaches(supervisor, 'adopted');
  });

  it('is replaced when it was killed', async () => {
    const daemon = await daemonOn();
    const supervisor = supervise(daemon.home);
    supervisor.start();
    await reaches(supervisor, 'adopted');
    daemon.kill('SIGKILL');
    await reaches(supervisor, 'running');
    expect(await pidOf(daemon.home)).not.toBe(daemon.pid);
  });

  it('that is stopped (SIGSTOP) is said to be silent, gets no rival, and recovers', async () => {
    const daemon = await daemonOn();
    daemon.kill('SIGSTOP');
    let starts = 0;
    const supervisor = supervise(daemon.home, {
      starter: (real) => ({
        start() {
          starts += 1;
          return real.start();
        },
      }),
    });
    supervisor.start();
    expect((await reaches(supervisor, 'failed')).detail).toContain(`process ${daemon.pid}`);
    daemon.kill('SIGCONT');
    await reaches(supervisor, 'adopted');
    expect(starts).toBe(0);
  });

  it('is told from a record that a killed one has left, at whose address another program listens', async () => {
    const home = newFolder();
    const stranger = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"status":"ready"}'));
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as { readonly port: number };
    const api = `http://127.0.0.1:${port}`;
    const record = { pid: process.pid, api, node: 'n', version: '1', startedAt: new Date().toISOString() };
    writeFileSync(join(home, 'daemon.json'), JSON.stringify(record));
    const supervisor = supervise(home);
    supervisor.start();
    const view = await reaches(supervisor, 'running');
    expect(view.api).not.toBe(api);
    // Its twin: by the record alone, the stranger would be taken for the node.
    const deceived = new NodeSupervisor({
      log: SILENT,
      home: { isHeld: () => true, record: async () => record },
      starter: realStarter({ home, logs: home }),
      answers: nodeAnswers,
      now: () => performance.now(),
    });
    supervisors.push(deceived);
    deceived.start();
    expect((await reaches(deceived, 'adopted')).api).toBe(api);
    stranger.close();
  });
});

describe('a node of its own', () => {
  it('is started, and ends with the app', async () => {
    const home = newFolder();
    const supervisor = supervise(home);
    supervisor.start();
    expect(supervisor.view.node).toBe('starting');
    const { api } = await reaches(supervisor, 'running');
    expect(await nodeAnswers(api ?? '')).toBe(true);
    const pid = await pidOf(home);
    await supervisor.stop();
    expect(supervisor.view.node).toBe('stopped');
    expect(await isAlive(pid)).toBe(false);
    expect(homeView(home).isHeld()).toBe(false);
  });

  it('is started again when it was killed, and the reason is shown meanwhile', async () => {
    const home = newFolder();
    const supervisor = supervise(home);
    const seen: (string | undefined)[] = [];
    supervisor.onChange(({ node, detail }) => node === 'failed' && seen.push(detail));
    supervisor.start();
    await reaches(supervisor, 'running');
    const pid = await pidOf(home);
    process.kill(pid, 'SIGKILL');
    await until('another process', async () => supervisor.view.node === 'running' && (await pidOf(home)) !== pid);
    expect(seen).toContain('The node was ended by force. It is started again.');
  });

  it('that hangs is said to be silent, then replaced', async () => {
    const home = newFolder();
    const supervisor = supervise(home, { limits: { LOOK_TIMEOUT_MS: 200, MISSES_HUNG: 4 } });
    const seen: string[] = [];
    supervisor.onChange(({ detail }) => seen.push(detail ?? ''));
    supervisor.start();
    await reaches(supervisor, 'running');
    const pid = await pidOf(home);
    process.kill(pid, 'SIGSTOP');
    await until('another process', async () => supervisor.view.node === 'running' && (await pidOf(home)) !== pid);
    expect(seen.some((detail) => detail.includes("doesn't answer"))).toBe(true);
  });

  it('stays down when the person stops it, and comes back on demand', async () => {
    const home = newFolder();
    const supervisor = supervise(home);
    supervisor.start();
    await reaches(supervisor, 'running');
    await supervisor.stopNode();
    expect(supervisor.view).toEqual({ node: 'stopped' });
    supervisor.start();
    await reaches(supervisor, 'running');
    const before = await pidOf(home);
    await supervisor.restartNode();
    await reaches(supervisor, 'running');
    expect(await pidOf(home)).not.toBe(before);
  });

  it.each(['the API', 'a signal'])('stays down when it is asked to stop by %s', async (by) => {
    const home = newFolder();
    const supervisor = supervise(home);
    supervisor.start();
    const { api = '' } = await reaches(supervisor, 'running');
    const pid = await pidOf(home);
    if (by === 'a signal') process.kill(pid, 'SIGTERM');
    else await linkTo({ home, url: api }).ask('POST', '/api/v1/stop', {});
    expect(await reaches(supervisor, 'stopped')).toMatchObject({ detail: 'The node was asked to stop.' });
  });

  it('remains its own when it starts anew by itself', async () => {
    const home = newFolder();
    const supervisor = supervise(home);
    supervisor.start();
    const { api = '' } = await reaches(supervisor, 'running');
    const startedAt = async () => (await readRecord(home))?.startedAt;
    const before = await startedAt();
    await linkTo({ home, url: api }).ask('POST', '/api/v1/restart', {});
    await until('a new start', async () => ((await startedAt()) ?? before) !== before);
    await reaches(supervisor, 'running');
    expect(supervisor.owns).toBe(true);
    const pid = await pidOf(home);
    await supervisor.stop();
    expect(await isAlive(pid)).toBe(false);
  });

  it('says what the node says when a port that was asked for is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { readonly port: number };
    const supervisor = supervise(newFolder(), { env: { WEFT_HOST: `127.0.0.1:${port}` } });
    supervisor.start();
    const { detail } = await reaches(supervisor, 'failed');
    expect(detail).toContain(`${port}`);
    expect(detail).toContain('It is started again');
    // And goes on by itself once the port is free.
    holder.close();
    await reaches(supervisor, 'running');
  });

  it('is not waited for at the end when it hangs', async () => {
    const home = newFolder();
    const supervisor = supervise(home, { limits: { STOP_MS_MAX: 300 } });
    supervisor.start();
    await reaches(supervisor, 'running');
    const pid = await pidOf(home);
    process.kill(pid, 'SIGSTOP');
    await supervisor.stop();
    expect(await isAlive(pid)).toBe(false);
  });
});

it('two apps that start at once end with one node', async () => {
  const home = newFolder();
  const pair = [supervise(home), supervise(home)];
  for (const supervisor of pair) supervisor.start();
  const served = (): boolean => pair.every(({ view }) => view.node === 'running' || view.node === 'adopted');
  await until('both to be served', () => served() && new Set(pair.map(({ view }) => view.api)).size === 1);
  const pid = await pidOf(home);
  await until('the loser to be gone', () => pair.filter(({ owns }) => owns).length === 1);
  if (process.platform === 'linux') {
    const daemons = execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => /weft\.js serve/.test(line) && Number.parseInt(line, 10) === pid);
    expect(daemons).toHaveLength(1);
  }
  const loser = pair.find(({ owns }) => !owns);
  await loser?.stop();
  expect(await isAlive(pid)).toBe(true);
});

describe('starts that fail', () => {
  it('wait twice as long each time, up to a bound', () => {
    const limits = { BACK_OFF_MS_MIN: 500, BACK_OFF_MS_MAX: 30_000 };
    expect([1, 2, 3, 4].map((failures) => backOffMs(failures, limits))).toEqual([500, 1_000, 2_000, 4_000]);
    expect(backOffMs(100, limits)).toBe(30_000);
  });

  it('are not made at once again and again', async () => {
    let starts = 0;
    const ended = Promise.resolve<NodeEnd>({ code: 1, reason: 'It is broken.' });
    const child = (): NodeChild => ({ pid: undefined, ended, end: () => undefined, kill: () => undefined });
    const supervisor = new NodeSupervisor(
      {
        log: SILENT,
        home: { isHeld: () => false, record: async () => undefined },
        starter: {
          start() {
            starts += 1;
            return child();
          },
        },
        answers: async () => false,
        now: () => performance.now(),
      },
      { ...QUICK, BACK_OFF_MS_MIN: 3_600_000, BACK_OFF_MS_MAX: 3_600_000 },
    );
    supervisors.push(supervisor);
    supervisor.start();
    const { detail } = await reaches(supervisor, 'failed');
    expect(detail).toBe('It is broken. It is started again in 3600 s.');
    expect(starts).toBe(1);
    // The person need not wait.
    supervisor.start();
    await until('another start', () => starts === 2);
  });
});
