// What Electron starts. Nothing is awaited here: Electron isn't ready before this file has been run to its end.
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { HIDDEN_FLAG } from './autostart.ts';
import { Desktop } from './desktop.ts';
import { createElectronHost } from './electron.ts';
import { homeFolder } from './home.ts';
import { openLog } from './log.ts';
import { nodeStarter } from './node-process.ts';
import { findNodeProgram } from './node-program.ts';

/** The app's own root: the archive of a package, or the checkout. This file is bundled to dist/desktop/main.js in it. */
const ROOT = join(import.meta.dirname, '..', '..');

const { env, arch } = process;
const host = createElectronHost({
  version: packageJson.version,
  images: join(ROOT, 'desktop', 'resources'),
  // A data folder that was asked for keeps its app apart from others as well.
  userData: env.WEFT_HOME ? join(homeFolder({ env, platform: process.platform }), 'desktop') : undefined,
});
const { platform, packaged, resources, logs } = host.app;
const log = openLog({ folder: logs, now: Date.now });
process.on('unhandledRejection', (error) => log.warn({ error }, 'something failed that should not have'));

const desktop = new Desktop(
  {
    host,
    log,
    starter: nodeStarter({
      program: () => findNodeProgram({ packaged, resources, checkout: ROOT, platform, arch }),
      env,
      home: homeFolder({ env, platform }),
      logs,
    }),
  },
  {
    env,
    pages: join(ROOT, 'dist', 'ui'),
    preload: join(import.meta.dirname, 'preload.cjs'),
    // Put in by the build; what the environment says later is not asked.
    updateKey: process.env.WEFT_UPDATE_KEY || undefined,
    hidden: host.app.argv.includes(HIDDEN_FLAG),
  },
);
desktop.start().then(
  (isFirst) => {
    if (!isFirst) host.app.quit();
  },
  (error: unknown) => {
    log.warn({ error }, 'the app could not be started');
    host.desktop.showError('Weft could not be started', error instanceof Error ? error.message : String(error));
    host.app.quit();
  },
);
