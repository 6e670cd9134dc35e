// Puts together what makes a model's copies follow demand: who sees the demand, who holds claims, and who acts. Part of the
// composition root.
import type { Advert } from '../../protocol/capability.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import { replicaBounds } from '../config/replicas.ts';
import type { Settings } from '../config/settings.ts';
import type { Clock } from '../core/clock.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Mesh } from '../core/mesh.ts';
import { ClaimBook, type ClaimBookInit } from './claim-book.ts';
import { ModelDemand } from './model-demand.ts';
import { Replicas } from './replicas.ts';

export interface CopiesComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly engine: Pick<LocalEngine, 'node' | 'offers' | 'load' | 'loaded' | 'ensureLoaded' | 'unload'>;
  /** Asked once everything is put together: its advert needs what is made here. */
  readonly mesh: () => Pick<Mesh, 'peers' | 'onPeers' | 'announce'>;
  readonly settings: () => Pick<Settings, 'replicas' | 'keepAliveMs'>;
  readonly keep: (digests: readonly string[]) => void;
  readonly pull: (model: ModelRef, signal: AbortSignal) => Promise<unknown>;
  /** Whether this node computes for others. */
  readonly lends: () => boolean;
}

export interface Copies {
  /** Counts the answers of the engines that it is given. */
  readonly demand: ModelDemand;
  readonly replicas: Replicas;
  /** For this node's advert. */
  said(): Pick<Advert, 'intents' | 'demand'>;
}

/** Not watching yet: see {@link Replicas.start}. */
export function createCopies(
  { engine, mesh, settings, ...components }: CopiesComponents,
  init: ClaimBookInit = {},
): Copies {
  const shared = {
    ...components,
    engine,
    mesh: {
      self: engine.node,
      peers: () => mesh().peers(),
      onPeers: (listener: () => void) => mesh().onPeers(listener),
      announce: () => mesh().announce(),
    },
  };
  const demand = new ModelDemand(shared);
  const claims = new ClaimBook(shared, init);
  const replicas = new Replicas({
    ...shared,
    demand,
    claims,
    bounds: ({ id, aliases }) => replicaBounds(settings().replicas, [id, ...aliases]),
    keepAliveMs: () => settings().keepAliveMs,
  });
  return { demand, replicas, said: () => ({ intents: claims.intents(), demand: demand.told() }) };
}
