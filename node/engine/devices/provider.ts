// How the runtime is told which provider and which device of it. Pure; used by sessions in runners and by the probe.
import type { DeviceKind } from '../../core/devices.ts';

/** One element of a session's `executionProviders`. */
export type ProviderOptions =
  | { readonly name: 'cpu' | 'webgpu' | 'coreml' }
  | { readonly name: 'cuda' | 'dml'; readonly deviceId: number };

/**
 * The binding of 1.30 takes a device for CUDA and DirectML alone. WebGPU refuses one and computes on the adapter that it
 * prefers; how far CUDA's memory arena may grow can't be said.
 */
export function providerOptions(kind: DeviceKind, index: number): ProviderOptions {
  return kind === 'cuda' || kind === 'dml' ? { name: kind, deviceId: index } : { name: kind };
}
