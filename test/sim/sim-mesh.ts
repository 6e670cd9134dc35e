// What an entry node knows of the others, and its calls to them: the Mesh port over simulated wires.
import { toAbortError } from '../../node/core/calls.ts';
import type { Mesh, PeerCallOptions, PeerRecord } from '../../node/core/mesh.ts';
import { LIVENESS } from '../../node/mesh/limits.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import { type MethodSpec, PEER_METHODS } from '../../protocol/methods.ts';
import { Call, failure } from './sim-call.ts';
import { Delayed, SimLink, type SimMeshComponents } from './sim-link.ts';
import { Wire } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import type { Reach } from './sim-oracle.ts';

export class SimMesh implements Pick<Mesh, 'self' | 'peers' | 'peer' | 'call'> {
  readonly self: NodeId;
  readonly components: SimMeshComponents;
  readonly #links = new Map<NodeId, SimLink>();
  readonly #reaches: Reach[];
  #peers: readonly PeerRecord[] | undefined;

  constructor(components: SimMeshComponents) {
    this.components = components;
    this.self = components.node.id;
    this.#reaches = [{ node: components.node, wire: undefined, isConnected: true }];
  }

  /** The node itself first, then all that it has met. */
  reaches(): readonly Reach[] {
    return this.#reaches;
  }

  peers(): readonly PeerRecord[] {
    if (this.#peers === undefined) {
      const known: PeerRecord[] = [];
      for (const { record } of this.#links.values()) if (record !== undefined) known.push(record);
      this.#peers = known;
    }
    return this.#peers;
  }

  peer(node: NodeId): PeerRecord | undefined {
    return this.#links.get(node)?.record;
  }

  linkTo(node: NodeId): SimLink | undefined {
    return this.#links.get(node);
  }

  /** The list is another one now. */
  changed(): void {
    this.#peers = undefined;
  }

  /** Learns of a node. @param atOnce everything that can be known of it is known already */
  meet(node: SimNode, atOnce: boolean): void {
    const { clock, draws, node: self } = this.components;
    const wire = new Wire(clock, { near: self.line, far: node.line, rttMs: draws.within(...node.spec.rttMs) });
    const link = new SimLink(this, node, wire);
    this.#links.set(node.id, link);
    this.#reaches.push(link);
    if (atOnce) link.connect();
    else clock.schedule(new Delayed(() => link.connect()), clock.now() + wire.rttMs / 2 + LIVENESS.announceMs);
  }

  call<Request, Item, Response>(
    peer: NodeId,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: PeerCallOptions<Item>,
  ): Promise<Response> {
    if (method.id !== PEER_METHODS.encode.id) throw new TypeError(`Nothing here answers "${method.name}".`);
    const calling = this.#encode(peer, request as EncodeRequest, options as PeerCallOptions<never>);
    return calling as Promise<never>;
  }

  #encode(peer: NodeId, request: EncodeRequest, options: PeerCallOptions<never>): Promise<Omit<EncodeResult, 'node'>> {
    const connection = this.#links.get(peer)?.connection;
    if (options.signal.aborted) return Promise.reject(toAbortError(options.signal));
    if (connection === undefined) return Promise.reject(failure('peer_unreachable', peer));
    if (connection.calls.size >= PEER_METHODS.encode.quota.callsPerPeer) {
      return Promise.reject(failure('quota_exceeded', peer));
    }
    return new Promise((resolve, reject) => {
      new Call(connection, request, options, resolve, reject).send();
    });
  }
}
