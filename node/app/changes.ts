// Tells watchers what changes: members that come, go and publish something new, models that are loaded and unloaded.
// The layers say only that something has changed; what it was is found by comparing.
import type { ModelChange, NodeChange, SettingsChange } from '../../protocol/api/control.ts';
import { withheldBy } from '../../protocol/capability.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Events } from '../core/events.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Membership } from '../core/trust.ts';

export interface ChangesComponents {
  readonly events: Pick<Events, 'publish'>;
  readonly membership: Pick<Membership, 'members' | 'onChange'>;
  readonly mesh: Pick<Mesh, 'self' | 'peer' | 'onPeers'>;
  readonly engine: Pick<LocalEngine, 'loaded' | 'onChange' | 'onLoading'>;
  /** Calls back when a setting has changed. */
  readonly settings: { onChange(listener: () => void): () => void };
  /** And when what is done for others has. */
  readonly sharing: { onChange(listener: () => void): () => void };
  readonly lends: () => boolean;
}

/** Publishes `node`, `model` and `settings` events from now on. Returns what ends it. */
export function publishChanges(components: ChangesComponents): () => void {
  const { events, membership, mesh, engine, settings, sharing, lends } = components;
  const nodes = new Differences<NodeChange>({
    key: ({ node }) => node,
    publish: (change) => events.publish('node', change),
    gone: (last) => ({ ...last, state: 'removed', models: [] }),
  });
  const models = new Differences<ModelChange>({
    key: ({ id }) => id,
    publish: (change) => events.publish('model', change),
    gone: ({ id }) => ({ id, state: 'unloaded' }),
  });
  const lookAtNodes = (): void => nodes.compare(nodesOf(membership, mesh));
  const lookAtModels = (): void => models.compare(modelsOf(engine));
  const tellSettings = (): void => events.publish('settings', { lends: lends() } satisfies SettingsChange);
  const ends = [
    settings.onChange(tellSettings),
    sharing.onChange(tellSettings),
    mesh.onPeers(lookAtNodes),
    membership.onChange(lookAtNodes),
    engine.onChange(lookAtModels),
    engine.onLoading(({ id, phase, fraction }) => {
      const change: ModelChange = { id, state: 'loading', phase, ...(fraction === undefined ? {} : { fraction }) };
      events.publish('model', change);
    }),
  ];
  lookAtNodes();
  lookAtModels();
  return () => {
    for (const end of ends) end();
  };
}

/** Every member but this node. Loads and links are left out: they change with every heartbeat. */
function nodesOf(membership: ChangesComponents['membership'], mesh: ChangesComponents['mesh']): readonly NodeChange[] {
  return membership
    .members()
    .filter(({ node }) => node !== mesh.self)
    .map(({ node, name, role }) => {
      const record = mesh.peer(node);
      const models = (record?.advert.offers ?? []).map(({ model, state }) => ({ id: model.id, state }));
      const state = record?.state ?? 'gone';
      const { version, managed } = record?.advert ?? {};
      // As in the list of peers: what one said before it went says nothing of how it comes back.
      const withheld = record === undefined || state === 'gone' ? undefined : withheldBy(record.advert);
      return {
        node,
        name: record?.advert.name ?? name,
        state,
        role,
        ...(version === undefined ? {} : { version }),
        ...(managed === undefined ? {} : { managed }),
        ...(withheld === undefined ? {} : { withheld }),
        models,
      };
    });
}

function modelsOf(engine: ChangesComponents['engine']): readonly ModelChange[] {
  return engine.loaded().map(({ id, state, reason, pinned }) => ({
    id,
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(pinned && { pinned }),
  }));
}

interface DifferencesInit<Thing> {
  readonly key: (thing: Thing) => string;
  readonly publish: (thing: Thing) => void;
  /** What to say of one that isn't there any more. */
  readonly gone: (last: Thing) => Thing;
}

/** What was said of each thing last; says more only of what is new, different or gone. */
class Differences<Thing> {
  readonly #init: DifferencesInit<Thing>;
  #last = new Map<string, { readonly thing: Thing; readonly text: string }>();

  constructor(init: DifferencesInit<Thing>) {
    this.#init = init;
  }

  compare(things: readonly Thing[]): void {
    const before = this.#last;
    this.#last = new Map(things.map((thing) => [this.#init.key(thing), { thing, text: JSON.stringify(thing) }]));
    for (const [key, { thing, text }] of this.#last) {
      if (before.get(key)?.text !== text) this.#init.publish(thing);
    }
    for (const [key, { thing }] of before) {
      if (!this.#last.has(key)) this.#init.publish(this.#init.gone(thing));
    }
  }
}
