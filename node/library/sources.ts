// Where the chunks of a model come from while it is fetched: the peers that hold it as they are now, and the hub.
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { Mesh } from '../core/mesh.ts';
import type { ChunkSource, Transfer } from '../core/transfer.ts';
import { PEER_SOURCES_MAX } from './limits.ts';
import { holdersOf } from './variants.ts';

/** Connected peers that may have files of a model, those that somebody named first. */
export function holdersFor(
  model: ModelRef,
  mesh: Pick<Mesh, 'peers'>,
  named: readonly NodeId[] = [],
): readonly NodeId[] {
  const peers = mesh.peers();
  const connected = new Set(peers.flatMap(({ advert, state }) => (state === 'gone' ? [] : [advert.node])));
  const first = named.filter((node) => connected.has(node));
  return [...new Set([...first, ...holdersOf(model, peers)])].slice(0, PEER_SOURCES_MAX);
}

export interface SourcesComponents {
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly transfer: Pick<Transfer, 'peer'>;
}

export class Sources {
  readonly #components: SourcesComponents;
  readonly #model: ModelRef | undefined;
  readonly #named: readonly NodeId[];
  /** One for each, however often it is asked for: a download tells them apart by what they are. */
  readonly #peers = new Map<NodeId, ChunkSource>();
  #hub: ChunkSource | undefined;

  /**
   * @param model whose peers are asked; undefined = none is
   * @param named peers that may have it, whatever they say of themselves
   */
  constructor(components: SourcesComponents, model: ModelRef | undefined, named: readonly NodeId[] = []) {
    this.#components = components;
    this.#model = model;
    this.#named = named;
  }

  /** The hub has the same files: it takes part from now on. */
  addHub(source: ChunkSource): void {
    this.#hub = source;
  }

  /** As they are now. */
  readonly list = (): readonly ChunkSource[] => {
    const { mesh, transfer } = this.#components;
    const nodes = this.#model === undefined ? [] : holdersFor(this.#model, mesh, this.#named);
    const peers = nodes.map((node) => {
      const source = this.#peers.get(node) ?? transfer.peer(node);
      this.#peers.set(node, source);
      return source;
    });
    return this.#hub === undefined ? peers : [...peers, this.#hub];
  };
}
