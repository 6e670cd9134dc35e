// What the service files say, read back by parsers of their formats and, for the unit, by systemd's own tools.
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceDescription, ServiceScope } from '../../../../node/cli/service/description.ts';
import { SERVICE_MANAGERS } from '../../../../node/cli/service/systems.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { runs } from '../../../support/property.ts';
import {
  expandSpecifiers,
  find,
  parsePlist,
  parseUnit,
  parseWindowsArguments,
  parseWords,
  parseXml,
} from './parsers.ts';

const { systemd, launchd, windows } = SERVICE_MANAGERS;

function service(over: Partial<ServiceDescription> = {}): ServiceDescription {
  return {
    scope: 'system',
    node: '/opt/weft/node',
    bin: '/opt/weft/bin/weft.js',
    home: '/var/lib/weft',
    environmentFile: '/etc/weft/environment',
    memoryMax: '80%',
    user: undefined,
    ...over,
  };
}

/** The settings of one section; the last of a name counts. */
const settings = (unit: string, section: string): Readonly<Record<string, string>> =>
  Object.fromEntries(parseUnit(unit).get(section) ?? []);

/** Folder names with what formats stumble over. */
const SPECIAL = [
  ' ',
  '%',
  '%h',
  '%%',
  '$',
  '$HOME',
  '"',
  "'",
  '\\',
  '&',
  '<',
  '>',
  ';',
  '#',
  '--',
  'ä',
  '文',
  '(',
  '`',
  '=',
];
const name = fc
  .array(fc.oneof(fc.constantFrom(...SPECIAL), fc.stringMatching(/^[a-z0-9]{1,4}$/)), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
  .filter((text) => text.trim() === text);
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const plainPath = path.map((text) => text.replace(/["'\\*?[]/g, '_'));

describe('the systemd unit', () => {
  const unit = systemd.render(service());

  it('runs the program as a user of its own, who can write its data folder and nothing else', () => {
    const found = settings(unit, 'Service');
    expect(parseWords(found.ExecStart ?? '')).toEqual([':/opt/weft/node', '/opt/weft/bin/weft.js', 'serve']);
    expect(found).toMatchObject({
      Type: 'exec',
      DynamicUser: 'yes',
      StateDirectory: 'weft',
      StateDirectoryMode: '0700',
      ProtectSystem: 'strict',
      ProtectHome: 'yes',
      PrivateTmp: 'yes',
      PrivateDevices: 'yes',
      NoNewPrivileges: 'yes',
      CapabilityBoundingSet: '',
      RestrictAddressFamilies: 'AF_INET AF_INET6 AF_UNIX AF_NETLINK',
      SystemCallFilter: '@system-service',
      UMask: '0077',
      EnvironmentFile: '-/etc/weft/environment',
    });
    expect(parseWords(found.Environment ?? '')).toEqual(['WEFT_HOME=/var/lib/weft']);
  });

  it('leaves V8 its executable memory, and says why', () => {
    expect(settings(unit, 'Service').MemoryDenyWriteExecute).toBeUndefined();
    expect(unit).toMatch(/^# MemoryDenyWriteExecute must stay off: V8/m);
  });

  it('is bounded, comes back after a failure, and is not restarted for ever', () => {
    expect(settings(unit, 'Service')).toMatchObject({
      MemoryMax: '80%',
      OOMPolicy: 'continue',
      LimitNOFILE: '65536',
      Restart: 'on-failure',
      RestartPreventExitStatus: '2 3',
      KillMode: 'mixed',
      TimeoutStopSec: '10s',
    });
    expect(settings(unit, 'Unit')).toMatchObject({
      StartLimitIntervalSec: '5min',
      StartLimitBurst: '10',
      After: 'network-online.target',
    });
    expect(settings(unit, 'Install')).toEqual({ WantedBy: 'multi-user.target' });
  });

  it('of a person asks for nothing that only the system can do', () => {
    const user = systemd.render(service({ scope: 'user', home: '/home/ada/.local/share/weft' }));
    const found = settings(user, 'Service');
    for (const absent of ['DynamicUser', 'StateDirectory', 'ProtectHome', 'ProtectSystem', 'CapabilityBoundingSet']) {
      expect(found[absent], absent).toBeUndefined();
    }
    expect(found).toMatchObject({ NoNewPrivileges: 'yes', SystemCallFilter: '@system-service', MemoryMax: '80%' });
    expect(parseWords(found.Environment ?? '')).toEqual(['WEFT_HOME=/home/ada/.local/share/weft']);
    expect(settings(user, 'Unit').After).toBeUndefined();
    expect(settings(user, 'Install')).toEqual({ WantedBy: 'default.target' });
  });

  it('gives back every path as it was', () => {
    fc.assert(
      fc.property(plainPath, path, path, plainPath, (node, bin, home, environmentFile) => {
        const found = settings(systemd.render(service({ node, bin, home, environmentFile })), 'Service');
        // The colon keeps systemd from replacing $NAME.
        expect(parseWords(found.ExecStart ?? '')).toEqual([`:${node}`, bin, 'serve']);
        expect(parseWords(found.Environment ?? '')).toEqual([`WEFT_HOME=${home}`]);
        expect(expandSpecifiers((found.EnvironmentFile ?? '').slice(1))).toBe(environmentFile);
      }),
      runs(200),
    );
  });

  it('refuses what a unit has no way to hold', () => {
    for (const node of ['/opt/a"b/node', '/opt/a\\b/node']) refused(() => systemd.render(service({ node })));
    for (const home of ['/a\nExecStartPre=/bin/sh', '/a\u0000b', '/a '])
      refused(() => systemd.render(service({ home })));
    for (const environmentFile of ['/etc/we*t', '/etc/a\\'])
      refused(() => systemd.render(service({ environmentFile })));
  });
});

/** systemd's own judge of units, where it is installed. */
const ANALYZE = spawnSync('systemd-analyze', ['--version']).status === 0;

describe.skipIf(!ANALYZE)('systemd-analyze', () => {
  const analyze = async (scope: ServiceScope, ...args: readonly string[]) => {
    const folder = await mkdtemp(join(tmpdir(), 'weft unit %-'));
    try {
      const file = join(folder, 'weft.service');
      await writeFile(file, systemd.render(service({ scope, node: process.execPath, home: '/srv/a b%c' })));
      const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, file], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: folder },
      });
      return { status, output: stdout + stderr };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  it.each(['system', 'user'] as const)('verifies the unit of the %s without a word', async (scope) => {
    expect(await analyze(scope, 'verify', '--man=no', scope === 'user' ? '--user' : '--system')).toEqual({
      status: 0,
      output: '',
    });
  });

  it('finds little exposed', async () => {
    // 0 is the least exposure, 10 the most; an nginx package's unit has 9.6.
    const { status, output } = await analyze('system', 'security', '--offline=true', '--threshold=25', '--no-pager');
    expect(status, output).toBe(0);
  });
});

describe('the launchd property list', () => {
  it('runs the program at the start of the machine as the named user, and again after a failure', () => {
    expect(parsePlist(launchd.render(service({ home: '/Library/Application Support/Weft', user: 'ada' })))).toEqual({
      Label: 'weft-mesh.weft',
      ProgramArguments: ['/opt/weft/node', '/opt/weft/bin/weft.js', 'serve'],
      EnvironmentVariables: { WEFT_HOME: '/Library/Application Support/Weft' },
      UserName: 'ada',
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ThrottleInterval: 10,
      ExitTimeOut: 10,
      ProcessType: 'Interactive',
      Umask: 0o077,
      SoftResourceLimits: { NumberOfFiles: 65_536 },
      HardResourceLimits: { NumberOfFiles: 65_536 },
      StandardOutPath: '/Library/Application Support/Weft/weft.log',
      StandardErrorPath: '/Library/Application Support/Weft/weft.log',
    });
  });

  it('gives back every path as it was', () => {
    fc.assert(
      fc.property(path, path, path, (node, bin, home) => {
        const list = parsePlist(launchd.render(service({ scope: 'user', node, bin, home })));
        expect(list).toMatchObject({
          ProgramArguments: [node, bin, 'serve'],
          EnvironmentVariables: { WEFT_HOME: home },
          StandardErrorPath: `${home}/weft.log`.replace(/\/+/g, '/'),
        });
      }),
      runs(200),
    );
  });

  it('refuses what XML has no way to write', () => {
    for (const home of ['/a\u0001', '/a\u{ffff}', '/a\ud800']) refused(() => launchd.render(service({ home })));
  });
});

describe('the Windows task', () => {
  const node = 'C:\\Program Files\\Weft\\node.exe';
  const bin = 'C:\\Program Files\\Weft\\bin\\weft.js';
  const windowsService = (over: Partial<ServiceDescription> = {}) =>
    service({ node, bin, home: 'C:\\ProgramData\\Weft', ...over });

  it('runs the program at the start of the machine as LocalService, without a time limit', () => {
    const task = parseXml(windows.render(windowsService()));
    expect(find(task, 'Principals', 'Principal', 'UserId').text).toBe('S-1-5-19');
    expect(find(task, 'Principals', 'Principal', 'RunLevel').text).toBe('LeastPrivilege');
    expect(find(task, 'Triggers', 'BootTrigger', 'Enabled').text).toBe('true');
    expect(find(task, 'Settings', 'ExecutionTimeLimit').text).toBe('PT0S');
    expect(find(task, 'Settings', 'RestartOnFailure', 'Count').text).toBe('10');
    expect(find(task, 'Actions', 'Exec', 'Command').text).toBe(node);
    expect(parseWindowsArguments(find(task, 'Actions', 'Exec', 'Arguments').text)).toEqual([
      bin,
      'serve',
      '--home',
      'C:\\ProgramData\\Weft',
    ]);
  });

  it("of a person waits for that person's logon", () => {
    const task = parseXml(windows.render(windowsService({ scope: 'user', user: 'HOME\\ada' })));
    expect(find(task, 'Triggers', 'LogonTrigger', 'UserId').text).toBe('HOME\\ada');
    expect(find(task, 'Principals', 'Principal', 'UserId').text).toBe('HOME\\ada');
    expect(find(task, 'Principals', 'Principal', 'LogonType').text).toBe('InteractiveToken');
  });

  it('gives back every path as it was, or refuses one that the scheduler would change', () => {
    const windowsPath = path.map((text) => `C:${text.replaceAll('/', '\\')}`);
    fc.assert(
      fc.property(windowsPath, windowsPath, (binPath, home) => {
        const render = () => windows.render(windowsService({ bin: binPath, home }));
        const both = `${binPath} ${home}`;
        if (both.split('%').length > 2 || both.includes('$(')) return refused(render);
        const line = find(parseXml(render()), 'Actions', 'Exec', 'Arguments').text;
        expect(parseWindowsArguments(line)).toEqual([binPath, 'serve', '--home', home]);
      }),
      runs(200),
    );
  });
});

function refused(render: () => unknown): void {
  let error: unknown;
  try {
    render();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(WeftError);
  expect(error).toMatchObject({ code: 'config_invalid' });
}
