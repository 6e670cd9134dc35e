// `weft doctor` inside a running node: puts the checks of every layer together. The composition root makes one.
import { dirname } from 'node:path';
import type { Settings } from '../../config/settings.ts';
import type { Clock } from '../../core/clock.ts';
import type { DoctorReport } from '../../core/control.ts';
import type { Log } from '../../core/log.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { DeviceKey, Membership } from '../../core/trust.ts';
import type { PackagePaths } from '../paths.ts';
import type { Check } from './check.ts';
import { clockChecks } from './clock.ts';
import { conversationChecks } from './conversations.ts';
import { deviceChecks } from './devices.ts';
import { diskChecks } from './disk.ts';
import { mdnsChecks } from './mdns.ts';
import { membershipChecks } from './membership.ts';
import { modelChecks } from './models.ts';
import { peerChecks } from './peers.ts';
import { servedPortChecks } from './ports.ts';
import { runChecks } from './run-checks.ts';
import { runtimeChecks } from './runtime.ts';
import { settingsChecks } from './settings.ts';
import { systemChecks } from './system.ts';

/** What the checks of this machine go by, with a daemon and without one. */
export interface MachineInit {
  /** The data folder. */
  readonly home: string;
  readonly settings: Settings;
  readonly paths: Pick<PackagePaths, 'bundledModels'>;
}

export interface DoctorComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: Pick<Mesh, 'self' | 'addresses' | 'peers' | 'peer'>;
  readonly membership: Membership;
  /** Multiaddrs at which members were reached before, each ending in its /p2p/ part. */
  readonly addresses: { list(): readonly string[] };
  /** Asks a connected peer for its wall clock, in milliseconds since 1970; undefined where it doesn't tell. */
  readonly wallOf?: (node: string, signal: AbortSignal) => Promise<number | undefined>;
  /** What is wrong with settings.json; undefined where nothing is. */
  readonly settingsProblem: () => string | undefined;
}

export interface DoctorInit extends MachineInit {
  readonly key: DeviceKey;
  readonly version: string;
  /** Address of the API, once it listens. */
  readonly api: () => string;
}

/**
 * Looks at every layer of a running node. Several who ask at once share one run, which goes on to its end; each check
 * has its own deadline, so that it takes some fifteen seconds at the most.
 * @returns what answers {@link NodeControl.doctor}; it throws the signal's reason when that aborts
 */
export function createDoctor(
  components: DoctorComponents,
  init: DoctorInit,
): (signal: AbortSignal) => Promise<DoctorReport> {
  let running: Promise<DoctorReport> | undefined;
  return async (signal) => {
    signal.throwIfAborted();
    running ??= runChecks(components, nodeChecks(components, init), new AbortController().signal).finally(() => {
      running = undefined;
    });
    return orAborted(running, signal);
  };
}

/** The checks that need no daemon and no membership. */
export function machineChecks({ home, settings, paths }: MachineInit): readonly Check[] {
  const { memoryBytes, threads, models, apiKey, device } = settings;
  const nodePath = process.execPath;
  const packageFolder = dirname(dirname(paths.bundledModels));
  return [
    ...runtimeChecks({ nodePath, nodeVersion: process.versions.node, packageFolder }),
    ...deviceChecks({ nodePath, packageFolder, setting: device }),
    ...systemChecks({ home, memoryBytes, threads }),
    ...diskChecks({ home, askedKey: apiKey }),
    ...conversationChecks({ home }),
    ...modelChecks({ home, modelsFolder: models, bundledModels: paths.bundledModels }),
  ];
}

function nodeChecks(components: DoctorComponents, init: DoctorInit): readonly Check[] {
  const { clock, mesh, membership, addresses, wallOf, settingsProblem } = components;
  const { settings, key, version, api } = init;
  const others = () => membership.members().filter(({ node }) => node !== key.node);
  return [
    ...settingsChecks(settingsProblem),
    ...machineChecks(init),
    ...servedPortChecks({ api, swarm: () => mesh.addresses() }),
    ...membershipChecks(() => ({
      meshId: membership.meshId,
      self: membership.self,
      members: () => membership.members(),
      isMember: (node) => membership.isMember(node),
    })),
    ...mdnsChecks(
      { clock },
      { enabled: settings.mdns, meshId: () => membership.meshId, self: key.node, running: true, members: others },
    ),
    ...peerChecks(
      {
        clock,
        members: () => membership.members(),
        self: key.node,
        record: (node) => mesh.peer(node),
        addresses: () => addresses.list(),
      },
      { key, version, running: true },
    ),
    ...clockChecks({ clock, mesh, statements: () => membership.statements(), wallOf }),
  ];
}

/** The result, or the signal's reason when that comes first. */
function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
