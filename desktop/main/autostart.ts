// Start at login on Linux, where Electron has nothing for it: a file of the desktop's own kind in the autostart folder
// (freedesktop.org, Desktop Application Autostart Specification).
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Environment } from './home.ts';

export interface AutostartInit {
  readonly env: Environment;
  readonly userFolder: string;
  /** The program; that of an AppImage is the image itself. */
  readonly program: string;
}

export interface Autostart {
  isOn(): boolean;
  /** @throws the system's error */
  set(on: boolean): void;
}

/** Tells the app that nobody opened it. */
export const HIDDEN_FLAG = '--hidden';

export function linuxAutostart({ env, userFolder, program }: AutostartInit): Autostart {
  const config = env.XDG_CONFIG_HOME;
  const folder = join(config !== undefined && isAbsolute(config) ? config : join(userFolder, '.config'), 'autostart');
  const path = join(folder, 'weft.desktop');
  return {
    isOn: () => existsSync(path),
    set(on) {
      if (!on) {
        rmSync(path, { force: true });
        return;
      }
      mkdirSync(folder, { recursive: true });
      writeFileSync(path, desktopEntry(env.APPIMAGE || program));
    },
  };
}

function desktopEntry(program: string): string {
  return [
    '[Desktop Entry]',
    'Type=Application',
    'Name=Weft',
    'Comment=Federated inference over your own machines',
    `Exec=${quoted(program)} ${HIDDEN_FLAG}`,
    'Terminal=false',
    'X-GNOME-Autostart-enabled=true',
    '',
  ].join('\n');
}

/** As the specification writes arguments: escaped for its quotes, then for its strings; a percent sign is a field's. */
function quoted(program: string): string {
  const argument = `"${program.replaceAll(/["`$\\]/g, '\\$&').replaceAll('%', '%%')}"`;
  return argument.replaceAll('\\', '\\\\');
}
