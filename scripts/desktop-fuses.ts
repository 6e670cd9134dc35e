// What Electron's binary may do in a package, burnt into it before it is signed. Used by the packaging, and by the test that
// looks at a packaged file.
import { join } from 'node:path';
import { type FuseConfig, FuseState, FuseV1Options, FuseVersion, flipFuses, getCurrentFuseWire } from '@electron/fuses';

/** Every fuse that this version of Electron has: one that is added later fails the packaging until it is decided here. */
export const FUSES = {
  version: FuseVersion.V1,
  strictlyRequireAllFuses: true,
  // Or ELECTRON_RUN_AS_NODE makes any program of it, under the app's name and rights.
  [FuseV1Options.RunAsNode]: false,
  [FuseV1Options.EnableCookieEncryption]: true,
  [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
  [FuseV1Options.EnableNodeCliInspectArguments]: false,
  // Checked on macOS and Windows; other systems ignore it.
  [FuseV1Options.EnableEmbeddedAsarIntegrityValidation]: true,
  [FuseV1Options.OnlyLoadAppFromAsar]: true,
  [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
  // Pages come from app://, never from files.
  [FuseV1Options.GrantFileProtocolExtraPrivileges]: false,
  [FuseV1Options.WasmTrapHandlers]: true,
} as const satisfies FuseConfig;

/** Names of the fuses that are not set as they should be; empty where all are. @throws Error for a file without fuses */
export async function wrongFuses(program: string): Promise<readonly string[]> {
  const wire = await getCurrentFuseWire(program);
  const names = Object.entries(FuseV1Options).filter((entry): entry is [string, FuseV1Options] => {
    return typeof entry[1] === 'number';
  });
  return names
    .filter(([, option]) => wire[option] !== (FUSES[option] ? FuseState.ENABLE : FuseState.DISABLE))
    .map(([name]) => name);
}

/** What of electron-builder's context is used. */
export interface AfterPackContext {
  readonly appOutDir: string;
  readonly electronPlatformName: string;
  readonly packager: {
    readonly executableName?: string;
    readonly appInfo: { readonly productFilename: string };
  };
}

/** The file that holds the fuses, or the bundle around it. */
export function fusedProgram({ appOutDir, electronPlatformName, packager }: AfterPackContext): string {
  const { productFilename } = packager.appInfo;
  if (electronPlatformName === 'darwin') return join(appOutDir, `${productFilename}.app`);
  if (electronPlatformName === 'win32') return join(appOutDir, `${productFilename}.exe`);
  return join(appOutDir, packager.executableName ?? productFilename);
}

/** electron-builder's hook after the app is laid out, before it is signed. @throws Error when a fuse is not as it should be */
export async function setFuses(context: AfterPackContext): Promise<void> {
  const program = fusedProgram(context);
  await flipFuses(program, { ...FUSES, resetAdHocDarwinSignature: context.electronPlatformName === 'darwin' });
  const wrong = await wrongFuses(program);
  if (wrong.length > 0) throw new Error(`Fuses of ${program} are not set: ${wrong.join(', ')}`);
}
