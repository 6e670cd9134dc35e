import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { detectDevices } from '../../../../node/engine/devices/detect.ts';
import { DRIVER_FILE_BYTES_MAX } from '../../../../node/engine/devices/limits.ts';
import { lookAround } from '../../../../node/engine/devices/look.ts';
import { temporaryFolder } from '../../config/temporary-folder.ts';

const entry = fileURLToPath(new URL('../../../../node/engine/runner/main.ts', import.meta.url));
const description = (library: unknown): string =>
  JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library } });

describe.skipIf(process.platform !== 'linux')("looking around for Vulkan's drivers (Linux)", () => {
  const around = (env: Readonly<Record<string, string>>) => lookAround({ nodePath: process.execPath, entry, env });

  it('finds those that a variable names, files or folders', async () => {
    const folder = temporaryFolder();
    const drivers = join(folder, 'icd.d');
    await mkdir(drivers);
    await writeFile(join(drivers, 'b.json'), description('libvulkan_lvp.so'));
    await writeFile(join(drivers, 'a.json'), description('libvulkan_radeon.so'));
    await writeFile(join(drivers, 'readme.txt'), description('not.so'));
    await writeFile(join(folder, 'c.json'), description('./libvk_swiftshader.so'));
    const { vulkanDrivers } = await around({
      VK_DRIVER_FILES: `${drivers}:${join(folder, 'c.json')}:${join(folder, 'absent.json')}`,
    });
    expect(vulkanDrivers).toEqual(['libvulkan_radeon.so', 'libvulkan_lvp.so', './libvk_swiftshader.so']);
  });

  it('finds those in the usual folders', async () => {
    const folder = temporaryFolder();
    await mkdir(join(folder, 'vulkan', 'icd.d'), { recursive: true });
    await writeFile(join(folder, 'vulkan', 'icd.d', 'x.json'), description('libvulkan_test.so'));
    const { vulkanDrivers } = await around({ XDG_CONFIG_HOME: join(folder, 'none'), XDG_DATA_HOME: folder });
    expect(vulkanDrivers).toContain('libvulkan_test.so');
  });

  it('passes over what describes no driver', async () => {
    const folder = temporaryFolder();
    const files = {
      'torn.json': '{"ICD":',
      'empty.json': '',
      'list.json': '[]',
      'null.json': 'null',
      'number.json': description(3),
      'large.json': `${description('large.so')}${' '.repeat(DRIVER_FILE_BYTES_MAX)}`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    expect((await around({ VK_DRIVER_FILES: folder })).vulkanDrivers).toEqual([]);
  });

  it('sees that something has changed', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'a.json');
    await writeFile(path, description('a.so'));
    const mark = async (more: Readonly<Record<string, string>> = {}): Promise<string> =>
      (await around({ VK_DRIVER_FILES: path, ...more })).mark;
    const before = await mark();
    expect(await mark()).toBe(before);
    expect(await mark({ CUDA_VISIBLE_DEVICES: '1' })).not.toBe(before);
    await writeFile(path, description('b.so'));
    expect(await mark()).not.toBe(before);
  });
});

describe('detection', () => {
  it('finds the processor, and what the runtime lists, on this machine', { timeout: 60_000 }, async () => {
    const gpu = '0, GPU-aa, 00000000:01:00.0, 570.1, 1024, 1000, NVIDIA Test';
    const init = { nodePath: process.execPath, entry, env: process.env };
    const { devices, facts } = await detectDevices({ smi: async () => gpu }, init, new AbortController().signal);
    expect(devices[0]).toMatchObject({ kind: 'cpu', pool: 'cpu' });
    expect(facts.runtime?.backends).toContain('cpu');
    expect(facts.runtime?.version).toMatch(/^\d+\.\d+/);
    // Chosen where the runtime lists CUDA, which it does on Linux for x64 alone.
    const cuda = devices.find(({ kind }) => kind === 'cuda');
    expect(cuda?.name).toBe(facts.runtime?.backends.includes('cuda') ? 'NVIDIA Test' : undefined);
  });

  it('finds the processor where the runtime can not be loaded', async () => {
    const init = { nodePath: process.execPath, entry: '/nowhere/main.js', env: process.env };
    const smi = () => Promise.reject(new Error('not here'));
    const { devices } = await detectDevices({ smi }, init, new AbortController().signal);
    expect(devices).toEqual([expect.objectContaining({ kind: 'cpu' })]);
  });
});
