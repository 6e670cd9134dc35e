// Removing the runtime's binaries for other systems, in a folder laid out as onnxruntime-node's.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { foreignBinaries, platformOf, removeBinaries, runtimeBinaries } from '../../../../node/cli/service/prune.ts';

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), 'weft-prune-'));
  for (const platform of ['linux/x64', 'linux/arm64', 'darwin/arm64', 'win32/x64']) {
    const folder = join(bin, 'napi-v6', platform);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'onnxruntime_binding.node'), platform);
  }
});
afterEach(() => rm(bin, { recursive: true, force: true }));

it('finds what can not run here, with its size, and removes no more', async () => {
  const foreign = await foreignBinaries(bin, { platform: 'linux', arch: 'x64' });
  expect(foreign.map(platformOf)).toEqual(['darwin/arm64', 'linux/arm64', 'win32/x64']);
  expect(foreign.map(({ sizeBytes }) => sizeBytes)).toEqual([12, 11, 9]);
  await removeBinaries(foreign);
  expect(await readdir(join(bin, 'napi-v6', 'linux'))).toEqual(['x64']);
  expect(await readdir(join(bin, 'napi-v6', 'linux', 'x64'))).toEqual(['onnxruntime_binding.node']);
  expect(await foreignBinaries(bin, { platform: 'linux', arch: 'x64' })).toEqual([]);
});

it('finds the installed runtime, and that there is none', async () => {
  expect(await readdir(runtimeBinaries(import.meta.url) ?? '')).toEqual([expect.stringMatching(/^napi-v\d+$/)]);
  expect(runtimeBinaries(join(bin, 'anywhere.js'))).toBeUndefined();
});
