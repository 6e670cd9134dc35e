// What the node's owner sees and may do: gathers it from the layers for the control API.

import type { InstalledModel } from '../../models/installed.ts';
import type { ModelStore } from '../../models/store.ts';
import { type Hardware, withheldBy } from '../../protocol/capability.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import { findModel } from '../coordinator/model-names.ts';
import type { Clock } from '../core/clock.ts';
import type {
  ConfigReport,
  DoctorReport,
  LoadOutcome,
  LogLine,
  ModelDetails,
  NodeControl,
  NodeStatus,
  PeerStatus,
  PlanExplanation,
  ReplayedRequest,
  Sharing,
} from '../core/control.ts';
import type { CutTables } from '../core/cut-tables.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { LoadedModel, LocalEngine } from '../core/engine.ts';
import type { Events } from '../core/events.ts';
import type { Library } from '../core/library.ts';
import type { Mesh } from '../core/mesh.ts';
import type { MeasurableEngine } from '../core/profile.ts';
import type { Pulses } from '../core/pulse.ts';
import type { TraceRecord, Traces } from '../core/trace.ts';
import type { Invitation, Invitations, Member, Membership, OpenInvitation } from '../core/trust.ts';
import { unmeetable } from '../scheduler/admission.ts';
import { explain } from '../scheduler/explain.ts';
import { installedNamed } from './installed-named.ts';
import { modelDetails } from './model-details.ts';
import { replayRequest } from './replay.ts';

export interface ControlComponents {
  readonly clock: Clock;
  readonly membership: Membership & {
    /** @throws WeftError `forbidden`, `not_found` or `quota_exceeded` */
    revoke(node: string, reason: string): Promise<void>;
  };
  readonly invitations: Invitations;
  readonly mesh: Mesh;
  readonly engine: LocalEngine & Pick<MeasurableEngine, 'profile'>;
  readonly dispatcher: Dispatcher;
  readonly cuts: Pick<CutTables, 'measure'>;
  readonly models: Pick<ModelStore, 'list' | 'find' | 'byDigest' | 'isBundled' | 'remove'>;
  readonly library: Library;
  readonly traces: Traces;
  readonly events: Events;
  readonly pulses: Pulses;
  readonly logs: { lines(filter: { readonly level?: LogLine['level']; readonly limit: number }): readonly LogLine[] };
  readonly settings: {
    report(): ConfigReport;
    /** @throws WeftError `config_invalid` */
    change(changes: Readonly<Record<string, unknown>>): Promise<ConfigReport>;
  };
  readonly sharing: { readonly paused: boolean; pause(paused: boolean): void };
  /** Whether anything is computed here for others. */
  readonly lends: () => boolean;
  readonly doctor: (signal: AbortSignal) => Promise<DoctorReport>;
  readonly keys: {
    /** @throws WeftError `config_invalid` when the key was set by flag or environment */
    replace(): Promise<string>;
  };
  /** Offers a model to requests, where the settings say so. */
  readonly offer: (model: InstalledModel) => void;
  /** Asks whoever runs the node to stop it. */
  readonly requestStop: () => void;
  /** And to start it anew. */
  readonly requestRestart: () => void;
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
    const { clock, membership, mesh, engine, dispatcher } = this.#components;
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
      load: engine.load(),
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
          withheld: record === undefined || record.state === 'gone' ? undefined : withheldBy(record.advert),
          manageable: membership.self.role === 'admin' && record?.advert.managed === 'admins',
        };
      });
  }

  members(): readonly Member[] {
    return this.#components.membership.members();
  }

  loaded(): readonly LoadedModel[] {
    return this.#components.engine.loaded();
  }

  get events(): Events {
    return this.#components.events;
  }

  get pulses(): Pulses {
    return this.#components.pulses;
  }

  get library(): Library {
    return this.#components.library;
  }

  model(name: string): ModelDetails {
    const { engine, models } = this.#components;
    const model = this.#installed(name);
    const offered = engine.offers().some((offer) => offer.model.digest === model.ref.digest);
    return modelDetails(model, {
      bundled: models.isBundled(model),
      offered,
      loaded: engine.loaded().find(({ digest }) => digest === model.ref.digest),
      profile: engine.profile(model.ref.digest),
    });
  }

  async load(name: string, options: { readonly pin: boolean; readonly signal: AbortSignal }): Promise<LoadOutcome> {
    const { engine } = this.#components;
    const { id, digest } = this.#installed(name).ref;
    const find = (): LoadedModel | undefined => engine.loaded().find((model) => model.digest === digest);
    const wasLoaded = find()?.state === 'loaded';
    await engine.ensureLoaded(digest, options);
    const { pinned = false, provider = '', residentBytes = 0 } = find() ?? {};
    return { id, wasLoaded, pinned, provider, residentBytes };
  }

  async unload(name: string): Promise<{ readonly id: string; readonly wasLoaded: boolean }> {
    const { id, digest } = this.#installed(name).ref;
    return { id, wasLoaded: await this.#components.engine.unload(digest) };
  }

  async remove(name: string): Promise<{ readonly id: string; readonly freedBytes: number }> {
    const { engine, models, offer } = this.#components;
    const model = this.#installed(name);
    const { id, digest } = model.ref;
    // A bundled one is refused by the store, and goes on being offered.
    if (!models.isBundled(model)) await engine.withdraw(digest);
    try {
      const freedBytes = await models.remove(digest);
      this.events.publish('model', { id, state: 'removed' });
      return { id, freedBytes };
    } catch (error) {
      // So does one whose folder can't be deleted.
      if (!models.isBundled(model) && models.byDigest(digest) !== undefined) offer(model);
      throw error;
    }
  }

  requests(): readonly TraceRecord[] {
    return this.#components.traces.list();
  }

  request(id: RequestId): TraceRecord | undefined {
    return this.#components.traces.get(id);
  }

  explain(plan: WholePlan, leftMs: number | undefined): PlanExplanation {
    return {
      lines: explain(plan, (node) => this.#nameOf(node)),
      unmeetable: leftMs === undefined ? undefined : unmeetable(plan, leftMs),
    };
  }

  cuts(name: string, options: { readonly again: boolean; readonly signal: AbortSignal }): Promise<CutTable> {
    const { cuts, models, dispatcher, mesh } = this.#components;
    const here = installedNamed(models, name)?.ref;
    return cuts.measure(here ?? findModel(dispatcher.models(), name, undefined, mesh.self).offer.model, options);
  }

  replay(id: RequestId, policy: string | undefined): ReplayedRequest {
    const { traces } = this.#components;
    return replayRequest({ traces, nameOf: (node) => this.#nameOf(node) }, id, policy);
  }

  logs(filter: { readonly level?: LogLine['level']; readonly limit: number }): readonly LogLine[] {
    return this.#components.logs.lines(filter);
  }

  config(): ConfigReport {
    return this.#components.settings.report();
  }

  configure(changes: Readonly<Record<string, unknown>>): Promise<ConfigReport> {
    return this.#components.settings.change(changes);
  }

  sharing(): Sharing {
    const { sharing, lends } = this.#components;
    return { paused: sharing.paused, lends: lends() };
  }

  setSharing({ paused }: Pick<Sharing, 'paused'>): Sharing {
    this.#components.sharing.pause(paused);
    return this.sharing();
  }

  doctor(signal: AbortSignal): Promise<DoctorReport> {
    return this.#components.doctor(signal);
  }

  async newKey(): Promise<{ readonly key: string }> {
    return { key: await this.#components.keys.replace() };
  }

  stop(): void {
    this.#components.requestStop();
  }

  restart(): void {
    this.#components.requestRestart();
  }

  async revoke(member: string, reason: string): Promise<Member> {
    const { membership } = this.#components;
    const found = memberNamed(membership.members(), member);
    await membership.revoke(found.node, reason);
    return found;
  }

  #nameOf(node: NodeId): string {
    const { membership } = this.#components;
    return membership.members().find((member) => member.node === node)?.name ?? node;
  }

  #installed(name: string): InstalledModel {
    const model = installedNamed(this.#components.models, name);
    if (model !== undefined) return model;
    throw new WeftError({
      code: 'model_not_found',
      message: `The model "${name}" is not installed on this node.`,
      facts: { param: 'model' },
    });
  }

  invite(init: { readonly ttlMs: number }): Promise<Invitation> {
    const { invitations, mesh } = this.#components;
    return invitations.create({ addresses: mesh.addresses(), ttlMs: init.ttlMs });
  }

  invitations(): readonly OpenInvitation[] {
    return this.#components.invitations.open();
  }

  cancelInvitation(id: string): Promise<void> {
    return this.#components.invitations.cancel(id);
  }

  async join(ticket: string): Promise<{ readonly mesh: string; readonly members: readonly Member[] }> {
    await this.#components.join(ticket);
    return { mesh: this.#components.membership.meshId, members: this.members() };
  }
}

/** By node id, or by name where one member alone has it; the case of a name doesn't matter. */
function memberNamed(members: readonly Member[], wanted: string): Member {
  const byId = members.find(({ node }) => node === wanted);
  if (byId !== undefined) return byId;
  const [first, ...others] = members.filter(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  if (first !== undefined && others.length === 0) return first;
  throw first === undefined
    ? new WeftError({
        code: 'not_found',
        message: `No member is called "${wanted}".`,
        remedy: 'Run `weft members` to see the members.',
        facts: { param: 'member' },
      })
    : new WeftError({
        code: 'bad_request',
        message: `${others.length + 1} members are called "${wanted}".`,
        remedy: 'Name the one that is meant by its node id: `weft members` shows it.',
        facts: { param: 'member' },
      });
}
