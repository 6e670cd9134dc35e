// Opens a page in the browser of the person at this machine, where there is one; for `weft dashboard`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { writeWhole } from '../config/files.ts';
import type { Environment } from '../config/home.ts';

/** A program, and what stands before the file that it is to open. */
export interface Opener {
  readonly program: string;
  readonly args: readonly string[];
}

/** In the data folder, for its owner only. */
const PAGE_FILE = 'dashboard.html';

/**
 * What opens pages here; undefined where nobody would see one: without a screen, or where the terminal is on another machine.
 * @param platform as `process.platform`
 */
export function openerOf(env: Environment, platform: NodeJS.Platform): Opener | undefined {
  if (env.SSH_CONNECTION || env.SSH_TTY) return undefined;
  if (platform === 'darwin') return { program: 'open', args: [] };
  if (platform === 'win32') return { program: 'rundll32', args: ['url.dll,FileProtocolHandler'] };
  return env.DISPLAY || env.WAYLAND_DISPLAY ? { program: 'xdg-open', args: [] } : undefined;
}

/**
 * Opens an address by a file that leads there: every user of a machine may read the arguments of a program, and an address
 * with a sign-in token is worth something to them.
 * @param init.folder the data folder
 * @returns whether the program could be started
 */
export async function openPage(
  opener: Opener,
  init: { readonly url: string; readonly folder: string; readonly env: Environment },
): Promise<boolean> {
  const file = join(init.folder, PAGE_FILE);
  await writeWhole(file, leadingTo(init.url));
  return new Promise((resolve) => {
    const child = spawn(opener.program, [...opener.args, file], {
      env: { ...init.env },
      stdio: 'ignore',
      detached: true,
      windowsHide: true,
    });
    child.once('error', () => resolve(false));
    child.once('spawn', () => resolve(true));
    // The browser may stay for as long as it likes.
    child.unref();
  });
}

function leadingTo(url: string): string {
  const safe = url.replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url=${safe}">
<title>Weft</title>
<a href="${safe}">Open the dashboard</a>
`;
}
