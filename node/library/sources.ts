// Where the chunks of a model come from while it is fetched: the peers that hold it as they are now, and the hub.
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { Mesh } from '../core/mesh.ts';
import type { ChunkSource, Transfer } from '../core/transfer.ts';
import { PEER_SOURCES_MAX } from './limits.ts';
import { holdersOf } from './variants.ts';

export interface SourcesComponents {
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly transfer: Pick<Transfer, 'peer'>;
}

export class Sources {
  readonly #components: SourcesComponents;
  readonly #model: ModelRef | undefined;
  /** One for each, however often it is asked for: a download tells them apart by what they are. */
  readonly #peers = new Map<NodeId, ChunkSource>();
  #hub: ChunkSource | undefined;

  /** @param model whose peers are asked; undefined = none is */
  constructor(components: SourcesComponents, model: ModelRef | undefined) {
    this.#components = components;
    this.#model = model;
  }

  /** The hub has the same files: it takes part from now on. */
  addHub(source: ChunkSource): void {
    this.#hub = source;
  }

  /** As they are now. */
  readonly list = (): readonly ChunkSource[] => {
    const { mesh, transfer } = this.#components;
    const nodes = this.#model === undefined ? [] : holdersOf(this.#model, mesh.peers()).slice(0, PEER_SOURCES_MAX);
    const peers = nodes.map((node) => {
      const source = this.#peers.get(node) ?? transfer.peer(node);
      this.#peers.set(node, source);
      return source;
    });
    return this.#hub === undefined ? peers : [...peers, this.#hub];
  };
}
