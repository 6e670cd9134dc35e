// The way to CUDA in docs/server.md, held against the script of the runtime that is installed: it can't be tried without
// internet and hardware, but it can be noticed when the script becomes another one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve('onnxruntime-node/package.json'));
const metadata = require(join(folder, 'script', 'install-metadata.js')) as {
  requirements: Readonly<Record<string, readonly string[]>>;
  manifests: Readonly<Record<string, Readonly<Record<string, { path: string }>>>>;
};
const { parseInstallFlag } = require(join(folder, 'script', 'install-utils.js')) as { parseInstallFlag(): unknown };
const guide = readFileSync(new URL('../../../../docs/server.md', import.meta.url), 'utf8');

describe("the runtime's install script", () => {
  const before = process.env.ONNXRUNTIME_NODE_INSTALL;
  afterEach(() => {
    if (before === undefined) delete process.env.ONNXRUNTIME_NODE_INSTALL;
    else process.env.ONNXRUNTIME_NODE_INSTALL = before;
  });

  it('fetches the libraries that the guide names, on Linux x64 alone', () => {
    const wanting = Object.entries(metadata.requirements).filter(([, names]) => names.length > 0);
    expect(wanting).toEqual([['linux/x64', ['cuda12']]]);
    const files = Object.keys(metadata.manifests['linux/x64:cuda12'] ?? {}).map((path) => path.replace('./', ''));
    expect(files).toContain('libonnxruntime_providers_cuda.so');
    for (const file of files) expect(guide).toContain(file);
  });

  it('does so by the variable that the guide sets, whatever .npmrc says', () => {
    expect(guide).toContain('ONNXRUNTIME_NODE_INSTALL=1 node script/install');
    process.env.ONNXRUNTIME_NODE_INSTALL = '1';
    expect(parseInstallFlag()).toBe(true);
    process.env.ONNXRUNTIME_NODE_INSTALL = 'skip';
    expect(parseInstallFlag()).toBe(false);
  });
});
