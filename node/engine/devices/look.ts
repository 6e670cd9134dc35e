// Asks everything that knows of devices: the runtime, the system, NVIDIA's tool, the descriptions of Vulkan's drivers.
// What it brings is raw; merge.ts makes devices of it.

import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, homedir, platform, release, totalmem } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type ChildInit, runChild } from './child.ts';
import { parseCoreCount } from './cores.ts';
import { cleanName } from './device.ts';
import { DRIVER_FILE_BYTES_MAX, DRIVER_FILES_MAX, LOOK_MS_MAX } from './limits.ts';
import { type NvidiaGpu, type NvidiaSmi, queryGpus, visibleGpus } from './nvidia-smi.ts';

/** A display controller, as systeminformation has it. */
export interface GraphicsController {
  readonly name: string;
  readonly vendor: string;
  /** Address on the bus, in lower case, without its domain: `01:00.0`; '' where the system doesn't say. */
  readonly bus: string;
  /** Of its own; 0 where it uses the processor's. */
  readonly memoryBytes: number;
  readonly driver: string;
}

/** All that was learnt of a machine. */
export interface MachineFacts {
  readonly platform: string;
  readonly cpu: { readonly name: string; readonly memoryBytes: number };
  /** Undefined where the system doesn't tell cores from threads. */
  readonly physicalCores: number | undefined;
  /** What the runtime lists, and its version; undefined where it could not be loaded. */
  readonly runtime: { readonly version: string; readonly backends: readonly string[] } | undefined;
  /** Those that this process may use, in CUDA's order. */
  readonly nvidia: readonly NvidiaGpu[];
  readonly graphics: readonly GraphicsController[];
  /** Libraries of Vulkan's drivers (Linux only). */
  readonly vulkanDrivers: readonly string[];
  /** Devices that draw without a screen (Linux only). */
  readonly renderNodes: number;
}

/** What is seen by looking at a few files: enough to know whether there is anything to ask for. */
export interface Surroundings {
  readonly vulkanDrivers: readonly string[];
  readonly renderNodes: number;
  /** Undefined where files don't tell. */
  readonly physicalCores: number | undefined;
  /** There may be hardware beside the processor. */
  readonly mayHaveDevices: boolean;
  /** Changes with whatever could change the answers: hardware, drivers, versions, environment. */
  readonly mark: string;
}

export interface LookInit extends ChildInit {
  /** The environment of runners. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads the folders in which Linux names devices and drivers. Cheap enough for every start. */
export async function lookAround(init: LookInit): Promise<Surroundings> {
  const { env, entry } = init;
  const machine = [platform(), arch(), release(), cpus()[0]?.model, availableParallelism(), totalmem()];
  const system = [...machine, await installedRuntime(entry)];
  if (platform() !== 'linux') {
    const mark = JSON.stringify(system);
    return { vulkanDrivers: [], renderNodes: 0, physicalCores: undefined, mayHaveDevices: true, mark };
  }
  const list = async (folder: string, pattern: RegExp): Promise<string[]> =>
    (await readdir(folder).catch(() => [])).filter((name) => pattern.test(name)).sort();
  const [render, nodes, nvidia, drivers] = await Promise.all([
    list('/dev/dri', /^renderD\d+$/),
    list('/dev', /^(nvidia\d+|kfd|dxg)$/),
    readFile('/proc/driver/nvidia/version', 'utf8').catch(() => ''),
    vulkanDrivers(env),
  ]);
  const files = drivers.map(({ path, changed, library }) => [path, changed, library]);
  const visible = ['CUDA_VISIBLE_DEVICES', 'NVIDIA_VISIBLE_DEVICES', 'LD_LIBRARY_PATH'].map((name) => env[name] ?? '');
  return {
    vulkanDrivers: drivers.map(({ library }) => library),
    renderNodes: render.length,
    physicalCores: await physicalCoreCount(),
    mayHaveDevices: render.length + nodes.length > 0,
    mark: JSON.stringify([system, render, nodes, nvidia.slice(0, 1_024), files, visible]),
  };
}

/** The runtime's version and its libraries: those of CUDA may be added later. */
async function installedRuntime(entry: string): Promise<unknown> {
  try {
    const description = createRequire(entry).resolve('onnxruntime-node/package.json');
    const { version } = JSON.parse(await readFile(description, 'utf8')) as { version?: unknown };
    const folder = join(dirname(description), 'bin', 'napi-v6', platform(), arch());
    return [version, (await readdir(folder)).sort()];
  } catch {
    return 'unknown'; // The look itself will tell that there is none.
  }
}

/** Asks them all. Takes a second or so, nearly all of it in other processes. */
export async function look(
  init: LookInit,
  smi: NvidiaSmi,
  around: Surroundings,
  signal: AbortSignal,
): Promise<MachineFacts> {
  // One after the other: whoever has just started a node wants its processor.
  const runtime = await listBackends(init, signal);
  const graphics = await listGraphics(init, signal);
  const gpus = await queryGpus(smi, signal);
  return {
    platform: platform(),
    cpu: { name: cleanName(cpus()[0]?.model, 'unknown processor'), memoryBytes: totalmem() },
    physicalCores: around.physicalCores ?? graphics.physicalCores,
    runtime,
    nvidia: visibleGpus(gpus, init.env.CUDA_VISIBLE_DEVICES),
    graphics: graphics.controllers,
    vulkanDrivers: around.vulkanDrivers,
    renderNodes: around.renderNodes,
  };
}

const BACKENDS = `
const { listSupportedBackends, env } = load('onnxruntime-node');
const { node, common } = env.versions;
answer({ version: node ?? common, backends: listSupportedBackends().map(({ name }) => name) });
`;

async function listBackends(init: LookInit, signal: AbortSignal): Promise<MachineFacts['runtime']> {
  const answer = await runChild(init, BACKENDS, [], { signal, deadlineMs: LOOK_MS_MAX });
  if (!answer.ok) return undefined;
  const { version, backends } = answer.value as { version?: unknown; backends?: unknown };
  const names = Array.isArray(backends) ? backends : [];
  return { version: cleanName(version), backends: names.map((name) => cleanName(name)) };
}

const GRAPHICS = `
const system = load('systeminformation');
const [{ controllers }, { physicalCores }] = await Promise.all([system.graphics(), system.cpu()]);
answer({ controllers, physicalCores });
`;

interface Graphics {
  readonly controllers: readonly GraphicsController[];
  readonly physicalCores: number | undefined;
}

async function listGraphics(init: LookInit, signal: AbortSignal): Promise<Graphics> {
  const answer = await runChild(init, GRAPHICS, [], { signal, deadlineMs: LOOK_MS_MAX });
  return answer.ok ? readGraphics(answer.value) : { controllers: [], physicalCores: undefined };
}

/** Takes of systeminformation's answer what is of the right form. */
export function readGraphics(value: unknown): Graphics {
  const { controllers, physicalCores } = (value ?? {}) as { controllers?: unknown; physicalCores?: unknown };
  const listed = (Array.isArray(controllers) ? controllers : []).slice(0, DRIVER_FILES_MAX);
  return {
    controllers: listed.flatMap((entry: unknown) => {
      const { model, name, vendor, busAddress, vram, vramDynamic, driverVersion } = (entry ?? {}) as Record<
        string,
        unknown
      >;
      const called = cleanName(name) || cleanName(model);
      if (called === '') return [];
      const mebibytes =
        typeof vram === 'number' && Number.isFinite(vram) && vram > 0 && vramDynamic !== true ? vram : 0;
      return [
        {
          name: called,
          vendor: cleanName(vendor),
          bus: cleanName(busAddress).toLowerCase(),
          memoryBytes: Math.round(Math.min(mebibytes, 2 ** 24) * 2 ** 20),
          driver: cleanName(driverVersion),
        },
      ];
    }),
    physicalCores:
      typeof physicalCores === 'number' && Number.isInteger(physicalCores) && physicalCores > 0
        ? physicalCores
        : undefined,
  };
}

/** Cores of the processor, not its threads; undefined where the system has no such file, or it doesn't say. */
async function physicalCoreCount(): Promise<number | undefined> {
  return parseCoreCount(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''));
}

interface VulkanDriver {
  readonly path: string;
  readonly changed: number;
  readonly library: string;
}

/** The drivers that Vulkan's loader would try: from the variables that name them, else from the usual folders. */
async function vulkanDrivers(env: LookInit['env']): Promise<readonly VulkanDriver[]> {
  const named = env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  const config = env.XDG_CONFIG_HOME || join(homedir(), '.config');
  const data = env.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  const usual = [config, data, '/etc', '/usr/local/etc', '/usr/local/share', '/usr/share'].map((folder) =>
    join(folder, 'vulkan', 'icd.d'),
  );
  const more = env.VK_ADD_DRIVER_FILES?.split(delimiter) ?? [];
  const places = named ? named.split(delimiter) : [...more, ...usual];
  const paths: string[] = [];
  for (const place of places.filter((text) => text !== '').slice(0, DRIVER_FILES_MAX)) {
    if (place.endsWith('.json')) paths.push(place);
    else for (const name of (await readdir(place).catch(() => [])).sort()) paths.push(join(place, name));
  }
  const drivers: VulkanDriver[] = [];
  for (const path of paths.filter((name) => name.endsWith('.json')).slice(0, DRIVER_FILES_MAX)) {
    const driver = await readDriver(path);
    if (driver !== undefined) drivers.push(driver);
  }
  return drivers;
}

async function readDriver(path: string): Promise<VulkanDriver | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    if (size > DRIVER_FILE_BYTES_MAX) return undefined;
    const content = JSON.parse(await readFile(path, 'utf8')) as { ICD?: { library_path?: unknown } } | null;
    const library = cleanName(content?.ICD?.library_path);
    return library === '' ? undefined : { path, changed: mtimeMs, library };
  } catch {
    return undefined; // Not there, or no description of a driver: the loader passes it over as well.
  }
}
