// What the node's owner sees and may do: gathers it from the layers for the control API.
import type { Hardware } from '../../protocol/capability.ts';
import type { Clock } from '../core/clock.ts';
import type { NodeControl, NodeStatus, PeerStatus } from '../core/control.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { LoadedModel, LocalEngine } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Invitation, Invitations, Member, Membership } from '../core/trust.ts';

export interface ControlComponents {
  readonly clock: Clock;
  readonly membership: Membership;
  readonly invitations: Invitations;
  readonly mesh: Mesh;
  readonly engine: LocalEngine;
  readonly dispatcher: Dispatcher;
  /** Leaves this mesh of one for the ticket's mesh. */
  readonly join: (ticket: string) => Promise<void>;
}

export interface ControlInit {
  readonly version: string;
  readonly home: string;
  readonly offer: NodeStatus['offer'];
  readonly hardware: Hardware;
  /** The API's address, once it listens. */
  readonly api: () => string;
}

/** The {@link NodeControl} of an assembled node. */
export class AssembledControl implements NodeControl {
  readonly #components: ControlComponents;
  readonly #init: ControlInit;
  readonly #startedMs: number;

  constructor(components: ControlComponents, init: ControlInit) {
    this.#components = components;
    this.#init = init;
    this.#startedMs = components.clock.now();
  }

  status(): NodeStatus {
    const { clock, membership, mesh, dispatcher } = this.#components;
    const { version, home, offer, hardware, api } = this.#init;
    return {
      node: membership.self.node,
      name: membership.self.name,
      version,
      mesh: membership.meshId,
      role: membership.self.role,
      api: api(),
      addresses: mesh.addresses(),
      home,
      offer,
      members: membership.members().length,
      peersConnected: mesh.peers().filter(({ state }) => state === 'connected').length,
      requestsInFlight: dispatcher.inFlight(),
      uptimeSeconds: Math.round((clock.now() - this.#startedMs) / 1000),
      hardware,
    };
  }

  peers(): readonly PeerStatus[] {
    const { membership, mesh } = this.#components;
    return membership
      .members()
      .filter(({ node }) => node !== mesh.self)
      .map(({ node, name }) => {
        const record = mesh.peer(node);
        return {
          node,
          name: record?.advert.name ?? name,
          state: record?.state ?? 'gone',
          version: record?.advert.version ?? '',
          hardware: record?.advert.hardware,
          offers: record?.advert.offers ?? [],
          load: record?.load,
          link: record?.link,
          heardAgoMs: record?.heardAgoMs,
        };
      });
  }

  members(): readonly Member[] {
    return this.#components.membership.members();
  }

  loaded(): readonly LoadedModel[] {
    return this.#components.engine.loaded();
  }

  invite(init: { readonly ttlMs: number }): Promise<Invitation> {
    const { invitations, mesh } = this.#components;
    return invitations.create({ addresses: mesh.addresses(), ttlMs: init.ttlMs });
  }

  async join(ticket: string): Promise<{ readonly mesh: string; readonly members: readonly Member[] }> {
    await this.#components.join(ticket);
    return { mesh: this.#components.membership.meshId, members: this.members() };
  }
}
