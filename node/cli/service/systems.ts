// Per service system: where its file lies, what it says, and the commands that make the system take notice of it.
import { join, win32 } from 'node:path';
import type { Environment } from '../../config/home.ts';
import type { ServiceDescription, ServiceMachine, ServiceScope, ServiceSystem } from './description.ts';
import { LAUNCHD_LABEL, launchdPlist } from './launchd.ts';
import { seal } from './seal.ts';
import { systemdUnit } from './systemd.ts';
import { WINDOWS_TASK, windowsTask } from './windows-task.ts';

/** A command line: program and arguments. */
export type Command = readonly [string, ...string[]];

/** One system's way of running services. */
export interface ServiceManager {
  /** The platform that has it. */
  readonly platform: NodeJS.Platform;
  /** Where the file belongs. */
  path(machine: Pick<ServiceMachine, 'env' | 'userFolder'>, scope: ServiceScope): string;
  /** The file's text, sealed. @throws WeftError `config_invalid` */
  render(service: ServiceDescription): string;
  /** How the file is written. */
  readonly encoding: 'utf8' | 'utf16le';
  /** After the file is there: takes it in and starts it, now and at every start of the machine or session. */
  enable(path: string, service: ServiceDescription, uid: number): readonly Command[];
  /** Before the file goes: stops it and forgets it. */
  disable(path: string, scope: ServiceScope, uid: number): readonly Command[];
  /** After the file is gone. */
  forget(scope: ServiceScope): readonly Command[];
  /** Succeeds while the service runs. */
  isActive(scope: ServiceScope, uid: number): Command;
  /** What a person should know besides. */
  notes(service: ServiceDescription): readonly string[];
}

const UNIT = 'weft.service';

const systemctl = (scope: ServiceScope, ...args: readonly string[]): Command =>
  scope === 'user' ? ['systemctl', '--user', ...args] : ['systemctl', ...args];

const systemd: ServiceManager = {
  platform: 'linux',
  encoding: 'utf8',
  path: ({ env, userFolder }, scope) =>
    scope === 'user'
      ? join(env.XDG_CONFIG_HOME || join(userFolder, '.config'), 'systemd', 'user', UNIT)
      : join('/etc/systemd/system', UNIT),
  render: (service) => seal(systemdUnit(service), (line) => `# ${line}; \`systemctl edit weft\` adds to it`),
  enable: (_path, { scope }) => [systemctl(scope, 'daemon-reload'), systemctl(scope, 'enable', '--now', UNIT)],
  disable: (_path, scope) => [systemctl(scope, 'disable', '--now', UNIT)],
  forget: (scope) => [systemctl(scope, 'daemon-reload')],
  isActive: (scope) => systemctl(scope, 'is-active', '--quiet', UNIT),
  notes: ({ scope, environmentFile }) => [
    `Settings: ${environmentFile}, one NAME=value a line (mode 0600 if it holds WEFT_API_KEY).`,
    ...(scope === 'user'
      ? ['It ends with your last session; `loginctl enable-linger` keeps it running.']
      : ['Commands reach it by `sudo WEFT_HOME=/var/lib/weft weft …`.']),
  ],
};

const launchdDomain = (scope: ServiceScope, uid: number): string => (scope === 'user' ? `gui/${uid}` : 'system');

const launchd: ServiceManager = {
  platform: 'darwin',
  encoding: 'utf8',
  path: ({ userFolder }, scope) =>
    join(
      scope === 'user' ? join(userFolder, 'Library', 'LaunchAgents') : '/Library/LaunchDaemons',
      `${LAUNCHD_LABEL}.plist`,
    ),
  render: (service) => seal(launchdPlist(service), (line) => `<!-- ${line} -->`),
  enable: (path, { scope, home, user }, uid) => [
    // launchd opens the log in it before the node has made it.
    user === undefined ? ['install', '-d', '-m', '700', home] : ['install', '-d', '-m', '700', '-o', user, home],
    ['launchctl', 'bootstrap', launchdDomain(scope, uid), path],
  ],
  disable: (_path, scope, uid) => [['launchctl', 'bootout', `${launchdDomain(scope, uid)}/${LAUNCHD_LABEL}`]],
  forget: () => [],
  isActive: (scope, uid) => ['launchctl', 'print', `${launchdDomain(scope, uid)}/${LAUNCHD_LABEL}`],
  notes: ({ home }) => [`Settings: ${join(home, 'settings.json')}.`, `Log: ${join(home, 'weft.log')}.`],
};

const windowsFolder = (env: Environment, scope: ServiceScope): string =>
  scope === 'user' ? env.LOCALAPPDATA || 'C:\\Users\\Default\\AppData\\Local' : env.ProgramData || 'C:\\ProgramData';

const windows: ServiceManager = {
  platform: 'win32',
  encoding: 'utf16le',
  path: ({ env }, scope) => win32.join(windowsFolder(env, scope), 'Weft', 'weft-task.xml'),
  render: (service) => seal(windowsTask(service), (line) => `<!-- ${line} -->`),
  enable: (path, { scope, home }) => [
    // LocalService owns nothing: the folder is given to it, and to nobody else but administrators.
    ...(scope === 'user'
      ? []
      : ([
          ['icacls', home, '/inheritance:r', '/grant', '*S-1-5-19:(OI)(CI)F', '/grant', '*S-1-5-32-544:(OI)(CI)F'],
        ] satisfies Command[])),
    ['schtasks', '/Create', '/F', '/TN', WINDOWS_TASK, '/XML', path],
    ['schtasks', '/Run', '/TN', WINDOWS_TASK],
  ],
  disable: () => [
    ['schtasks', '/End', '/TN', WINDOWS_TASK],
    ['schtasks', '/Delete', '/F', '/TN', WINDOWS_TASK],
  ],
  forget: () => [],
  isActive: () => ['schtasks', '/Query', '/TN', WINDOWS_TASK],
  notes: ({ home }) => [`Settings: ${win32.join(home, 'settings.json')}.`],
};

export const SERVICE_MANAGERS: Readonly<Record<ServiceSystem, ServiceManager>> = { systemd, launchd, windows };
