// Lets admins of the mesh manage this node: the other end of PeerManagement. Who asks is decided here, by the connection's
// proven key, before anything of the request is looked at; what they change is written to this node's log.
import { type AnyManagedRow, MANAGED_OPERATIONS, managedOperation } from '../../protocol/api/control.ts';
import type { Managed } from '../../protocol/capability.ts';
import type { ManageResponse } from '../../protocol/codec.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { MANAGE_ANSWER_BYTES_MAX } from '../../protocol/limits.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Log } from '../core/log.ts';
import type { ManagedAnswer, ManagedNode } from '../core/manage.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Membership } from '../core/trust.ts';
import { AUDIT_TEXT_CHARS_MAX } from './limits.ts';

export interface ServeManageComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly membership: Pick<Membership, 'members'>;
  readonly node: ManagedNode;
  readonly log: Log;
  readonly telemetry: Pick<Telemetry, 'count'>;
  /** {@link createManageGuards}; tests leave one out to show what it stops. */
  readonly guards: ManageGuards;
}

/** What a call must pass, in this order. Each throws a WeftError. */
export interface ManageGuards {
  /** @throws WeftError `forbidden` for whom the mesh has not made an admin */
  readonly admin: (caller: NodeId) => void;
  /** @throws WeftError `forbidden` where this node's owner wants nobody else to manage it */
  readonly setting: () => void;
}

export function createManageGuards({
  membership,
  managed,
}: {
  readonly membership: Pick<Membership, 'members'>;
  /** The setting, as it is now. */
  readonly managed: () => Managed;
}): ManageGuards {
  return {
    admin(caller) {
      if (membership.members().find(({ node }) => node === caller)?.role === 'admin') return;
      throw new WeftError({
        code: 'forbidden',
        message: 'Only admins of the mesh manage other nodes.',
        remedy: 'Do it from the node of an admin, or at the node itself; `weft members` shows who is one.',
      });
    },
    setting() {
      if (managed() === 'admins') return;
      throw new WeftError({
        code: 'forbidden',
        message: 'This node is managed by nobody but who is at it.',
        remedy: 'Set `managed` to admins at the node itself, with `weft config set managed admins`.',
      });
    },
  };
}

/** Answers `manage`. */
export function serveManage(components: ServeManageComponents): void {
  const { mesh, membership, node, log, telemetry, guards } = components;

  mesh.handle(PEER_METHODS.manage, async ({ operation: name, json }, { caller, signal, afterwards }) => {
    try {
      guards.admin(caller);
      guards.setting();
    } catch (error) {
      // Counted, not written down: whoever may not manage this node doesn't fill its log either.
      telemetry.count('weft_calls_rejected_total', { reason: 'manage' });
      throw error;
    }
    const operation = managedOperation(name);
    if (operation === undefined) {
      throw new WeftError({
        code: 'method_unknown',
        message: 'This node knows no such operation.',
        remedy: 'Update Weft on this node.',
      });
    }
    const request = parsed(json);
    const row: AnyManagedRow = MANAGED_OPERATIONS[operation];
    const by = membership.members().find((member) => member.node === caller)?.name ?? '';
    const audited = { by: caller, name: by, operation, ...(row.changes !== undefined && told(row.changes, request)) };
    // Before it is done: what takes the node down is written down as well.
    if (row.changes !== undefined) log.info(audited, 'an admin changes this node from elsewhere');
    try {
      return answerText(row, await node.perform(operation, request, { signal, caller, afterwards }));
    } catch (error) {
      const { code } = toWeftError(error);
      if (row.changes !== undefined) log.info({ ...audited, code }, 'what an admin wanted to change failed');
      throw error;
    }
  });
}

/** @throws WeftError `bad_request` */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new WeftError({ code: 'bad_request', message: 'What an operation is asked with is not JSON.' }, { cause });
  }
}

/** Of a request: the fields that are named; where none are, only which fields it has. Values may be anything. */
function told(
  fields: readonly string[],
  request: unknown,
): { readonly what: Readonly<Record<string, string>> | string } {
  const given = Object.entries(typeof request === 'object' && request !== null ? request : {});
  if (fields.length === 0) return { what: clip(given.map(([name]) => name).join(', ')) };
  const named = given.filter(([name]) => fields.includes(name));
  return { what: Object.fromEntries(named.map(([name, value]) => [name, clip(String(value))])) };
}

const clip = (text: string): string => text.slice(0, AUDIT_TEXT_CHARS_MAX).toWellFormed();

/** The answer as it travels. A list that is too long loses its oldest. @throws WeftError `body_too_large` */
function answerText({ list }: AnyManagedRow, { status, body }: ManagedAnswer): ManageResponse {
  const json = JSON.stringify(body);
  if (list === undefined || bytesOf(json) <= MANAGE_ANSWER_BYTES_MAX) return { status, json };
  const { field, newest } = list;
  const all = (body as Readonly<Record<string, readonly unknown[]>>)[field] ?? [];
  const newestFirst = newest === 'first' ? all : all.toReversed();
  // The brackets and the name of the list.
  let left = MANAGE_ANSWER_BYTES_MAX - bytesOf(JSON.stringify({ [field]: [] }));
  const kept: string[] = [];
  for (const element of newestFirst) {
    const text = JSON.stringify(element);
    left -= bytesOf(text) + 1;
    if (left < 0) break;
    kept.push(text);
  }
  if (newest === 'last') kept.reverse();
  return { status, json: `{${JSON.stringify(field)}:[${kept.join(',')}]}` };
}

const bytesOf = (text: string): number => Buffer.byteLength(text);
