// The statements that a node holds: a bounded set that takes over what is founded, signed and of this mesh, and ignores
// the rest. The member list keeps one, and replaces it when the node joins another mesh.
import { createHash } from 'node:crypto';
import type { NodeId } from '../../protocol/ids.ts';
import type { VerifySignature } from './ed25519.ts';
import { type Evaluation, evaluate, isFounded } from './evaluate.ts';
import { ADD_STATEMENTS_MAX, FORGED_PER_MERGE_MAX, REVOKE_STATEMENTS_MAX, WAITING_STATEMENTS_MAX } from './limits.ts';
import { nodeIdOf } from './node-id.ts';
import { isSigned, meshIdOf, readStatement, type Statement, sha256Hex } from './statements.ts';

/** What became of the statements that were offered. */
export interface Absorbed {
  readonly taken: number;
  readonly forged: number;
  /** Left out because the list is full. */
  readonly refused: number;
}

/** Grows only. Equal sets have equal digests, whatever the order in which they grew. */
export class StatementSet {
  readonly meshId: string;
  readonly root: NodeId;
  readonly #verify: VerifySignature;
  /** Each behind those that it stands on. */
  readonly #founded = new Map<string, Statement>();
  /** Whose foundation has not come yet, unverified, so by the digest of all their bytes: a forged copy hides no true one. */
  readonly #waiting = new Map<string, Statement>();
  #revocations = 0;
  #evaluation: Evaluation | undefined;
  #digest: Uint8Array | undefined;

  constructor(components: { readonly verify: VerifySignature }, init: { readonly rootKey: Uint8Array }) {
    this.#verify = components.verify;
    this.meshId = meshIdOf(init.rootKey);
    this.root = nodeIdOf(init.rootKey);
  }

  get evaluation(): Evaluation {
    this.#evaluation ??= evaluate(this.root, this.#founded.values());
    return this.#evaluation;
  }

  /** sha256 over the mesh and the sorted ids. */
  get digest(): Uint8Array {
    this.#digest ??= createHash('sha256')
      .update([this.meshId, ...[...this.#founded.keys()].sort()].join('\n'))
      .digest();
    return this.#digest;
  }

  /** Encoded, those that others stand on first. */
  encoded(): readonly Uint8Array[] {
    return [...this.#founded.values()].map((statement) => statement.encoded);
  }

  /** True when there is room for one more of this kind. */
  hasRoom(kind: Statement['claim']['kind']): boolean {
    return kind === 'revoke'
      ? this.#revocations < REVOKE_STATEMENTS_MAX
      : this.#founded.size - this.#revocations < ADD_STATEMENTS_MAX;
  }

  /** Takes over what is valid and new, in whatever order it comes. */
  absorb(offered: readonly Uint8Array[]): Absorbed {
    const fresh = new Set<string>();
    for (const encoded of offered.slice(0, ADD_STATEMENTS_MAX + REVOKE_STATEMENTS_MAX)) {
      const statement = readStatement(encoded);
      if (statement === undefined || statement.meshId !== this.meshId || this.#founded.has(statement.id)) continue;
      const key = sha256Hex(encoded);
      if (this.#waiting.has(key)) continue;
      this.#waiting.set(key, statement);
      fresh.add(key);
    }
    const absorbed = this.#settle(fresh);
    for (const key of this.#waiting.keys()) {
      if (this.#waiting.size <= WAITING_STATEMENTS_MAX) break;
      this.#waiting.delete(key);
    }
    return absorbed;
  }

  /** Round by round, takes what stands on the rounds before. Ids are digests, so nothing stands on itself. */
  #settle(fresh: ReadonlySet<string>): Absorbed {
    const absorbed = { taken: 0, forged: 0, refused: 0 };
    let freshForged = 0;
    for (let takenBefore = -1; takenBefore !== absorbed.taken; ) {
      takenBefore = absorbed.taken;
      for (const [key, statement] of this.#waiting) {
        const known = this.#founded.has(statement.id);
        if (!known && !isFounded(statement, this.root, this.#founded)) continue;
        this.#waiting.delete(key);
        if (known) continue;
        // Only now is a signature worth its 0.1 ms: the statement claims the root or a known admin as its issuer.
        if (!isSigned(statement, this.#verify)) {
          absorbed.forged += 1;
          if (fresh.has(key)) freshForged += 1;
          // The whole offer goes, so that nothing of it is in the way of what others offer next.
          if (freshForged >= FORGED_PER_MERGE_MAX) {
            for (const offer of fresh) this.#waiting.delete(offer);
            return absorbed;
          }
        } else if (this.hasRoom(statement.claim.kind)) {
          this.#take(statement);
          absorbed.taken += 1;
        } else {
          absorbed.refused += 1;
        }
      }
    }
    return absorbed;
  }

  #take(statement: Statement): void {
    this.#founded.set(statement.id, statement);
    if (statement.claim.kind === 'revoke') this.#revocations += 1;
    this.#evaluation = undefined;
    this.#digest = undefined;
  }
}
