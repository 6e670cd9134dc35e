// What `weft service install`, `uninstall` and `status` do, with the system's commands behind a port.
import { WeftError } from '../../../protocol/errors.ts';
import type { ServiceDescription, ServiceMachine } from './description.ts';
import { changedByHand, type FileState, fileState, putFile, removeFile } from './files.ts';
import type { Command, ServiceManager } from './systems.ts';

export interface ServiceComponents {
  readonly machine: ServiceMachine;
  readonly manager: ServiceManager;
  /** Runs a command of the system to its end. @returns its exit code, 127 where there is no such program */
  readonly execute: (command: Command, options?: { readonly quiet: boolean }) => Promise<number>;
  /** Tells the person a line. */
  readonly say: (line: string) => void;
  /** User id of this process; 0 where the platform has none. */
  readonly uid: number;
  readonly platform: NodeJS.Platform;
}

export interface ServiceReport {
  readonly path: string;
  readonly file: FileState;
  /** Undefined where this machine has no such service system. */
  readonly active: boolean | undefined;
}

/**
 * Puts the file in place; with `now` it is also taken in and started.
 * @throws WeftError `forbidden` without the rights or over a changed file, `config_invalid` when the service could not
 *   run, `internal` when a command of the system fails
 */
export async function install(
  components: ServiceComponents,
  service: ServiceDescription,
  { now, force }: { readonly now: boolean; readonly force: boolean },
): Promise<void> {
  const { machine, manager, say, uid } = components;
  refuseHidden(components, service);
  if (now) refuseWithoutRights(components, service);
  const path = manager.path(machine, service.scope);
  const before = await putFile(path, manager.render(service), { encoding: manager.encoding, force });
  say(before === 'current' ? `${path} is as it should be.` : `Wrote ${path}.`);
  await carryOut(components, manager.enable(path, service, uid), now);
  for (const note of manager.notes(service)) say(note);
}

/** Stops the service and takes its file away. The data stays. @throws as {@link install} does */
export async function uninstall(
  components: ServiceComponents,
  service: ServiceDescription,
  { force }: { readonly force: boolean },
): Promise<void> {
  const { machine, manager, say, execute, uid } = components;
  const path = manager.path(machine, service.scope);
  const state = await fileState(path, manager.render(service), manager.encoding);
  if (state === 'absent') return say(`There is no ${path}.`);
  if (state === 'changed' && !force) throw changedByHand(path);
  refuseWithoutRights(components, service);
  // It may not run, or never have been taken in: whatever these say, the file is what has to go.
  const attempt = async (commands: readonly Command[]): Promise<void> => {
    for (const command of commands) {
      say(`$ ${shellLine(command)}`);
      await execute(command);
    }
  };
  await attempt(manager.disable(path, service.scope, uid));
  await removeFile(path);
  say(`Removed ${path}.`);
  await attempt(manager.forget(service.scope));
  say(`The data stays in ${service.home}.`);
}

/** What there is, and whether it runs. */
export async function report(components: ServiceComponents, service: ServiceDescription): Promise<ServiceReport> {
  const { machine, manager, execute, uid, platform } = components;
  const path = manager.path(machine, service.scope);
  const file = await fileState(path, manager.render(service), manager.encoding);
  if (platform !== manager.platform) return { path, file, active: undefined };
  const code = await execute(manager.isActive(service.scope, uid), { quiet: true });
  return { path, file, active: code === NO_SUCH_PROGRAM ? undefined : code === 0 };
}

/** What a shell reports for a program that isn't there. */
export const NO_SUCH_PROGRAM = 127;

async function carryOut(components: ServiceComponents, commands: readonly Command[], now: boolean): Promise<void> {
  const { say, execute } = components;
  if (!now && commands.length > 0) say('Next, run:');
  for (const command of commands) {
    say(now ? `$ ${shellLine(command)}` : `  ${shellLine(command)}`);
    if (!now) continue;
    const code = await execute(command);
    if (code !== 0) {
      throw new WeftError({
        code: 'internal',
        message: `\`${shellLine(command)}\` failed with exit code ${code}.`,
        remedy:
          code === NO_SUCH_PROGRAM
            ? 'This machine has no such program: install without --now, or run `weft serve` by what starts programs here.'
            : 'The lines above say why; the file is in place, and the command can be repeated.',
      });
    }
  }
}

function refuseWithoutRights({ uid, platform }: ServiceComponents, { scope }: ServiceDescription): void {
  // Windows asks by itself, for the command that needs it.
  if (scope === 'user' || uid === 0 || platform === 'win32') return;
  throw new WeftError({
    code: 'forbidden',
    message: 'Services that start with the machine are for an administrator to start and stop.',
    remedy: 'Run it with sudo, install for yourself with --user, or leave --now out and run what is printed.',
  });
}

/** Folders that the unit's ProtectHome and PrivateTmp keep from the service. */
const HIDDEN = /^\/(home|root|run\/user|tmp|var\/tmp)\//;

/** A program in a home folder works when a person tries it, and not in a service of the machine: said now, not at boot. */
function refuseHidden({ manager }: ServiceComponents, { scope, node, bin }: ServiceDescription): void {
  const hidden = [node, bin].find((path) => HIDDEN.test(path));
  if (scope === 'user' || manager.platform !== 'linux' || hidden === undefined) return;
  throw new WeftError({
    code: 'config_invalid',
    message: `The service could not read ${hidden}: home and temporary folders are hidden from it.`,
    remedy:
      'Install Weft elsewhere (npm install --omit=dev --ignore-scripts --prefix /opt/weft PACKAGE) and run it from there, ' +
      'or install for yourself with --user.',
  });
}

/** The command as a person would type it, in a POSIX shell. */
function shellLine(command: Command): string {
  return command
    .map((part) => (/^[\w@%+=:,./\\-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
