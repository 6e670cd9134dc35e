// `npm run desktop:package`: builds the app and packages it for this machine's system: AppImage and deb, dmg, or NSIS. Goes
// as far as it can without Electron's binary, and says what is missing. `--dir` leaves out the installers.
import { join } from 'node:path';
import { build, Platform } from 'electron-builder';
import { buildDesktop } from './desktop-build.ts';
import { APP_FOLDER, builderConfig, layOutApp, missingFiles } from './desktop-builder-config.ts';
import { electronFolder, findElectron, HOW_TO_GET_ELECTRON, ROOT } from './desktop-electron.ts';

const { env, arch } = process;
const platform = process.platform === 'win32' ? 'win' : process.platform === 'darwin' ? 'mac' : 'linux';

await buildDesktop();
const missing = missingFiles(ROOT, platform, arch);
const electron = findElectron();
const output = join(ROOT, 'dist', 'packages');
const config = builderConfig({
  root: ROOT,
  output,
  electronDist: electron === undefined ? undefined : electronFolder(electron),
  updateUrl: env.WEFT_UPDATE_URL || undefined,
});
if (env.WEFT_UPDATE_URL && !env.WEFT_UPDATE_KEY) {
  console.warn('desktop:package: WEFT_UPDATE_KEY is not set: this build will not take updates from its feed.');
}
if (missing.length > 0 || electron === undefined) {
  console.error('desktop:package: the app is built (dist/desktop, dist/ui), but not packaged.');
  for (const path of missing) console.error(`  missing: ${path}`);
  if (electron === undefined) console.error(HOW_TO_GET_ELECTRON);
  process.exitCode = 1;
} else {
  layOutApp(ROOT, env.WEFT_HOMEPAGE || 'https://weft.invalid/');
  const dir = process.argv.includes('--dir');
  const made = await build({
    projectDir: join(ROOT, APP_FOLDER),
    config,
    publish: 'never',
    targets: Platform.current().createTarget(dir ? 'dir' : null),
  });
  console.log(made.length === 0 ? `desktop:package: ${output}` : made.join('\n'));
}
