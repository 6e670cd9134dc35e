// What is installed as a service, the same for every system: which program, for whom, on which data folder.
import { homedir } from 'node:os';
import { dirname, join, win32 } from 'node:path';
import { WeftError } from '../../../protocol/errors.ts';
import { packagePaths } from '../../app/paths.ts';
import { type Environment, homeFolder } from '../../config/home.ts';

/** `system`: starts with the machine. `user`: starts with the person's session. */
export type ServiceScope = 'system' | 'user';

export type ServiceSystem = 'systemd' | 'launchd' | 'windows';

export const SERVICE_SYSTEMS: readonly ServiceSystem[] = ['systemd', 'launchd', 'windows'];

/** Everything that a service file says. Paths are absolute. */
export interface ServiceDescription {
  readonly scope: ServiceScope;
  /** The Node that runs it. */
  readonly node: string;
  /** bin/weft.js of the package. */
  readonly bin: string;
  /** Data folder. */
  readonly home: string;
  /** A file of `NAME=value` lines that the service reads its settings from; where the system can do that. */
  readonly environmentFile: string;
  /** Hard limit of the whole service, as systemd writes it: bytes, or a share such as `80%`. */
  readonly memoryMax: string;
  /** Who runs it, where the system must be told and is not the one who asks. */
  readonly user: string | undefined;
}

/** Where things lie on the machine. */
export interface ServiceMachine {
  readonly env: Environment;
  /** The person's own folder. */
  readonly userFolder: string;
  readonly node: string;
  readonly bin: string;
}

/** The machine that this process runs on. */
export function thisMachine(env: Environment): ServiceMachine {
  const root = dirname(dirname(packagePaths().bundledModels));
  return { env, userFolder: homedir(), node: process.execPath, bin: join(root, 'bin', 'weft.js') };
}

/** Where the data of a service lies that starts with the machine. systemd makes its own below /var/lib. */
function systemHome(system: ServiceSystem, env: Environment): string {
  if (system === 'systemd') return '/var/lib/weft';
  if (system === 'launchd') return '/Library/Application Support/Weft';
  return win32.join(env.ProgramData || 'C:\\ProgramData', 'Weft');
}

const PLATFORMS = { systemd: 'linux', launchd: 'darwin', windows: 'win32' } as const;

/**
 * The service for this machine.
 * @throws WeftError `config_invalid` for a wish that the system can't fulfil
 */
export function describeService(
  machine: ServiceMachine,
  init: {
    readonly system: ServiceSystem;
    readonly scope: ServiceScope;
    readonly home?: string | undefined;
    readonly memoryMax: string;
    readonly runAs?: string | undefined;
  },
): ServiceDescription {
  const { env, userFolder, node, bin } = machine;
  const { system, scope, memoryMax } = init;
  if (system === 'systemd' && scope === 'system' && init.home !== undefined) {
    throw new WeftError({
      code: 'config_invalid',
      message: 'The data of a systemd service that starts with the machine lies in /var/lib/weft.',
      remedy: 'Leave --home out; mount another disk at /var/lib/private/weft if it must lie elsewhere.',
    });
  }
  const home =
    scope === 'user'
      ? homeFolder({ env, asked: init.home, platform: PLATFORMS[system], userFolder })
      : (init.home ?? systemHome(system, env));
  const configFolder = env.XDG_CONFIG_HOME || join(userFolder, '.config');
  const environmentFile = scope === 'user' ? join(configFolder, 'weft', 'environment') : '/etc/weft/environment';
  return { scope, node, bin, home, environmentFile, memoryMax, user: userOf(system, scope, init.runAs, env) };
}

function userOf(
  system: ServiceSystem,
  scope: ServiceScope,
  runAs: string | undefined,
  env: Environment,
): string | undefined {
  if (system === 'launchd' && scope === 'system') return launchdUser(runAs ?? env.SUDO_USER);
  if (system === 'windows' && scope === 'user') return runAs ?? windowsUser(env);
  return undefined;
}

function windowsUser({ USERDOMAIN: domain, USERNAME: name }: Environment): string {
  if (name) return domain ? `${domain}\\${name}` : name;
  throw new WeftError({
    code: 'config_invalid',
    message: 'The task needs the name of the person whose logon starts it.',
    remedy: 'Name one with --run-as DOMAIN\\USER.',
  });
}

/** launchd has no users that come and go: a daemon runs as somebody who is there, and that must not be root. */
function launchdUser(user: string | undefined): string {
  if (user !== undefined && user !== '' && user !== 'root') return user;
  throw new WeftError({
    code: 'config_invalid',
    message: 'A service that starts with the machine needs a user to run as, and root is none for this.',
    remedy: 'Name one with --run-as USER, or install for yourself with --user.',
  });
}
