// What a set of statements means. Pure, and a function of the set alone: whoever holds the same statements sees the same
// members, in whatever order they came. docs/decisions/0003-membership.md says why the rules are these.
import type { NodeId } from '../../protocol/ids.ts';
import type { Member } from '../core/trust.ts';
import type { Statement } from './statements.ts';

/** The meaning of a member list. */
export interface Evaluation {
  readonly members: ReadonlyMap<NodeId, Member>;
  readonly revoked: ReadonlySet<NodeId>;
  /** Devices that the root itself added: only the root revokes them. */
  readonly addedByRoot: ReadonlySet<NodeId>;
  /** Admin → ids of the statements in force that make it one: what its next statement stands on. */
  readonly adminBy: ReadonlyMap<NodeId, readonly string[]>;
}

/**
 * True when the statement's issuer was ever made an admin: it is the root, or a founded statement that it stands on adds
 * it as admin. Revocations play no part here, so what is founded once stays founded.
 * @param founded the founded statements, by id
 */
export function isFounded(statement: Statement, root: NodeId, founded: ReadonlyMap<string, Statement>): boolean {
  if (statement.issuer === root) return statement.standsOn.length === 0;
  return statement.standsOn.some((id) => makesAdmin(founded.get(id), statement.issuer));
}

function makesAdmin(statement: Statement | undefined, node: NodeId): boolean {
  const claim = statement?.claim;
  return claim?.kind === 'add' && claim.role === 'admin' && claim.node === node;
}

/**
 * 1. A revocation counts if it is founded, even when its issuer was revoked itself; for a device that the root added,
 *    only the root's counts.
 * 2. An addition counts if its issuer is the root, or is not revoked and stands on an addition that counts.
 * 3. A member is whom an addition that counts names, and no revocation that counts.
 *
 * @param root id of the root's key
 * @param statements founded ones, each behind those that it stands on
 */
export function evaluate(root: NodeId, statements: Iterable<Statement>): Evaluation {
  const additions: Statement[] = [];
  const addedByRoot = new Set<NodeId>();
  const revocations: Statement[] = [];
  for (const statement of statements) {
    if (statement.claim.kind === 'revoke') {
      revocations.push(statement);
    } else {
      additions.push(statement);
      if (statement.issuer === root) addedByRoot.add(statement.claim.node);
    }
  }
  const revoked = new Set<NodeId>();
  for (const { issuer, claim } of revocations) {
    if (issuer === root || !addedByRoot.has(claim.node)) revoked.add(claim.node);
  }

  const counting = new Map<string, Statement>();
  for (const statement of additions) {
    const { id, issuer, claim, standsOn } = statement;
    if (revoked.has(claim.node)) continue;
    const counts = issuer === root || standsOn.some((base) => makesAdmin(counting.get(base), issuer));
    if (counts) counting.set(id, statement);
  }
  return { members: membersOf(counting.values()), revoked, addedByRoot, adminBy: adminsOf(counting.values()) };
}

/** The highest role that anyone gave, and the name of the latest addition. Sorted by id. */
function membersOf(additions: Iterable<Statement>): ReadonlyMap<NodeId, Member> {
  const latest = new Map<NodeId, { readonly statement: Statement; readonly member: Member }>();
  for (const statement of additions) {
    const { claim, issuedAtMs, id } = statement;
    if (claim.kind !== 'add') continue;
    const { node, name, role } = claim;
    const before = latest.get(node);
    if (before === undefined) {
      latest.set(node, { statement, member: { node, name, role } });
      continue;
    }
    const { statement: other, member } = before;
    const later = issuedAtMs > other.issuedAtMs || (issuedAtMs === other.issuedAtMs && id > other.id);
    latest.set(node, {
      statement: later ? statement : other,
      member: { node, name: later ? name : member.name, role: role === 'admin' ? role : member.role },
    });
  }
  const sorted = [...latest].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([node, { member }]) => [node, member]));
}

function adminsOf(additions: Iterable<Statement>): ReadonlyMap<NodeId, readonly string[]> {
  const admins = new Map<NodeId, string[]>();
  for (const { id, claim } of additions) {
    if (claim.kind !== 'add' || claim.role !== 'admin') continue;
    const ids = admins.get(claim.node);
    if (ids === undefined) admins.set(claim.node, [id]);
    else ids.push(id);
  }
  return admins;
}
