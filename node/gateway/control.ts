// The control API under /api/v1: what the command line and the desktop ask of the node beside them.
import {
  INVITATION_SECONDS,
  type InvitationAnswer,
  InvitationRequest,
  JoinRequest,
} from '../../protocol/api/control.ts';
import type { NodeControl } from '../core/control.ts';
import type { Coordinator } from '../core/coordinator.ts';
import type { Endpoint } from './exchange.ts';

export interface ControlComponents {
  readonly control: NodeControl;
  readonly coordinator: Coordinator;
}

/** The endpoints. */
export function control({ control, coordinator }: ControlComponents): readonly Endpoint[] {
  return [
    { method: 'GET', url: '/api/v1/status', handle: () => control.status() },
    { method: 'GET', url: '/api/v1/peers', handle: () => ({ peers: control.peers() }) },
    { method: 'GET', url: '/api/v1/members', handle: () => ({ members: control.members() }) },
    { method: 'GET', url: '/api/v1/models', handle: () => ({ models: coordinator.models() }) },
    { method: 'GET', url: '/api/v1/ps', handle: () => ({ models: control.loaded() }) },
    {
      method: 'POST',
      url: '/api/v1/invitations',
      async handle(exchange): Promise<InvitationAnswer> {
        const { ttl_seconds: seconds = INVITATION_SECONDS.usual } = await exchange.readJson(InvitationRequest);
        return control.invite({ ttlMs: seconds * 1_000 });
      },
    },
    {
      method: 'POST',
      url: '/api/v1/join',
      async handle(exchange) {
        const { ticket } = await exchange.readJson(JoinRequest);
        return control.join(ticket);
      },
    },
  ];
}
