// Bundles the programs into dist/: one file read instead of hundreds makes a start three times as fast.
// Run by `npm ci` and `npm install` (script `prepare`), `npm run build` and `npm test`. Plain JavaScript, so that it
// runs on any Node ≥ 20. Where the build tools are missing (`npm ci --omit=dev`) it leaves dist/ as it is:
// bin/weft.js runs dist/cli.js where it exists, and the TypeScript sources where it doesn't.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');

/** Folders of dist/ that the desktop's own builds write. */
const OTHERS = ['desktop', 'packages'];

/** Programs that are started by path: the command line, the two child processes of a daemon, and a runner's thread. */
const ENTRIES = {
  cli: 'node/cli/main.ts',
  runner: 'node/engine/runner/main.ts',
  grammar: 'node/engine/runner/grammar/worker.ts',
  prep: 'node/prep/main.ts',
};

/**
 * Stays outside the bundle: what loads a native library from its own folder, and decoders of sounds, which are large, seldom
 * needed, and under licences of their own (libmpg123: LGPL 2.1).
 */
const EXTERNAL = [/^onnxruntime-node(\/|$)/, /^(mpg123-decoder|ogg-opus-decoder|@wasm-audio-decoders\/[^/]+)(\/|$)/];

const rolldown = await loadRolldown();
if (rolldown === undefined) {
  console.log('build: the build tools are not installed, dist/ stays as it is');
} else {
  const startedAt = performance.now();
  const output = [...(await bundle(rolldown)), ...(await bundlePages())];
  await writeAll([...output, { path: 'THIRD-PARTY.txt', content: await thirdPartyNotices(output) }]);
  const bytes = output.reduce((sum, file) => sum + (file.path.endsWith('.js') ? file.content.length : 0), 0);
  console.log(
    `build: dist/ written, ${(bytes / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - startedAt)} ms`,
  );
}

/** The bundler, or undefined where it isn't installed. */
async function loadRolldown() {
  try {
    return await import('rolldown');
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Bundles in memory, so that a failure leaves the last good dist/ in place. Returns `{ path, content, modules }[]`. */
async function bundle({ rolldown }) {
  const build = await rolldown({
    cwd: ROOT,
    input: ENTRIES,
    platform: 'node',
    external: EXTERNAL,
    tsconfig: join(ROOT, 'tsconfig.json'),
    onLog(level, log, handle) {
      // Dependencies may do as they like (eval, this at top level, …); our own warnings are errors.
      if (level === 'warn' && log.id !== undefined && log.id.includes('node_modules')) return;
      handle(level === 'warn' ? 'error' : level, log);
    },
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      sourcemap: true,
      entryFileNames: '[name].js',
      // Flat, so that every file of the bundle finds the package at the same place: one folder up.
      chunkFileNames: '[name]-[hash].js',
    });
    return output.map((file) => ({
      path: file.fileName,
      content: file.type === 'chunk' ? file.code : file.source,
      modules: file.type === 'chunk' ? file.moduleIds : [],
    }));
  } finally {
    await build.close();
  }
}

/** The pages that every node serves, in `ui/`; in memory, as above. */
async function bundlePages() {
  const { build } = await import('vite');
  const { output } = await build({
    configFile: join(ROOT, 'desktop/ui/vite.config.ts'),
    logLevel: 'warn',
    build: { write: false },
  });
  return output.map((file) => ({
    path: `ui/${file.fileName}`,
    content: file.type === 'chunk' ? file.code : file.source,
    modules: file.type === 'chunk' ? file.moduleIds : [],
  }));
}

/** Replaces dist/ by these files; what lies there under another name goes last, as somebody may be reading it. */
async function writeAll(files) {
  const before = await readdir(DIST, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const { path, content } of files) {
    const target = join(DIST, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
  }
  const written = new Set(files.map(({ path }) => join(DIST, path)));
  for (const entry of before) {
    const path = join(entry.parentPath, entry.name);
    const isOurs = !entry.isDirectory() && !OTHERS.some((folder) => path.startsWith(join(DIST, folder, sep)));
    if (isOurs && !written.has(path)) await rm(path, { force: true });
  }
}

/** Name, version and licence text of every package that has code in the bundle. */
async function thirdPartyNotices(files) {
  const folders = new Set(files.flatMap((file) => (file.modules ?? []).map(packageFolder)).filter(Boolean));
  const notices = new Map();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const texts = [];
    for (const file of (await readdir(folder)).sort()) {
      if (/^(licen[cs]e|notice|copying)/i.test(file)) texts.push((await readFile(join(folder, file), 'utf8')).trim());
    }
    const heading = `${name} ${version} (${license ?? 'see below'})`;
    notices.set(heading, [`${heading}\n${'='.repeat(heading.length)}`, ...texts].join('\n\n'));
  }
  const sorted = [...notices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  return `Weft's bundle contains code of these packages.\n\n${sorted.join('\n\n\n')}\n`;
}

/** Folder of the npm package that holds a module, or undefined for a module of our own. */
function packageFolder(id) {
  const parts = relative(ROOT, id.replace(/^\0/, '').replace(/\?.*$/, '')).split(sep);
  const at = parts.lastIndexOf('node_modules');
  if (at === -1) return undefined;
  const depth = parts[at + 1]?.startsWith('@') ? 3 : 2;
  return join(ROOT, ...parts.slice(0, at + depth));
}
