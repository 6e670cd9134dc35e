// Who may call which method of this node. The mesh asks it for every call, before any handler sees the request.
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Action, Policy } from '../core/policy.ts';
import type { Membership } from '../core/trust.ts';

export interface MemberPolicyComponents {
  readonly membership: Pick<Membership, 'isMember'>;
}

const ACCESS: ReadonlyMap<string, string> = new Map(
  Object.values(PEER_METHODS).map((method) => [method.name, method.access]),
);

/** Members may use the members' methods. Anyone may try to join: that is judged by the invitations. */
export class MemberPolicy implements Policy {
  readonly #membership: Pick<Membership, 'isMember'>;

  constructor(components: MemberPolicyComponents) {
    this.#membership = components.membership;
  }

  authorize(caller: NodeId, action: Action): void {
    const access = ACCESS.get(action.method);
    if (access === 'joiner') return;
    // Membership first: a stranger learns nothing of which methods there are.
    if (!this.#membership.isMember(caller)) {
      throw new WeftError({ code: 'not_a_member', message: 'This node serves the members of its mesh only.' });
    }
    if (access !== 'member') {
      throw new WeftError({ code: 'forbidden', message: `No peer may call "${action.method.slice(0, 64)}".` });
    }
  }
}
