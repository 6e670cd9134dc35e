// Builds what the desktop app is made of: the node and its pages into dist/, main process and preload script into
// dist/desktop.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from './desktop-electron.ts';

/** @throws Error when a build fails */
export async function buildDesktop(): Promise<void> {
  // First: it takes away what it doesn't know from dist/.
  await run([join(ROOT, 'scripts', 'build.js')], ROOT);
  await buildElectron(ROOT);
}

/** Main process and preload script alone. @param folder gets them, in dist/desktop @throws Error when the build fails */
export function buildElectron(folder: string): Promise<void> {
  const program = join(ROOT, 'node_modules', 'electron-vite', 'bin', 'electron-vite.js');
  const config = join(ROOT, 'desktop', 'electron.vite.config.js');
  return run([program, 'build', '--config', config, '--logLevel', 'warn'], folder);
}

async function run(args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(process.execPath, [...args], { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${args[0]} ended with ${code ?? 'a signal'}.`);
}
