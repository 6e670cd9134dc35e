// What the library works with. Store and hub as the part of them that is used, so that tests may bring their own.
import type { MachineFacts } from '../../models/choose-files.ts';
import type { HubClient } from '../../models/hub/hub-client.ts';
import type { InstalledModel } from '../../models/installed.ts';
import type { ModelStore } from '../../models/store.ts';
import type { ModelOffer } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import type { Events } from '../core/events.ts';
import type { Log } from '../core/log.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Prep } from '../core/prep.ts';
import type { Transfer } from '../core/transfer.ts';
import type { Membership } from '../core/trust.ts';
import type { LibraryGuards } from './guards.ts';

/** The models of this disk. */
export type LibraryStore = Pick<
  ModelStore,
  | 'list'
  | 'byDigest'
  | 'find'
  | 'has'
  | 'partial'
  | 'partials'
  | 'adopt'
  | 'put'
  | 'stage'
  | 'keep'
  | 'signatures'
  | 'addSignatures'
  | 'origin'
  | 'room'
  | 'reserve'
  | 'storage'
  | 'damage'
  | 'repairing'
  | 'remove'
  | 'cleanUp'
  | 'forget'
  | 'metadata'
  | 'partModel'
  | 'beginParts'
  | 'partFile'
  | 'hollowPartFile'
  | 'hasPart'
  | 'setOrigin'
>;

/** A hub. */
export type LibraryHub = Pick<HubClient, 'model' | 'bytes' | 'source'>;

/** Settings as they are now. */
export interface LibrarySettings {
  /** Whose signature a model needs: nobody's, a member's, or one of these node ids and keys. */
  readonly signers: 'any' | 'members' | readonly string[];
  /** PEM texts of the keys among them that check OpenSSF bundles. */
  readonly signerKeys: readonly string[];
  /** The hub is never asked. */
  readonly offline: boolean;
  /** Bring models by itself that requests keep asking other nodes for. */
  readonly bring: boolean;
  /** Cache folder of the hub's own tools, whose files are taken over; undefined = there is none. */
  readonly hubCache: string | undefined;
  /** Peers may know of files that are no offers. */
  readonly share: boolean;
}

export interface LibraryComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Pick<Events, 'publish'>;
  readonly mesh: Pick<Mesh, 'self' | 'peers' | 'peer' | 'announce'>;
  readonly membership: Pick<Membership, 'self' | 'isMember' | 'members'>;
  readonly transfer: Transfer;
  readonly prep: Pick<Prep, 'inspect'>;
  readonly store: LibraryStore;
  /** As the settings say now. */
  readonly hub: () => LibraryHub;
  /** Signs with this device's key (Ed25519). */
  readonly sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  /** The engine runs it from now on, where the settings allow. */
  readonly offer: (model: InstalledModel) => void;
  /** The engine stops using its files. */
  readonly letGo: (digest: string) => Promise<void>;
  /** What this node offers now. */
  readonly offers: () => readonly ModelOffer[];
  /** What models may take of it. */
  readonly machine: () => MachineFacts;
  readonly settings: () => LibrarySettings;
  /** For tests: the guards that are left out. @default LIBRARY_GUARDS */
  readonly guards?: Partial<LibraryGuards>;
}

/** Name of a node for people. */
export function nodeName({ mesh, membership }: Pick<LibraryComponents, 'mesh' | 'membership'>, node: NodeId): string {
  if (node === mesh.self) return membership.self.name;
  return mesh.peer(node)?.advert.name ?? membership.members().find((member) => member.node === node)?.name ?? node;
}
