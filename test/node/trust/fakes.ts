// Fakes at the ports of the trust layer, and devices and meshes to try it with.
import { createHash } from 'node:crypto';
import { silentLog } from '../../../node/core/log.ts';
import type { Store } from '../../../node/core/store.ts';
import type { DeviceKey } from '../../../node/core/trust.ts';
import { deviceKeyOf } from '../../../node/trust/device-key.ts';
import { MemberList, type MemberListComponents } from '../../../node/trust/member-list.ts';

/** A store in memory. `failing` makes every write fail, as a full disk does. */
export class MemoryStore implements Store {
  readonly documents = new Map<string, Uint8Array>();
  failing = false;

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.documents.get(name)?.slice();
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    if (this.failing) throw new Error('the disk is full');
    this.documents.set(name, bytes.slice());
  }
}

/** A wall clock that is set by hand. */
export class HandClock {
  wallMs = 1_800_000_000_000;

  wallNow(): number {
    return this.wallMs;
  }
}

/** The same device for the same name. */
export function device(name: string): DeviceKey {
  return deviceKeyOf(new Uint8Array(createHash('sha256').update(`device ${name}`).digest()));
}

/** A node of a mesh of one, with what it was made of. */
export async function openNode(name: string, overrides: Partial<MemberListComponents> = {}) {
  const store = new MemoryStore();
  const clock = new HandClock();
  const key = device(name);
  const components = { store, clock, log: silentLog, ...overrides };
  const reopen = (): Promise<MemberList> => MemberList.open(components, { key, name });
  return { store, clock, key, reopen, list: await reopen() };
}

/** Brings a second node into the first one's mesh, as a welcome would. */
export async function bringIn(
  admin: MemberList,
  newcomer: { readonly key: DeviceKey; readonly list: MemberList },
  role: 'admin' | 'member' = 'member',
): Promise<void> {
  const { node, publicKey } = newcomer.key;
  await admin.add(node, publicKey, role, newcomer.list.self.name);
  await newcomer.list.adopt({ rootKey: admin.rootKey, statements: admin.statements(), meshName: admin.meshName });
}
