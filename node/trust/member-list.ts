// The member list of this node: who belongs to its mesh, by signed statements that merge by union. The network asks it
// before it answers anyone, and keeps it equal among members; invitations and the node's owner add and revoke by it.
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Store } from '../core/store.ts';
import type { DeviceKey, Member, Membership, Role } from '../core/trust.ts';
import { base64Bytes, damaged, StoredDocument, toBase64 } from './document.ts';
import {
  KEY_BYTES,
  publicKeyOf,
  type RandomBytes,
  secureRandom,
  type VerifySignature,
  verifySignature,
} from './ed25519.ts';
import { NAME_BYTES_MAX, STANDS_ON_MAX } from './limits.ts';
import { cleanText } from './names.ts';
import { nodeIdOf } from './node-id.ts';
import { StatementSet } from './statement-set.ts';
import { type Claim, type Statement, signStatement } from './statements.ts';

/** The root's seed. It stays on the device that made the mesh, and is emptied when that device joins another one. */
const ROOT_DOCUMENT = 'mesh-root';
const LIST_DOCUMENT = 'members';

const REVOKED = 'this device is not a member of its mesh any more';

const listSchema = z.object({
  version: z.literal(1),
  meshName: z.string(),
  rootKey: base64Bytes,
  statements: z.array(base64Bytes),
});

export interface MemberListComponents {
  readonly store: Store;
  readonly clock: Pick<Clock, 'wallNow'>;
  readonly log: Log;
  /** @default the operating system's */
  readonly random?: RandomBytes;
  /** @default Ed25519 */
  readonly verify?: VerifySignature;
}

export interface MemberListInit {
  readonly key: DeviceKey;
  /** What this device calls itself. */
  readonly name: string;
}

/** A mesh to become a part of: what a ticket and its welcome say. */
export interface Adoption {
  /** Ed25519 public key of the mesh's root, from the ticket. */
  readonly rootKey: Uint8Array;
  /** Encoded SignedStatements, from the welcome. */
  readonly statements: readonly Uint8Array[];
  readonly meshName: string;
}

interface Mesh {
  readonly name: string;
  readonly rootKey: Uint8Array;
  /** Only on the device that made the mesh. */
  readonly rootSeed: Uint8Array | undefined;
  readonly set: StatementSet;
}

export class MemberList implements Membership {
  readonly #components: MemberListComponents;
  readonly #verify: VerifySignature;
  readonly #key: DeviceKey;
  readonly #name: string;
  readonly #document: StoredDocument<typeof listSchema>;
  readonly #listeners = new Set<() => void>();
  #mesh: Mesh;
  /** Changes are made one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(
    components: MemberListComponents,
    init: MemberListInit & { readonly document: StoredDocument<typeof listSchema>; readonly mesh: Mesh },
  ) {
    this.#components = components;
    this.#verify = components.verify ?? verifySignature;
    this.#key = init.key;
    this.#name = cleanText(init.name, NAME_BYTES_MAX, 'unnamed');
    this.#document = init.document;
    this.#mesh = init.mesh;
  }

  /**
   * The list of this data folder. The first time, that is a mesh of one: a root key is made, and signs this device in as
   * its admin.
   * @throws WeftError `config_invalid` when a document is damaged
   */
  static async open(components: MemberListComponents, init: MemberListInit): Promise<MemberList> {
    const { store, log, random = secureRandom, verify = verifySignature } = components;
    const document = new StoredDocument({ store }, { name: LIST_DOCUMENT, schema: listSchema });
    const kept = await document.load();
    if (kept !== undefined && kept.rootKey.byteLength !== KEY_BYTES) throw damaged(LIST_DOCUMENT);
    let rootSeed = await store.read(ROOT_DOCUMENT);
    if (rootSeed?.byteLength !== KEY_BYTES) rootSeed = undefined;
    // The root is written before the list, so a start that was cut short between the two goes on with the same mesh.
    if (kept === undefined && rootSeed === undefined) {
      rootSeed = random.bytes(KEY_BYTES);
      await store.write(ROOT_DOCUMENT, rootSeed);
    }
    const ownRootKey = rootSeed === undefined ? undefined : publicKeyOf(rootSeed);
    const rootKey = kept?.rootKey ?? ownRootKey;
    if (rootKey === undefined) throw damaged(ROOT_DOCUMENT);
    if (ownRootKey !== undefined && Buffer.compare(ownRootKey, rootKey) !== 0) rootSeed = undefined;
    const set = new StatementSet({ verify }, { rootKey });
    if (kept !== undefined) set.absorb(kept.statements);
    const name = cleanText(kept?.meshName ?? init.name, NAME_BYTES_MAX, 'unnamed');
    const list = new MemberList(components, { ...init, document, mesh: { name, rootKey, rootSeed, set } });
    const { node } = init.key;
    if (rootSeed !== undefined && !set.evaluation.addedByRoot.has(node) && !set.evaluation.revoked.has(node)) {
      await list.#state(list.#sign({ kind: 'add', node, role: 'admin', name: init.name }, 'root'));
    }
    if (!list.isMember(node)) log.warn({ mesh: list.meshId }, REVOKED);
    return list;
  }

  get meshId(): string {
    return this.#mesh.set.meshId;
  }

  /** For people; the id is what counts. */
  get meshName(): string {
    return this.#mesh.name;
  }

  /** Ed25519 public key of the mesh's root, 32 bytes. */
  get rootKey(): Uint8Array {
    return this.#mesh.rootKey;
  }

  get self(): Member {
    const { node } = this.#key;
    return { node, name: this.#name, role: this.#mesh.set.evaluation.members.get(node)?.role ?? 'member' };
  }

  isMember(node: NodeId): boolean {
    return this.#mesh.set.evaluation.members.has(node);
  }

  /** True for a device that can't come back under its key. */
  isRevoked(node: NodeId): boolean {
    return this.#mesh.set.evaluation.revoked.has(node);
  }

  /** Every member, this node included, sorted by id. */
  members(): readonly Member[] {
    return [...this.#mesh.set.evaluation.members.values()];
  }

  digest(): Uint8Array {
    return this.#mesh.set.digest;
  }

  statements(): readonly Uint8Array[] {
    return this.#mesh.set.encoded();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  merge(statements: readonly Uint8Array[]): Promise<boolean> {
    return this.#alone(async () => {
      const { log } = this.#components;
      const wasMember = this.isMember(this.#key.node);
      const { taken, forged, refused } = this.#mesh.set.absorb(statements);
      if (forged > 0) log.warn({ forged }, 'ignored statements with a wrong signature');
      if (refused > 0) log.warn({ refused }, 'the member list is full; some statements were left out');
      if (taken === 0) return false;
      if (wasMember && !this.isMember(this.#key.node)) log.warn({ mesh: this.meshId }, REVOKED);
      // A revocation takes effect at once, and even when the disk is full: what isn't kept now comes again by the peers.
      this.#changed();
      await this.#save(this.#mesh).catch((error: unknown) => log.error({ error }, 'could not keep the member list'));
      return true;
    });
  }

  /**
   * Signs a device in, or gives it a higher role. Nothing is written when it has that role already.
   * @param publicKey Ed25519, 32 bytes; must be the one that `node` names
   * @throws WeftError `forbidden` when this device is not an admin or the other one was revoked, `bad_request` when key
   *   and node disagree, `quota_exceeded` when the list is full
   */
  add(node: NodeId, publicKey: Uint8Array, role: Role, name: string): Promise<void> {
    return this.#alone(async () => {
      if (publicKey.byteLength !== KEY_BYTES || nodeIdOf(publicKey) !== node) {
        throw new WeftError({ code: 'bad_request', message: 'The public key is not the one of this node id.' });
      }
      if (this.isRevoked(node)) {
        throw new WeftError({
          code: 'forbidden',
          message: 'This device was revoked, and a revocation is final.',
          remedy: 'Use a new data folder (WEFT_HOME) on that device: it gets a new key.',
        });
      }
      const present = this.#mesh.set.evaluation.members.get(node);
      if (present !== undefined && (present.role === role || present.role === 'admin')) return;
      await this.#state(this.#sign({ kind: 'add', node, role, name }, 'device'));
    });
  }

  /**
   * Takes a device out for good, and with it whoever came in by its word alone. Never this device itself: neither by its
   * own id nor because it, or its role, stands on the other's word. So an admin is always left.
   * @param reason kept with the statement; every member can read it
   * @throws WeftError `forbidden` when this device may not, `not_found` when no such member is known, `quota_exceeded`
   *   when the list is full
   */
  revoke(node: NodeId, reason: string): Promise<void> {
    return this.#alone(async () => {
      const { evaluation } = this.#mesh.set;
      if (evaluation.revoked.has(node)) return;
      if (!evaluation.members.has(node)) {
        throw new WeftError({
          code: 'not_found',
          message: 'No such device is a member of this mesh.',
          remedy: 'Run `weft peers` to see the members.',
        });
      }
      const issuer = evaluation.addedByRoot.has(node) ? 'root' : 'device';
      const statement = this.#sign({ kind: 'revoke', node, reason }, issuer);
      this.#assertLeavesSelf(node, statement);
      await this.#state(statement);
    });
  }

  /** @throws WeftError `forbidden` when this device would not be the admin any more that it is */
  #assertLeavesSelf(node: NodeId, revocation: Statement): void {
    const self = this.#key.node;
    if (node === self) {
      throw new WeftError({
        code: 'forbidden',
        message: 'A device does not revoke itself: it could not take that back.',
        remedy: 'Let another admin revoke it; or start it with a new data folder (WEFT_HOME), which is a new device.',
      });
    }
    const { rootKey, set } = this.#mesh;
    // Their signatures were checked when they came.
    const after = new StatementSet({ verify: () => true }, { rootKey });
    after.absorb([...set.encoded(), revocation.encoded]);
    if (after.evaluation.adminBy.has(self)) return;
    throw new WeftError({
      code: 'forbidden',
      message: 'This device is an admin by the word of the other one alone, and would fall with it.',
      remedy: 'Revoke it on an admin that it did not sign in.',
    });
  }

  /**
   * Whether {@link adopt} could take over the mesh of this root: asked before a ticket is used up.
   * @throws WeftError `already_member` when this is another mesh, and has other members
   */
  assertMayAdopt(rootKey: Uint8Array): void {
    if (Buffer.compare(rootKey, this.#mesh.rootKey) === 0) return;
    if (!this.isMember(this.#key.node) || this.members().length <= 1) return;
    throw new WeftError({
      code: 'already_member',
      message: `This device belongs to the mesh "${this.meshName}", which has other members.`,
    });
  }

  /**
   * Becomes a part of another mesh, in place: `meshId` and the members change, and the listeners are called.
   * @throws WeftError `already_member` when this mesh has other members, `join_refused` when the other mesh's statements
   *   don't make this device a member
   */
  adopt(adoption: Adoption): Promise<void> {
    return this.#alone(async () => {
      const { node } = this.#key;
      const { rootKey } = adoption;
      const same = Buffer.compare(rootKey, this.#mesh.rootKey) === 0;
      this.assertMayAdopt(rootKey);
      const set = new StatementSet({ verify: this.#verify }, { rootKey });
      if (same) set.absorb(this.statements());
      set.absorb(adoption.statements);
      if (!set.evaluation.members.has(node)) {
        throw new WeftError({ code: 'join_refused', message: 'The welcome does not make this device a member.' });
      }
      const mesh: Mesh = {
        name: cleanText(adoption.meshName, NAME_BYTES_MAX, 'unnamed'),
        rootKey,
        rootSeed: same ? this.#mesh.rootSeed : undefined,
        set,
      };
      await this.#save(mesh);
      const hadRoot = this.#mesh.rootSeed !== undefined;
      this.#mesh = mesh;
      this.#changed();
      // From here on nobody needs the old root. A crash before this line leaves a seed that fits no list, unused.
      if (hadRoot && !same) await this.#components.store.write(ROOT_DOCUMENT, new Uint8Array(0));
    });
  }

  /** Signs as this device, or as the root where only the root's word counts. */
  #sign(claim: Claim, issuer: 'root' | 'device'): Statement {
    const { rootSeed, set } = this.#mesh;
    const standsOn =
      issuer === 'root' ? [] : (set.evaluation.adminBy.get(this.#key.node) ?? []).slice(0, STANDS_ON_MAX);
    const seed = issuer === 'root' ? rootSeed : this.#key.seed;
    if (issuer === 'root' && seed === undefined) {
      throw new WeftError({
        code: 'forbidden',
        message: 'The device that made the mesh can be revoked on that device only.',
        remedy: 'Revoke it there, or start a new mesh without it.',
      });
    }
    if (seed === undefined || (issuer === 'device' && standsOn.length === 0)) {
      throw new WeftError({
        code: 'forbidden',
        message: 'This device is not an admin of its mesh.',
        remedy: 'Do it on an admin of the mesh: `weft status` shows the role of a node.',
      });
    }
    if (!set.hasRoom(claim.kind)) {
      throw new WeftError({
        code: 'quota_exceeded',
        message: `The member list has no room for another statement of the kind "${claim.kind}".`,
        remedy: 'Start a new mesh: a member list only grows.',
      });
    }
    const issuedAtMs = this.#components.clock.wallNow();
    return signStatement({ meshId: set.meshId, seed, claim, standsOn, issuedAtMs });
  }

  /** Keeps a statement of our own, and then stands by it: what the disk didn't take is never published. */
  async #state(statement: Statement): Promise<void> {
    await this.#save(this.#mesh, statement.encoded);
    this.#mesh.set.absorb([statement.encoded]);
    this.#changed();
  }

  #save(mesh: Mesh, ...more: readonly Uint8Array[]): Promise<void> {
    const statements = [...mesh.set.encoded(), ...more].map(toBase64);
    return this.#document.save({ version: 1, meshName: mesh.name, rootKey: toBase64(mesh.rootKey), statements });
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.#components.log.error({ error }, 'a listener of the member list failed');
      }
    }
  }

  #alone<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined); // Its caller hears of it; the next change goes on.
    return result;
  }
}
