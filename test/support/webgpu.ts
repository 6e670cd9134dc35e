// Where WebGPU can be computed without a GPU: SwiftShader, as Debian's and Fedora's chromium packages bring it, together
// with a Vulkan loader. Tests on it skip themselves, visibly, where it isn't there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDERS = ['/usr/lib/chromium', '/usr/lib64/chromium-browser', '/opt/google/chrome'];

/** Environment of a runner that finds the driver; undefined where there is none. */
export function softwareWebGpu(): Readonly<Record<string, string>> | undefined {
  const files = FOLDERS.map((folder) => join(folder, 'vk_swiftshader_icd.json'));
  const driver = process.env.VK_DRIVER_FILES ?? files.find((path) => existsSync(path));
  if (driver === undefined) return undefined;
  // The packages bring a loader as well, for systems that have none of their own.
  const libraries = [process.env.LD_LIBRARY_PATH, dirname(driver)].filter(Boolean).join(':');
  return { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: libraries };
}

/** Why there is no driver, for the names of skipped tests; undefined where the runtime computes on it. */
export function withoutWebGpu(env: Readonly<Record<string, string>> | undefined): string | undefined {
  if (env === undefined) return 'no software driver for WebGPU; the chromium package has one';
  const script = `
    const { InferenceSession } = require('onnxruntime-node');
    InferenceSession.create(Buffer.from('${GRAPH}', 'base64'), { executionProviders: ['webgpu'], logSeverityLevel: 4 })
      .then(() => process.exit(0), () => process.exit(3));`;
  const { status } = spawnSync(process.execPath, ['-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...env, ORT_DISABLE_TELEMETRY: '1' },
    timeout: 30_000,
  });
  return status === 0 ? undefined : 'the driver for WebGPU does not work here';
}

/** A graph that gives back its input. */
const GRAPH = 'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBE=';
