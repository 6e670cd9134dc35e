// scripts/build.js as npm runs it: `prepare` is part of every installation, also of one without the build tools.
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('leaves dist/ as it is, and says so, where the build tools are not installed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-build-'));
  try {
    for (const name of ['scripts', 'dist']) await mkdir(join(folder, name));
    await copyFile(new URL('../../../scripts/build.js', import.meta.url), join(folder, 'scripts', 'build.mjs'));
    await writeFile(join(folder, 'dist', 'cli.js'), 'as it was');
    const { status, stdout } = spawnSync(process.execPath, [join(folder, 'scripts', 'build.mjs')]);
    expect(status).toBe(0);
    expect(stdout.toString()).toBe('build: the build tools are not installed, dist/ stays as it is\n');
    expect(await readFile(join(folder, 'dist', 'cli.js'), 'utf8')).toBe('as it was');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
