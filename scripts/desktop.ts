// `npm run desktop`: builds the app and starts it in this checkout. Arguments go to Electron.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { buildDesktop } from './desktop-build.ts';
import { findElectron, HOW_TO_GET_ELECTRON, ROOT } from './desktop-electron.ts';

await buildDesktop();
const electron = findElectron();
if (electron === undefined) {
  console.error(`desktop: the app is built (dist/desktop), but can't be started.\n${HOW_TO_GET_ELECTRON}`);
  process.exitCode = 1;
} else {
  const { ELECTRON_RUN_AS_NODE: _node, ...env } = process.env;
  const child = spawn(electron, [join(ROOT, 'dist', 'desktop', 'main.js'), ...process.argv.slice(2)], {
    cwd: ROOT,
    env,
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
