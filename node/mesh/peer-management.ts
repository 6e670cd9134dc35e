// The nodes of the mesh, managed from here: carries an operation to the node that is meant, and checks what comes back.
import {
  AcceptedAnswer,
  type AnyManagedRow,
  ControlEvent,
  MANAGED_OPERATIONS,
  type ManagedOperation,
} from '../../protocol/api/control.ts';
import type { ManageResponse, WatchItem } from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { EventFeed, Watch, WatchOptions } from '../core/event-feed.ts';
import type { ManagedAnswer, ManagedNode, ManagedNodes, ManagedOptions } from '../core/manage.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Membership } from '../core/trust.ts';

export interface PeerManagementComponents {
  readonly mesh: Pick<Mesh, 'self' | 'call'>;
  readonly membership: Pick<Membership, 'isMember'>;
  /** This node, which asks itself without the mesh. */
  readonly here: ManagedNode;
  readonly feed: EventFeed;
}

export class PeerManagement implements ManagedNodes {
  readonly #components: PeerManagementComponents;

  constructor(components: PeerManagementComponents) {
    this.#components = components;
  }

  async manage(
    node: NodeId,
    operation: ManagedOperation,
    request: unknown,
    options: ManagedOptions & { readonly requestId: RequestId },
  ): Promise<ManagedAnswer> {
    const { mesh, here } = this.#components;
    if (node === mesh.self) return here.perform(operation, request, options);
    this.#checkMember(node);
    const { signal, requestId } = options;
    const { timeoutMs: budgetMs } = MANAGED_OPERATIONS[operation];
    const asked = { operation, json: JSON.stringify(request) };
    try {
      return checked(operation, await mesh.call(node, PEER_METHODS.manage, asked, { signal, requestId, budgetMs }));
    } catch (error) {
      throw asClientSees(error);
    }
  }

  async watch(node: NodeId, watch: Watch, options: WatchOptions & { readonly requestId: RequestId }): Promise<never> {
    const { mesh, feed } = this.#components;
    if (node === mesh.self) return feed.watch(watch, options);
    this.#checkMember(node);
    const { signal, requestId, onOpen, onEvent, onMark } = options;
    const types = [...watch.types];
    const asked = { types, since: watch.seen ?? '' };
    let opened = false;
    const onItem = (item: WatchItem): void => {
      // A refusal is acknowledged too: only what it tells shows that it lets itself be watched.
      if (!opened) onOpen();
      opened = true;
      if ('mark' in item) {
        if (EVENT_ID.test(item.mark)) onMark(item.mark);
        return;
      }
      const event = readEvent(item.json);
      if (event !== undefined && (event.type === 'reset' || watch.types.has(event.type))) onEvent(event);
    };
    try {
      await mesh.call(node, PEER_METHODS.watch, asked, { signal, requestId, onItem });
    } catch (error) {
      throw asClientSees(error);
    }
    throw new WeftError({ code: 'peer_lost', message: 'The node tells no more.' });
  }

  /** @throws WeftError `not_found` */
  #checkMember(node: NodeId): void {
    if (this.#components.membership.isMember(node)) return;
    throw new WeftError({
      code: 'not_found',
      message: 'No member of the mesh has this id.',
      remedy: 'Run `weft members` to see the members and their ids.',
      facts: { param: 'node' },
    });
  }
}

/** Ids go into the header of an event of ours: nothing but an id may stand there. */
const EVENT_ID = /^[0-9a-z]{1,32}-\d{1,15}$/;

/** An event of a peer; undefined for what is none, or only later versions know. */
function readEvent(json: string): ControlEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(json);
  } catch {
    return undefined;
  }
  const { success, data } = ControlEvent.safeParse(event);
  return success && EVENT_ID.test(data.id) ? data : undefined;
}

/** What a peer says, as this version knows it: fields that it doesn't know are left out. @throws WeftError `frame_invalid` */
function checked(operation: ManagedOperation, { status, json }: ManageResponse): ManagedAnswer {
  const row: AnyManagedRow = MANAGED_OPERATIONS[operation];
  const schema = status === 202 && row.lasting === true ? AcceptedAnswer : row.answer;
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch (cause) {
    throw notAnAnswer(cause);
  }
  const result = schema.safeParse(body);
  if (!result.success) throw notAnAnswer(result.error);
  return { status, body: result.data };
}

const notAnAnswer = (cause: unknown): WeftError =>
  new WeftError(
    { code: 'frame_invalid', message: 'The node answered with something else than what was asked for.' },
    { cause },
  );

/** What a node refuses with, as it concerns a client of this one. */
function asClientSees(error: unknown): unknown {
  if (!(error instanceof WeftError)) return error;
  // No peer tells a client of this node that its key is wrong: it would be signed out.
  if (error.code === 'unauthorized') return notAnAnswer(error);
  // Of before there was this, or of before there was the operation.
  if (error.code !== 'method_unknown') return error;
  return new WeftError(
    {
      code: 'unsupported',
      message: 'The node is of a version that cannot do this for another one.',
      remedy: 'Update Weft on that node, or do it at the node itself.',
    },
    { cause: error },
  );
}
