// Puts the library together with its hub, its signers and the demand that it watches. Part of the composition root.
import { homedir } from 'node:os';
import { HubClient } from '../../models/hub/hub-client.ts';
import { hubSettings } from '../../models/hub/settings.ts';
import type { InstalledModel } from '../../models/installed.ts';
import type { ModelStore } from '../../models/store.ts';
import type { Settings } from '../config/settings.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Prep } from '../core/prep.ts';
import type { DeviceKey } from '../core/trust.ts';
import type { LibraryComponents } from '../library/components.ts';
import { ModelLibrary, type ModelLibraryComponents } from '../library/library.ts';
import { signMessage } from '../trust/ed25519.ts';
import { readSigners } from './signers.ts';

export interface NodeLibraryComponents
  extends Pick<
    LibraryComponents,
    'clock' | 'log' | 'events' | 'mesh' | 'membership' | 'transfer' | 'prep' | 'letGo' | 'offers' | 'machine'
  > {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly store: ModelStore;
  readonly live: { readonly settings: Settings; onChange(listener: (settings: Settings) => void): () => void };
  readonly offer: (model: InstalledModel) => void;
  readonly demand: NonNullable<ModelLibraryComponents['demand']>;
  /** Reads graphs for their parts, apart from what hashes whole models for minutes. */
  readonly graphs: Pick<Prep, 'partFiles'>;
}

export interface NodeLibrary {
  readonly library: ModelLibrary;
  /** Ends pulls under way, and every connection to the hub. */
  stop(): Promise<void>;
}

/** The library of a node: not yet watching demand, see {@link ModelLibrary.start}. */
export async function createLibrary(
  components: NodeLibraryComponents,
  init: { readonly key: DeviceKey; readonly environment: Readonly<Record<string, string | undefined>> },
): Promise<NodeLibrary> {
  const { clock, log, random, live } = components;
  const { key, environment } = init;
  const found = await hubSettings(environment, homedir());
  const connect = ({ hub, hubToken, offline }: Settings): HubClient =>
    new HubClient(
      { clock, log, random },
      { ...found, endpoint: hub, token: hubToken ?? found.token, offline: offline || found.offline, environment },
    );
  /** The last one is asked; pulls that began with the one before see it through. */
  const hubs = [connect(live.settings)];
  let { offline } = live.settings;
  let known = await readSigners({ log }, live.settings.signers);
  let reading = Promise.resolve();
  const unsubscribe = live.onChange((settings) => {
    reading = reading.then(async () => {
      known = await readSigners({ log }, settings.signers);
    });
    if (settings.offline === offline) return;
    offline = settings.offline;
    hubs.push(connect(settings));
    // Whoever still asks the one before the last has waited for long.
    for (const old of hubs.splice(0, hubs.length - 2)) void old.close();
  });
  const library = new ModelLibrary({
    ...components,
    hub: () => hubs.at(-1) as HubClient,
    sign: (bytes) => signMessage(key.seed, bytes),
    settings: () => {
      const { offline: never, bring, share } = live.settings;
      return { ...known, offline: never || found.offline, bring: bring === 'auto', share, hubCache: found.cacheFolder };
    },
  });
  return {
    library,
    stop: async () => {
      unsubscribe();
      await library.stop();
      await Promise.all(hubs.map((hub) => hub.close()));
    },
  };
}
