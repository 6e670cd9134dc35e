// The inviter's side of joining: the open tickets of this node, and the judgement of who comes with one. Called by the
// control API (create) and by node/mesh (hello, admit), whose peer ids Noise has authenticated.
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Store } from '../core/store.ts';
import type { DeviceKey, Invitation, Invitations, OpenInvitation } from '../core/trust.ts';
import { base64Bytes, StoredDocument, toBase64 } from './document.ts';
import { KEY_BYTES, type RandomBytes, secureRandom } from './ed25519.ts';
import {
  ADDRESS_LENGTH_MAX,
  EXPIRY_TOLERANCE_MS,
  FAILED_PROOFS_MAX,
  KEPT_INVITATIONS_MAX,
  NONCE_BYTES,
  OPEN_INVITATIONS_MAX,
  PENDING_HELLOS_MAX,
  SECRET_BYTES,
  TICKET_ADDRESSES_MAX,
  TICKET_ID_BYTES,
  TICKET_TTL_MS_MAX,
} from './limits.ts';
import type { MemberList } from './member-list.ts';
import { nodeIdOf } from './node-id.ts';
import { type JoinContext, type JoinProof, joinProof, sameProof } from './proofs.ts';
import { encodeTicket, nodeOfAddress } from './tickets.ts';

const bookSchema = z.object({
  version: z.literal(1),
  invitations: z.array(
    z.object({
      id: base64Bytes,
      meshId: z.string(),
      secret: base64Bytes,
      expiresAtMs: z.number(),
      failedProofs: z.number(),
      usedBy: z.string().optional(),
    }),
  ),
});

export interface InvitationBookComponents {
  readonly store: Store;
  readonly clock: Pick<Clock, 'wallNow'>;
  readonly members: MemberList;
  readonly key: DeviceKey;
  /** @default the operating system's */
  readonly random?: RandomBytes;
  /** @default HMAC-SHA256 over role, mesh, ticket, both ids and both nonces */
  readonly proof?: JoinProof;
}

export interface InvitationBookInit {
  /**
   * How long after its expiry a ticket still counts, for clocks that differ.
   * @default 30 s
   */
  readonly expiryToleranceMs?: number;
}

/** An invitation as it is kept. Void when its failed proofs have reached the bound. */
interface Entry {
  readonly id: Uint8Array;
  /** A ticket of a mesh that this node has left admits nobody. */
  readonly meshId: string;
  readonly secret: Uint8Array;
  readonly expiresAtMs: number;
  failedProofs: number;
  /** Whom it brought in: this one may come again with it, since its welcome may have been lost. */
  usedBy: NodeId | undefined;
}

interface Hello {
  readonly entry: Entry;
  readonly context: JoinContext;
}

/** Tells nothing of the secret. */
const nameOf = ({ id }: Pick<Entry, 'id'>): string => Buffer.from(id).toString('hex');

/** One sentence for every reason, so that a stranger can't tell an unknown ticket from a used one. */
const refused = (): WeftError =>
  new WeftError({ code: 'join_refused', message: 'The ticket is not open here: unknown, used, void or expired.' });

export class InvitationBook implements Invitations {
  readonly #clock: Pick<Clock, 'wallNow'>;
  readonly #members: MemberList;
  readonly #key: DeviceKey;
  readonly #random: RandomBytes;
  readonly #proof: JoinProof;
  readonly #toleranceMs: number;
  readonly #document: StoredDocument<typeof bookSchema>;
  #entries: Entry[];
  /** Hellos that await their proof, by newcomer: one each, the latest. */
  readonly #hellos = new Map<NodeId, Hello>();

  private constructor(
    components: InvitationBookComponents,
    init: InvitationBookInit & {
      readonly document: StoredDocument<typeof bookSchema>;
      readonly entries: Entry[];
    },
  ) {
    this.#clock = components.clock;
    this.#members = components.members;
    this.#key = components.key;
    this.#random = components.random ?? secureRandom;
    this.#proof = components.proof ?? joinProof;
    this.#toleranceMs = init.expiryToleranceMs ?? EXPIRY_TOLERANCE_MS;
    this.#document = init.document;
    this.#entries = init.entries;
  }

  /** The invitations of this data folder: they survive a restart. @throws WeftError `config_invalid` when damaged */
  static async open(components: InvitationBookComponents, init: InvitationBookInit = {}): Promise<InvitationBook> {
    const document = new StoredDocument(components, { name: 'invitations', schema: bookSchema });
    const kept = await document.load();
    const entries = (kept?.invitations ?? []).map((entry) => ({ ...entry, usedBy: entry.usedBy }));
    return new InvitationBook(components, { ...init, document, entries });
  }

  async create(init: { readonly addresses: readonly string[]; readonly ttlMs: number }): Promise<Invitation> {
    if (this.#members.self.role !== 'admin') {
      throw new WeftError({
        code: 'forbidden',
        message: 'This device is not an admin of its mesh.',
        remedy: 'Run `weft invite` on an admin of the mesh: `weft status` shows the role of a node.',
      });
    }
    const { ttlMs } = init;
    if (!(ttlMs >= 1_000 && ttlMs <= TICKET_TTL_MS_MAX)) {
      throw new WeftError({ code: 'bad_request', message: 'A ticket lives from one second to seven days.' });
    }
    const addresses = init.addresses
      .filter((address) => address.length <= ADDRESS_LENGTH_MAX && nodeOfAddress(address) === this.#key.node)
      .slice(0, TICKET_ADDRESSES_MAX);
    if (addresses.length === 0) {
      throw new WeftError({
        code: 'bad_request',
        message: 'This node has no address that another one could dial.',
        remedy: 'Set WEFT_LISTEN or WEFT_ANNOUNCE to an address that other devices reach.',
      });
    }
    this.#forgetExpired();
    if (this.#entries.filter((entry) => this.#isOpen(entry)).length >= OPEN_INVITATIONS_MAX) {
      throw new WeftError({
        code: 'quota_exceeded',
        message: `${OPEN_INVITATIONS_MAX} invitations are open already.`,
        remedy: 'Use one of them, or wait until one has expired.',
      });
    }
    const entry: Entry = {
      id: this.#random.bytes(TICKET_ID_BYTES),
      meshId: this.#members.meshId,
      secret: this.#random.bytes(SECRET_BYTES),
      expiresAtMs: this.#clock.wallNow() + ttlMs,
      failedProofs: 0,
      usedBy: undefined,
    };
    this.#entries.push(entry);
    try {
      await this.#save();
    } catch (error) {
      this.#entries = this.#entries.filter((other) => other !== entry);
      throw error;
    }
    const { rootKey, meshName } = this.#members;
    const { id, secret, expiresAtMs } = entry;
    const ticket = encodeTicket({ rootKey, meshName, addresses, expiresAtMs, secret, id });
    return { id: nameOf(entry), ticket, expiresAtMs };
  }

  open(): readonly OpenInvitation[] {
    return this.#entries
      .filter((entry) => this.#isOpen(entry))
      .map((entry) => ({ id: nameOf(entry), expiresAtMs: entry.expiresAtMs }));
  }

  async cancel(id: string): Promise<void> {
    const entry = this.#entries.find((one) => nameOf(one) === id && this.#isOpen(one));
    if (entry === undefined) {
      throw new WeftError({
        code: 'not_found',
        message: 'No invitation of this id is open.',
        remedy: 'Nothing to do: it was used, cancelled, or has expired. `weft members` lists who came in.',
      });
    }
    // At once, also for whoever is about to prove it.
    const before = this.#entries;
    this.#entries = before.filter((one) => one !== entry);
    try {
      await this.#save();
    } catch (error) {
      this.#entries = before;
      throw error;
    }
  }

  anyOpen(): boolean {
    return this.#entries.some((entry) => this.#isOpen(entry));
  }

  hello(
    newcomer: NodeId,
    request: { readonly ticketId: Uint8Array; readonly nonce: Uint8Array },
  ): { readonly nonce: Uint8Array; readonly proof: Uint8Array } {
    const entry = this.#entryFor(newcomer, request.ticketId);
    if (entry === undefined || request.nonce.byteLength !== NONCE_BYTES) throw refused();
    const nonce = this.#random.bytes(NONCE_BYTES);
    const context: JoinContext = {
      meshId: entry.meshId,
      ticketId: entry.id,
      inviter: this.#key.node,
      newcomer,
      inviterNonce: nonce,
      newcomerNonce: request.nonce,
    };
    this.#hellos.delete(newcomer);
    this.#hellos.set(newcomer, { entry, context });
    keepNewest(this.#hellos, PENDING_HELLOS_MAX);
    return { nonce, proof: this.#proof(entry.secret, 'inviter', context) };
  }

  async admit(
    newcomer: NodeId,
    request: {
      readonly ticketId: Uint8Array;
      readonly proof: Uint8Array;
      readonly name: string;
      readonly publicKey: Uint8Array;
    },
  ): Promise<{ readonly statements: readonly Uint8Array[]; readonly meshName: string }> {
    const hello = this.#hellos.get(newcomer);
    this.#hellos.delete(newcomer); // One hello, one proof: right or wrong.
    const entry = this.#entryFor(newcomer, request.ticketId);
    if (hello === undefined || entry === undefined || hello.entry !== entry) throw refused();
    if (!sameProof(this.#proof(entry.secret, 'newcomer', hello.context), request.proof)) {
      entry.failedProofs += 1;
      await this.#save();
      throw refused();
    }
    const { publicKey, name } = request;
    if (publicKey.byteLength !== KEY_BYTES || nodeIdOf(publicKey) !== newcomer) {
      throw new WeftError({ code: 'join_refused', message: 'The public key is not the one of the connection.' });
    }
    if (this.#members.isRevoked(newcomer)) {
      throw new WeftError({
        code: 'join_refused',
        message: 'This device was revoked, and a revocation is final.',
        remedy: 'Use a new data folder (WEFT_HOME) on that device: it gets a new key.',
      });
    }
    // Used up before anything waits, so that of two newcomers with one ticket only one comes in; and on disk before the
    // newcomer is signed in, so that a crash between the two leaves a ticket that only this newcomer can use again.
    if (entry.usedBy === undefined) {
      entry.usedBy = newcomer;
      try {
        await this.#save();
      } catch (error) {
        entry.usedBy = undefined;
        throw error;
      }
    }
    await this.#members.add(newcomer, publicKey, 'member', name);
    return { statements: this.#members.statements(), meshName: this.#members.meshName };
  }

  /** The invitation with this id, if this newcomer may use it. */
  #entryFor(newcomer: NodeId, ticketId: Uint8Array): Entry | undefined {
    const entry = this.#entries.find((candidate) => Buffer.compare(candidate.id, ticketId) === 0);
    if (entry === undefined || !this.#isAlive(entry)) return undefined;
    return entry.usedBy === undefined || entry.usedBy === newcomer ? entry : undefined;
  }

  #isOpen(entry: Entry): boolean {
    return entry.usedBy === undefined && this.#isAlive(entry);
  }

  #isAlive(entry: Entry): boolean {
    return (
      entry.meshId === this.#members.meshId &&
      entry.failedProofs < FAILED_PROOFS_MAX &&
      this.#clock.wallNow() <= entry.expiresAtMs + this.#toleranceMs
    );
  }

  /** Lets go of the dead, and of the oldest used ones beyond the bound. */
  #forgetExpired(): void {
    const alive = this.#entries.filter((entry) => this.#isAlive(entry));
    let surplus = alive.length - (KEPT_INVITATIONS_MAX - 1);
    this.#entries = alive.filter((entry) => entry.usedBy === undefined || surplus-- <= 0);
  }

  #save(): Promise<void> {
    const invitations = this.#entries.map(({ id, secret, ...entry }) => ({
      ...entry,
      id: toBase64(id),
      secret: toBase64(secret),
    }));
    return this.#document.save({ version: 1, invitations });
  }
}
