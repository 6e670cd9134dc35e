// What NVIDIA's own tool says of its devices: names, memory, driver, and what processes hold. Pure but for the one call;
// the output is a program's, and read with the distrust that this asks for.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DEVICES_MAX } from '../../core/devices.ts';
import { cleanName } from './device.ts';
import { NVIDIA_SMI_MS_MAX, OUTPUT_BYTES_MAX } from './limits.ts';

export interface NvidiaGpu {
  /** As the tool counts, which is the order on the bus. */
  readonly index: number;
  readonly uuid: string;
  /** Address on the bus, in lower case: `00000000:01:00.0`. */
  readonly bus: string;
  readonly name: string;
  /** Bytes; undefined where memory is shared with the processor, or the tool doesn't say. */
  readonly memoryBytes: number | undefined;
  readonly memoryFreeBytes: number | undefined;
  readonly driver: string;
}

/** Runs the tool with these arguments; rejects where it isn't there, fails, or takes too long. */
export type NvidiaSmi = (args: readonly string[], signal: AbortSignal) => Promise<string>;

/** No shell, a deadline, and a bound on what it prints. */
export const nvidiaSmi: NvidiaSmi = async (args, signal) => {
  const { stdout } = await promisify(execFile)('nvidia-smi', args, {
    signal,
    timeout: NVIDIA_SMI_MS_MAX,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
    encoding: 'utf8',
    windowsHide: true,
  });
  return stdout;
};

const FIELDS = 'index,uuid,pci.bus_id,driver_version,memory.total,memory.free,name';

/** The devices that the tool lists; none where there is no such tool. */
export async function queryGpus(smi: NvidiaSmi, signal: AbortSignal): Promise<readonly NvidiaGpu[]> {
  try {
    return parseGpus(await smi([`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits'], signal));
  } catch {
    return []; // Not installed, without a driver, or hung: no such device can be used then.
  }
}

/** Bytes of device memory by process; empty where the tool doesn't see processes, as in most containers. */
export async function queryProcesses(smi: NvidiaSmi, signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
  try {
    return parseProcesses(
      await smi(['--query-compute-apps=pid,used_gpu_memory', '--format=csv,noheader,nounits'], signal),
    );
  } catch {
    return new Map();
  }
}

/** Reads the answer to {@link queryGpus}; lines that aren't of its form are passed over. */
export function parseGpus(output: string): readonly NvidiaGpu[] {
  const gpus = new Map<number, NvidiaGpu>();
  for (const line of output.slice(0, OUTPUT_BYTES_MAX).split('\n')) {
    // The name comes last: it is the only field that could hold a comma.
    const [index, uuid, bus, driver, total, free, ...name] = line.split(',').map((field) => field.trim());
    const at = wholeNumber(index);
    if (at === undefined || at >= DEVICES_MAX || name.length === 0 || gpus.has(at)) continue;
    if (!/^GPU-[\w-]{1,64}$/.test(uuid ?? '')) continue;
    const memoryBytes = mebibytes(total);
    const memoryFreeBytes = mebibytes(free);
    gpus.set(at, {
      index: at,
      uuid: uuid ?? '',
      bus: /^[0-9a-f:.]{1,32}$/i.test(bus ?? '') ? (bus ?? '').toLowerCase() : '',
      name: cleanName(name.join(','), 'NVIDIA device'),
      memoryBytes,
      memoryFreeBytes:
        memoryFreeBytes === undefined || memoryBytes === undefined ? undefined : Math.min(memoryFreeBytes, memoryBytes),
      driver: /^[\d.]{1,32}$/.test(driver ?? '') ? (driver ?? '') : '',
    });
  }
  return [...gpus.values()].sort((a, b) => a.index - b.index);
}

/** Reads the answer to {@link queryProcesses}. A process on several devices is counted with all of them. */
export function parseProcesses(output: string): ReadonlyMap<number, number> {
  const held = new Map<number, number>();
  for (const line of output.slice(0, OUTPUT_BYTES_MAX).split('\n')) {
    const [pid, used] = line.split(',').map((field) => field.trim());
    const at = wholeNumber(pid);
    const bytes = mebibytes(used);
    if (at === undefined || bytes === undefined) continue;
    held.set(at, (held.get(at) ?? 0) + bytes);
  }
  return held;
}

/**
 * The devices that this process may use, in the runtime's order: `CUDA_VISIBLE_DEVICES` names them by index or by (the
 * beginning of) their UUID, and ends at the first that isn't there. Runners count as the tool does (CUDA_DEVICE_ORDER).
 */
export function visibleGpus(gpus: readonly NvidiaGpu[], visible: string | undefined): readonly NvidiaGpu[] {
  if (visible === undefined) return gpus;
  const chosen: NvidiaGpu[] = [];
  for (const name of visible.slice(0, 4_096).split(',').slice(0, DEVICES_MAX)) {
    const wanted = name.trim();
    const found = /^\d{1,3}$/.test(wanted)
      ? gpus.find(({ index }) => index === Number(wanted))
      : gpus.find(({ uuid }) => wanted.startsWith('GPU-') && uuid.startsWith(wanted));
    // The tool's table has no line for a part of a device, whose memory is then not known.
    const part = gpus[0];
    if (part !== undefined && /^MIG-[\w/-]{1,80}$/.test(wanted)) {
      const name = cleanName(`${part.name}, a part`);
      chosen.push({ ...part, uuid: wanted, name, memoryBytes: undefined, memoryFreeBytes: undefined });
      continue;
    }
    if (found === undefined || chosen.includes(found)) break;
    chosen.push(found);
  }
  return chosen;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** `[N/A]` and `[Insufficient Permissions]` are what the tool says where there is nothing to say. */
function mebibytes(text: string | undefined): number | undefined {
  const value = wholeNumber(text);
  return value === undefined ? undefined : value * 2 ** 20;
}
