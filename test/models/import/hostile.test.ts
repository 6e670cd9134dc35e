// Case 15 as an import meets it: what lies outside of a model's folder is never opened.
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { inspectModel } from '../../../models/import/inspect.ts';
import { tinyGraph } from '../onnx/onnx-bytes.ts';
import { temporaryFolder } from '../temporary.ts';

const CHILD = fileURLToPath(new URL('./hostile-child.ts', import.meta.url));
const run = promisify(execFile);

/** A folder with a graph that names weights there, and a canary outside of it. */
async function trap(location: string): Promise<{ readonly root: string; readonly folder: string }> {
  const root = await temporaryFolder();
  const folder = join(root, 'model');
  await mkdir(join(folder, 'onnx'), { recursive: true });
  await mkdir(join(root, 'outside'));
  await writeFile(join(root, 'outside', 'canary'), new Uint8Array(64));
  await symlink(join(root, 'outside'), join(folder, 'onnx', 'way'));
  await symlink(join(root, 'outside', 'canary'), join(folder, 'onnx', 'w.bin'));
  await writeFile(join(folder, 'onnx', 'model.onnx'), tinyGraph(location));
  return { root, folder };
}

async function inspected(path: string, off = ''): Promise<{ readonly opened: string[]; readonly outcome: string }> {
  const { stdout } = await run(process.execPath, [CHILD, path, off], { timeout: 30_000 });
  return JSON.parse(stdout) as { opened: string[]; outcome: string };
}

describe('a canary outside of the folder', () => {
  it.each(['w.bin', 'way/canary', '../../outside/canary', '../onnx/way/canary'])(
    'is never opened by way of %s',
    async (location) => {
      const { folder } = await trap(location);
      const { opened, outcome } = await inspected(folder);
      expect(outcome).toMatch(/damaged or hostile/);
      expect(opened.some((path) => path.endsWith('model.onnx'))).toBe(true);
      expect(opened.filter((path) => /canary|way|w\.bin/.test(path))).toEqual([]);
    },
  );

  it.each(['w.bin', 'way/canary'])('would be opened by way of %s if links were not refused', async (location) => {
    const { folder } = await trap(location);
    const { opened, outcome } = await inspected(folder, 'links');
    expect(outcome).toBe('taken');
    expect(opened.filter((path) => /canary|w\.bin/.test(path))).toHaveLength(1);
  });

  it('would be opened by way of .. if places were not judged', async () => {
    const { folder } = await trap('../../outside/canary');
    // The manifest refuses the path once more; the file was read by then.
    const { opened } = await inspected(folder, 'places');
    expect(opened.filter((path) => path.endsWith('canary'))).toHaveLength(1);
  });
});

describe('what is no plain file', () => {
  it.skipIf(process.platform === 'win32')(
    'is not waited for: a pipe in the place of weights, settings or the graph',
    async () => {
      const { folder } = await trap('pipe.bin');
      await run('mkfifo', [join(folder, 'onnx', 'pipe.bin')]);
      await expect(inspectModel({ path: folder })).rejects.toMatchObject({ code: 'model_corrupt' });
      const second = await trap('w.bin');
      await writeFile(join(second.folder, 'onnx', 'model.onnx'), tinyGraph('x'));
      await run('mkfifo', [join(second.folder, 'onnx', 'other.onnx')]);
      await expect(inspectModel({ path: second.folder, graph: 'onnx/other.onnx' })).rejects.toMatchObject({
        code: 'model_corrupt',
        message: expect.stringMatching(/no plain file/),
      });
      await run('mkfifo', [join(second.folder, 'config.json')]);
      await expect(inspectModel({ path: join(second.folder, 'onnx', 'model.onnx') })).rejects.toMatchObject({
        code: 'model_corrupt',
      });
    },
  );

  it.each(['../secret.onnx', '/etc/secret.onnx', 'onnx/../../secret.onnx'])('is no graph: %s', async (graph) => {
    const { root, folder } = await trap('w.bin');
    await writeFile(join(root, 'secret.onnx'), tinyGraph('w.bin'));
    await expect(inspectModel({ path: folder, graph })).rejects.toMatchObject({ code: 'bad_request' });
  });
});
