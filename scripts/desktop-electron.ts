// Where Electron's own binary is. It comes from outside the package registries, so nothing here ever fetches it.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What to do where there is none. */
export const HOW_TO_GET_ELECTRON = [
  "Electron's binary is not installed: it does not come with `npm ci`.",
  '  With access to the internet:  npx install-electron --no',
  '  With one from elsewhere:      ELECTRON_PATH=/path/to/electron npm run …',
].join('\n');

/** Absolute path of the program: ELECTRON_PATH, else the one that was installed into node_modules; undefined where neither is. */
export function findElectron(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const given = env.ELECTRON_PATH;
  if (given) {
    const path = resolve(given);
    if (!existsSync(path)) throw new Error(`ELECTRON_PATH names nothing: ${path}`);
    return path;
  }
  const folder = join(ROOT, 'node_modules', 'electron');
  try {
    const path = join(folder, 'dist', readFileSync(join(folder, 'path.txt'), 'utf8').trim());
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // No path.txt: it was never installed.
  }
}

/** The folder that a package is made of, with the program in it. */
export function electronFolder(program: string): string {
  // Of macOS' Electron.app/Contents/MacOS/Electron, the folder around the app.
  const macOs = dirname(program);
  return basename(macOs) === 'MacOS' ? dirname(dirname(dirname(macOs))) : macOs;
}
