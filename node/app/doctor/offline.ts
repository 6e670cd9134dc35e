// `weft doctor` where no daemon runs: everything that can be seen from outside. Reads the data folder, and changes
// nothing in it.
import { join } from 'node:path';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import { readBounded } from '../../config/files.ts';
import { DOCUMENT_BYTES_MAX } from '../../config/limits.ts';
import type { Clock } from '../../core/clock.ts';
import type { DoctorReport } from '../../core/control.ts';
import { silentLog } from '../../core/log.ts';
import type { Store } from '../../core/store.ts';
import { loadDeviceKey } from '../../trust/device-key.ts';
import { MemberList } from '../../trust/member-list.ts';
import { AddressBook } from '../address-book.ts';
import { type Check, failedBy, skipped } from './check.ts';
import { clockChecks } from './clock.ts';
import { type MachineInit, machineChecks } from './doctor.ts';
import { QUICK_MS_MAX } from './limits.ts';
import { mdnsChecks } from './mdns.ts';
import { membershipChecks } from './membership.ts';
import { peerChecks } from './peers.ts';
import { wantedPortChecks } from './ports.ts';
import { runChecks } from './run-checks.ts';
import { settingsChecks } from './settings.ts';

export interface OfflineInit extends MachineInit {
  readonly version: string;
  /** What is wrong with the settings, which are the defaults then. */
  readonly settingsProblem: string | undefined;
}

/** Looks at this machine, its data folder, and the members that it knows. @throws the signal's reason when it aborts */
export async function examineOffline(
  components: { readonly clock: Clock },
  init: OfflineInit,
  signal: AbortSignal,
): Promise<DoctorReport> {
  const { host, listen, sources } = init.settings;
  const checks = [
    ...settingsChecks(() => init.settingsProblem),
    ...machineChecks(init),
    ...wantedPortChecks({
      api: host,
      apiAsked: sources.host !== 'default',
      swarm: listen,
      swarmAsked: sources.listen !== 'default',
    }),
    ...(await meshChecks(components, init)),
  ];
  return runChecks({ ...components, log: silentLog }, checks, signal);
}

/** What the data folder knows of the mesh. */
async function meshChecks({ clock }: { readonly clock: Clock }, init: OfflineInit): Promise<readonly Check[]> {
  const { home, settings, version } = init;
  const store = readOnly(join(home, 'state'));
  try {
    if ((await store.read('device-key')) === undefined) {
      return [
        fixed(skipped('this device', 'It belongs to no mesh yet: the first start makes one.')),
        ...mdnsChecks({ clock }, { enabled: settings.mdns, ...NO_MESH }),
      ];
    }
    const key = await loadDeviceKey(store);
    const members = await MemberList.open({ store, clock, log: silentLog }, { key, name: settings.name });
    const addresses = await AddressBook.open(store);
    const others = () => members.members().filter(({ node }) => node !== key.node);
    return [
      ...membershipChecks(() => ({
        meshId: members.meshId,
        self: members.self,
        members: () => members.members(),
        isMember: (node) => members.isMember(node),
      })),
      ...mdnsChecks(
        { clock },
        { enabled: settings.mdns, meshId: () => members.meshId, self: key.node, running: false, members: others },
      ),
      ...peerChecks(
        {
          clock,
          members: () => members.members(),
          self: key.node,
          record: () => undefined,
          addresses: () => addresses.list(),
        },
        { key, version, running: false },
      ),
      ...clockChecks({ clock, mesh: { peers: () => [] }, statements: () => members.statements() }),
    ];
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    return [fixed(failedBy('this device', toWeftError(error)))];
  }
}

/** A finding that is there already. */
function fixed(finding: ReturnType<typeof skipped>): Check {
  return {
    layer: 'membership',
    name: finding.name,
    deadlineMs: QUICK_MS_MAX,
    overdueRemedy: 'Try again.',
    run: async () => [finding],
  };
}

/** Whether questions get through at all can be seen without a mesh. */
const NO_MESH = { meshId: () => '0'.repeat(64), self: '', running: false, members: () => [] };

/** The documents of a data folder; what would be written is forgotten. */
function readOnly(folder: string): Store {
  return {
    read: (name) => readBounded(join(folder, name), DOCUMENT_BYTES_MAX),
    write: async () => undefined,
  };
}
