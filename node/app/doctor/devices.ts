// Layer `driver`: what models can run on beside the processor. Each device is found and measured in processes of their
// own: what crashes there harms nobody.
import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type DeviceSetting, formatDeviceSetting } from '../../core/devices.ts';
import { detectDevices } from '../../engine/devices/detect.ts';
import { type DetectedDevice, deviceKey, type Probe } from '../../engine/devices/device.ts';
import { probeDevice } from '../../engine/devices/probe.ts';
import { type Check, type Finding, ok, quoted, readableBytes, skipped, warning } from './check.ts';
import { DRIVER_MS_MAX, RUNTIME_MS_MAX } from './limits.ts';

export interface DevicesInit {
  /** The Node that runners are started with. */
  readonly nodePath: string;
  /** A folder from which onnxruntime-node is found. */
  readonly packageFolder: string;
  readonly setting: DeviceSetting;
}

/** What was seen of this machine's devices. */
export interface DevicesSeen {
  /** Measured, beside the processor. */
  readonly devices: readonly DetectedDevice[];
  /** Providers that the runtime lists. */
  readonly backends: readonly string[];
  /** The system has a device of NVIDIA's. */
  readonly nvidia: boolean;
}

const UPDATE =
  "Update the device's driver; docs/server.md says what CUDA needs. Models run on the processor meanwhile.";

export function deviceChecks(init: DevicesInit): readonly Check[] {
  return [
    {
      layer: 'driver',
      name: 'devices',
      deadlineMs: RUNTIME_MS_MAX,
      overdueRemedy: UPDATE,
      run: async (signal) => {
        // A driver that hangs is no fault of the node: it is told before the check's own deadline.
        const patience = AbortSignal.any([signal, AbortSignal.timeout(DRIVER_MS_MAX)]);
        try {
          return judgeDevices(await see(init, patience), init.setting);
        } catch (error) {
          if (signal.aborted || !patience.aborted) throw error;
          return [skipped('devices', 'A driver did not answer in time; models run on the processor.')];
        }
      },
    },
  ];
}

/** One line for each device, or one that says why there is none. */
export function judgeDevices({ devices, backends, nvidia }: DevicesSeen, setting: DeviceSetting): readonly Finding[] {
  const asked = setting.kind !== 'auto' && setting.kind !== 'cpu';
  const findings = devices.map((device) => judgeDevice(device, isAskedFor(device, setting)));
  if (asked && !devices.some((device) => isAskedFor(device, setting))) {
    const wanted = formatDeviceSetting(setting);
    const lists = `the runtime lists ${backends.join(', ') || 'nothing'}`;
    findings.push(
      warning(wanted, `It was asked for, and is not there (${lists}); models run on the processor.`, ELSEWHERE),
    );
  }
  if (nvidia && !devices.some(({ kind, probe }) => kind === 'cuda' && probe?.ok === true)) {
    const detail = 'An NVIDIA device is there, and CUDA can not be used.';
    findings.push(
      asked ? warning('cuda', detail, UPDATE) : skipped('cuda', `${detail} docs/server.md says what it needs.`),
    );
  }
  if (findings.length > 0) return findings;
  return [skipped('devices', 'There is none beside the processor, or none that the runtime can use.')];
}

const ELSEWHERE = 'Set --device or WEFT_DEVICE to auto, or install what the device needs (docs/server.md).';

function isAskedFor({ kind, index }: DetectedDevice, setting: DeviceSetting): boolean {
  return kind === setting.kind && (setting.index === undefined || setting.index === index);
}

function judgeDevice(device: DetectedDevice, askedFor: boolean): Finding {
  const { name, memoryBytes, driver, software, probe } = device;
  const key = deviceKey(device);
  const memory = memoryBytes > 0 && !software ? readableBytes(memoryBytes) : '';
  const facts = [name, memory, driver].filter((fact) => fact !== '').join(', ');
  if (probe?.ok === true) {
    const use = software && !askedFor ? '; it is the processor in disguise, and not used' : '';
    return ok(key, `${facts}: ${Math.max(1, Math.round(probe.gflops))} GFLOP/s in products of matrices${use}`);
  }
  const detail = `${facts}: ${quoted(probe?.reason ?? 'not measured')}; models run on the processor`;
  return askedFor ? warning(key, detail, UPDATE) : skipped(key, detail);
}

async function see({ nodePath, packageFolder }: DevicesInit, signal: AbortSignal): Promise<DevicesSeen> {
  const init = { nodePath, entry: join(packageFolder, 'package.json'), env: process.env };
  const { devices, facts } = await detectDevices({}, init, signal);
  const measured: DetectedDevice[] = [];
  for (const device of devices.filter(({ kind }) => kind !== 'cpu')) {
    const probe: Probe = await probeDevice(init, device, availableParallelism(), signal);
    measured.push({ ...device, probe });
  }
  const nvidia = await access('/dev/nvidia0').then(
    () => true,
    () => facts.nvidia.length > 0,
  );
  return { devices: measured, backends: facts.runtime?.backends ?? [], nvidia };
}
