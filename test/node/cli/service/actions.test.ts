// Installing and removing service files: in a folder of the test, with the system's commands recorded and not run.
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { install, report, type ServiceComponents, uninstall } from '../../../../node/cli/service/actions.ts';
import { describeService, type ServiceMachine } from '../../../../node/cli/service/description.ts';
import { type Command, SERVICE_MANAGERS } from '../../../../node/cli/service/systems.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-service-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Bench {
  readonly components: ServiceComponents;
  readonly said: string[];
  readonly executed: Command[];
  readonly path: string;
  readonly service: ReturnType<typeof describeService>;
}

/** A person's systemd service whose files lie in the test's folder. */
function bench(over: Partial<ServiceComponents> = {}, exitCode: (command: Command) => number = () => 0): Bench {
  const said: string[] = [];
  const executed: Command[] = [];
  const machine: ServiceMachine = {
    env: { XDG_CONFIG_HOME: join(folder, 'config') },
    userFolder: folder,
    node: '/opt/weft/node',
    bin: '/opt/weft/bin/weft.js',
  };
  const components: ServiceComponents = {
    machine,
    manager: SERVICE_MANAGERS.systemd,
    execute: async (command) => {
      executed.push(command);
      return exitCode(command);
    },
    say: (line) => said.push(line),
    uid: 1_000,
    platform: 'linux',
    ...over,
  };
  const service = describeService(components.machine, { system: 'systemd', scope: 'user', memoryMax: '80%' });
  return { components, said, executed, path: components.manager.path(components.machine, 'user'), service };
}

const once = { now: false, force: false } as const;

describe('weft service install', () => {
  it('writes the file and says what to run, and runs nothing', async () => {
    const { components, said, executed, path, service } = bench();
    await install(components, service, once);
    expect(await readFile(path, 'utf8')).toBe(components.manager.render(service));
    expect(path).toBe(join(folder, 'config', 'systemd', 'user', 'weft.service'));
    expect(said.join('\n')).toContain('systemctl --user daemon-reload\n  systemctl --user enable --now weft.service');
    expect(executed).toEqual([]);
  });

  it('runs the commands with --now, and says so', async () => {
    const { components, said, executed, service } = bench();
    await install(components, service, { now: true, force: false });
    expect(executed).toEqual([
      ['systemctl', '--user', 'daemon-reload'],
      ['systemctl', '--user', 'enable', '--now', 'weft.service'],
    ]);
    expect(said).toContain('$ systemctl --user daemon-reload');
  });

  it('says which command failed, and that the file is in place', async () => {
    const { components, path, service } = bench({}, (command) => (command.includes('enable') ? 5 : 0));
    await expect(install(components, service, { now: true, force: false })).rejects.toMatchObject({
      message: expect.stringMatching(/enable --now weft\.service.*exit code 5/),
      remedy: expect.stringContaining('in place'),
    });
    await stat(path);
  });

  it('leaves what a person has changed alone, unless it is forced', async () => {
    const { components, path, service } = bench();
    await install(components, service, once);
    const changed = (await readFile(path, 'utf8')).replace('MemoryMax=80%', 'MemoryMax=90%');
    await writeFile(path, changed);
    await expect(install(components, service, once)).rejects.toMatchObject({
      code: 'forbidden',
      remedy: expect.stringContaining('--force'),
    });
    expect(await readFile(path, 'utf8')).toBe(changed);
    await expect(uninstall(components, service, { force: false })).rejects.toMatchObject({ code: 'forbidden' });
    expect(await readFile(path, 'utf8')).toBe(changed);
    await install(components, service, { now: false, force: true });
    expect(await readFile(path, 'utf8')).toBe(components.manager.render(service));
  });

  it("leaves a unit that isn't Weft's alone", async () => {
    const { components, path, service } = bench();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '[Service]\nExecStart=/usr/bin/weave\n');
    await expect(install(components, service, once)).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('brings a file of another version up to date without being forced', async () => {
    const { components, path, service } = bench();
    await install(components, { ...service, memoryMax: '50%' }, once);
    expect(await report(components, service)).toMatchObject({ file: 'outdated' });
    await install(components, service, once);
    expect(await readFile(path, 'utf8')).toContain('MemoryMax=80%');
    expect(await report(components, service)).toEqual({ path, file: 'current', active: true });
  });

  it('refuses what needs an administrator, before anything is written', async () => {
    const { components, executed } = bench();
    const service = describeService(components.machine, { system: 'systemd', scope: 'system', memoryMax: '80%' });
    await expect(install(components, service, { now: true, force: false })).rejects.toMatchObject({
      code: 'forbidden',
      remedy: expect.stringMatching(/sudo.*--user/),
    });
    expect(executed).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)('says what to do where the folder can not be written', async () => {
    const { components } = bench();
    const service = describeService(components.machine, { system: 'systemd', scope: 'system', memoryMax: '80%' });
    await expect(install(components, service, once)).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('/etc/systemd/system/weft.service'),
      remedy: expect.stringMatching(/sudo.*--user/),
    });
  });

  it.each(['/root/.nvm/node', '/home/ada/node', '/tmp/node'])(
    'refuses a program that is hidden from it: %s',
    async (node) => {
      const { components } = bench({ uid: 0 });
      const machine = { ...components.machine, node };
      const service = describeService(machine, { system: 'systemd', scope: 'system', memoryMax: '80%' });
      await expect(install({ ...components, machine }, service, once)).rejects.toMatchObject({
        code: 'config_invalid',
        remedy: expect.stringContaining('/opt/weft'),
      });
    },
  );
});

describe('weft service uninstall', () => {
  it('stops the service, removes the file and leaves the data', async () => {
    const { components, said, executed, path, service } = bench();
    await install(components, service, once);
    await uninstall(components, service, { force: false });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(executed).toEqual([
      ['systemctl', '--user', 'disable', '--now', 'weft.service'],
      ['systemctl', '--user', 'daemon-reload'],
    ]);
    expect(said.at(-1)).toContain(service.home);
  });

  it('removes the file also where the system knows nothing of the service', async () => {
    const { components, said, path, service } = bench({}, () => 1);
    await install(components, service, once);
    await uninstall(components, service, { force: false });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(said.at(-1)).toContain(service.home);
  });

  it('says that there is nothing to remove', async () => {
    const { components, said, executed, path, service } = bench();
    await uninstall(components, service, { force: false });
    expect(said).toEqual([`There is no ${path}.`]);
    expect(executed).toEqual([]);
  });
});

describe('weft service status', () => {
  it('tells a service that does not run, and a machine without such services', async () => {
    const { components, service } = bench({}, () => 3);
    expect(await report(components, service)).toMatchObject({ file: 'absent', active: false });
    expect(await report({ ...components, execute: async () => 127 }, service)).toMatchObject({ active: undefined });
    expect(await report({ ...components, platform: 'darwin' }, service)).toMatchObject({ active: undefined });
  });
});

describe('the service of another system', () => {
  it('is a file of UTF-16 for the Windows task scheduler', async () => {
    const env = { LOCALAPPDATA: folder, USERNAME: 'ada', USERDOMAIN: 'HOME' };
    const { components } = bench({ manager: SERVICE_MANAGERS.windows });
    const machine = { ...components.machine, env };
    const service = describeService(machine, { system: 'windows', scope: 'user', memoryMax: '80%' });
    // The manager's own path has backslashes: the test keeps it in its folder.
    const path = join(folder, 'weft-task.xml');
    const manager = { ...SERVICE_MANAGERS.windows, path: () => path };
    await install({ ...components, machine, manager }, service, once);
    const bytes = await readFile(path);
    expect([...bytes.subarray(0, 2)]).toEqual([0xff, 0xfe]);
    expect(bytes.toString('utf16le')).toContain('<UserId>HOME\\ada</UserId>');
    expect(await report({ ...components, machine, manager }, service)).toMatchObject({ file: 'current' });
  });

  it('of launchd never runs as root', () => {
    const machine = bench().components.machine;
    const init = { system: 'launchd', scope: 'system', memoryMax: '80%' } as const;
    for (const env of [{}, { SUDO_USER: 'root' }]) {
      expect(() => describeService({ ...machine, env }, init)).toThrow(/needs a user/);
    }
    expect(describeService({ ...machine, env: { SUDO_USER: 'ada' } }, init)).toMatchObject({ user: 'ada' });
  });
});
