// Composition root: how a node is put together. Start reading here. Every layer gets the others by their ports in
// node/core; nothing outside this folder knows another layer's classes.
import { mkdir } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import type { InstalledModel } from '../../models/installed.ts';
import { ModelStore } from '../../models/store.ts';
import { type ModelOffer, withheldBy } from '../../protocol/capability.ts';
import type { WeftError } from '../../protocol/errors.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import { CurrentApiKey, loadApiKey } from '../config/api-key.ts';
import { writeDaemonRecord } from '../config/daemon-record.ts';
import type { Home } from '../config/home.ts';
import { acquireLock, type HomeLock } from '../config/home-lock.ts';
import type { Settings, SettingsInit } from '../config/settings.ts';
import { TextCoordinator } from '../coordinator/text-coordinator.ts';
import { systemClock as clock } from '../core/clock.ts';
import type { NodeControl } from '../core/control.ts';
import type { Coordinator } from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { LocalEngine } from '../core/engine.ts';
import { EventFeed } from '../core/event-feed.ts';
import type { Log } from '../core/log.ts';
import type { Mesh } from '../core/mesh.ts';
import type { SignInLink } from '../core/sessions.ts';
import { MeshDispatcher } from '../dispatch/mesh-dispatcher.ts';
import { CutStore } from '../engine/cutting/cut-store.ts';
import { DeviceBook } from '../engine/devices/book.ts';
import { measurementsOf } from '../engine/devices/measurements.ts';
import { processor } from '../engine/devices/merge.ts';
import { deviceSources } from '../engine/devices/sources.ts';
import { threadsInAll } from '../engine/devices/threads.ts';
import { ProfileStore } from '../engine/profile-store.ts';
import { Profiler } from '../engine/profiler.ts';
import { SupervisedEngine } from '../engine/supervised-engine.ts';
import { Gateway } from '../gateway/gateway.ts';
import { newId } from '../gateway/ids.ts';
import { SIGN_IN_LIMITS } from '../gateway/limits.ts';
import { Sessions } from '../gateway/sessions.ts';
import { KeptConversations } from '../memory/conversations/conversations.ts';
import { SessionMemory } from '../memory/sessions.ts';
import { Libp2pMesh } from '../mesh/mesh.ts';
import { PeerManagement } from '../mesh/peer-management.ts';
import { NOTHING_KNOWN } from '../mesh/reach.ts';
import { RemoteEngine } from '../mesh/remote-engine.ts';
import { serveCuts } from '../mesh/serve-cuts.ts';
import { serveEngine } from '../mesh/serve-engine.ts';
import { serveFiles } from '../mesh/serve-files.ts';
import { createManageGuards, serveManage } from '../mesh/serve-manage.ts';
import { serveWatch } from '../mesh/serve-watch.ts';
import { Governor } from '../mesh/transfer/governor.ts';
import { PeerTransfer } from '../mesh/transfer/peer-transfer.ts';
import { PrepProcess } from '../prep/prep-process.ts';
import { quoteOf } from '../scheduler/quote.ts';
import { loadDeviceKey } from '../trust/device-key.ts';
import { InvitationBook } from '../trust/invitations.ts';
import { MemberList } from '../trust/member-list.ts';
import { MemberPolicy } from '../trust/policy.ts';
import { AddressBook } from './address-book.ts';
import { onBattery } from './battery.ts';
import { publishChanges } from './changes.ts';
import { AssembledControl } from './control.ts';
import { createCopies } from './copies.ts';
import { EngineCutTables } from './cut-tables.ts';
import { watchDemand } from './demand.ts';
import { createDoctor } from './doctor/doctor.ts';
import { registerGauges } from './gauges.ts';
import { detectHardware } from './hardware.ts';
import { joinByTicket } from './join.ts';
import { createLibrary, type NodeLibrary } from './library.ts';
import { lostPort, PORT_RACES_MAX, planListening } from './listen.ts';
import { ManageableNode } from './manage.ts';
import { modelFiles } from './model-files.ts';
import { observing } from './observing.ts';
import { packagePaths } from './paths.ts';
import { PeerCutTables } from './peer-cut-tables.ts';
import { PulseMonitor } from './pulse.ts';
import { systemRandom as random } from './random.ts';
import { RawLocalDispatcher } from './raw-local.ts';
import { LiveSettings } from './settings.ts';
import { mayTakePart, partsTaken } from './taking-parts.ts';
import { Teardown } from './teardown.ts';
import { Yielding } from './yielding.ts';

export interface NodeInit {
  readonly settings: Settings;
  /** What the settings were made from: changes of the file are seen while the node runs. */
  readonly settingsInit: SettingsInit;
  /** Held by the caller, who closes it after the node has stopped. */
  readonly home: Home;
  /** Prints every line that it is given; which ones those are, the node decides by its settings. */
  readonly log: Log;
  readonly version: string;
  /** Join this ticket's mesh before anything is started. */
  readonly joinTicket?: string | undefined;
  /** The node's owner asks it to stop, by `weft stop` or the desktop: whoever started the node does so. */
  readonly requestStop: () => void;
  /** And to start it anew. */
  readonly requestRestart: () => void;
}

/** A node that serves. */
export interface RunningNode {
  /** Address of the API, such as `http://127.0.0.1:9338`. */
  readonly url: string;
  /** The file that holds the API key; undefined when it was set by flag or environment. */
  readonly apiKeyFile: string | undefined;
  readonly node: string;
  readonly name: string;
  /** What the person who started it should know, such as a port that moved. */
  readonly notices: readonly string[];
  /** A link that signs one browser in to the node's pages, once. */
  signInLink(): SignInLink;
  readonly control: NodeControl;
  readonly coordinator: Coordinator;
  readonly dispatcher: Dispatcher;
  readonly engine: LocalEngine;
  readonly mesh: Mesh;
  /** Ends everything that was started; never rejects. */
  stop(): Promise<void>;
}

/**
 * Starts a node. It answers its API as soon as this resolves; models load on demand and peers are found meanwhile.
 * @throws WeftError `port_in_use`, `config_invalid`, or what joining failed with; nothing is left running then
 */
export async function startNode(init: NodeInit): Promise<RunningNode> {
  for (let again = 0; ; again += 1) {
    const teardown = new Teardown(init.log);
    try {
      // A ticket is good for once.
      return await assemble(again === 0 ? init : { ...init, joinTicket: undefined }, teardown);
    } catch (error) {
      await teardown.run();
      if (again === PORT_RACES_MAX || !lostPort(error, init.settings)) throw error;
      init.log.debug(
        { error: String(error) },
        'another program was sooner at a port: begun anew with the next free one',
      );
    }
  }
}

async function assemble(init: NodeInit, teardown: Teardown): Promise<RunningNode> {
  const { settings, home, version } = init;
  const { store, folder } = home;
  const paths = packagePaths();
  const listening = await planListening(settings);
  teardown.add('ports', async () => {
    await Promise.all([listening.release.api(), listening.release.swarm()]);
  });

  // Who this is, whom it trusts, and what it sees of itself.
  const apiKeyInit = { folder, asked: settings.apiKey };
  const apiKey = await loadApiKey(apiKeyInit);
  const keys = new CurrentApiKey(apiKeyInit, apiKey);
  const key = await loadDeviceKey(store, random);
  const { telemetry, events, logs, traces } = await observing(
    { clock, random, printed: init.log, teardown },
    { settings, node: key.node, version },
  );
  const { log } = logs;
  const live = new LiveSettings({ clock, log }, { ...init.settingsInit, settings });
  live.onChange(({ logLevel }) => logs.setLevel(logLevel));
  const members = await MemberList.open({ store, clock, log }, { key, name: settings.name });
  const addresses = await AddressBook.open(store);
  if (init.joinTicket !== undefined) await joinByTicket({ log, members, addresses }, { key, ticket: init.joinTicket });
  const invitations = await InvitationBook.open({ store, clock, members, key });
  const policy = new MemberPolicy({ membership: members });

  // What it can do by itself.
  const profiles = await ProfileStore.open({ log }, { folder: home.path('profiles') });
  const hardware = detectHardware(() => devices.list());
  const machine = `${hardware.cpuModel}, ${settings.threads} threads`;
  const devices: DeviceBook = new DeviceBook(
    {
      clock,
      log,
      store,
      sources: deviceSources({
        nodePath: process.execPath,
        entry: paths.runnerEntry,
        env: process.env,
        threads: settings.threads,
      }),
      measured: (digest) => measurementsOf((device) => profiles.find({ digest, device, machine, version })),
    },
    {
      setting: settings.device,
      memoryBytesMax: settings.memoryBytes,
      processor: processor({ name: hardware.cpuModel, memoryBytes: hardware.memoryBytes }),
    },
  );
  const askedThreads = settings.sources.threads === 'default' ? undefined : settings.threads;
  const modelsLock = await lockFolder(settings.models);
  teardown.add('models folder', () => modelsLock?.release());
  const models = new ModelStore(
    { log },
    {
      roots: [settings.models, paths.bundledModels],
      bundledRoot: paths.bundledModels,
      cacheFolder: home.path('cache', 'models'),
      quotaBytes: () => live.settings.storageBytes,
      readOnly: modelsLock === undefined,
    },
  );
  teardown.add('models', () => models.close());
  await models.open();
  const shared = modelsLock === undefined ? [sharedLine(settings.models)] : [];
  const notices = [
    ...listening.notices,
    ...shared,
    ...models.problems().map(({ id, error }) => problemLine(id, error)),
  ];
  const cutStore = await CutStore.open({ log }, { folder: home.path('cuts') });
  const engine = new SupervisedEngine(
    {
      clock,
      log,
      telemetry,
      devices,
      cutStore,
      partFiles: { prepare: (model, part, options) => library.partFiles.prepare(model, part, options) },
    },
    {
      node: key.node,
      models: offered(models.list(), settings.offer),
      threads: () =>
        threadsInAll({ asked: askedThreads, available: availableParallelism(), physical: devices.physicalCores }),
      memoryBytesMax: settings.memoryBytes,
      keepAliveMs: () => live.settings.keepAliveMs,
      queueMsMax: () => live.settings.maxQueueMs,
      generationsMax: settings.numParallel,
      exact: settings.exact,
      runnerEntry: paths.runnerEntry,
      nodePath: process.execPath,
      pidFolder: home.path('runners'),
      liveness: { timeoutMs: settings.runnerTimeoutMs },
      cuts: { machine, version, scratchFolder: home.path('cutting') },
    },
  );
  const profiler = new Profiler(
    { clock, log, engine, store: profiles },
    {
      models: offered(models.list(), settings.offer),
      version,
      machine,
      measures: settings.measure,
    },
  );
  const prep = new PrepProcess({ clock, log }, { entry: paths.prepEntry, nodePath: process.execPath });
  const hearing = new PrepProcess({ clock, log }, { entry: paths.prepEntry, nodePath: process.execPath });
  const inspector = new PrepProcess({ clock, log }, { entry: paths.prepEntry, nodePath: process.execPath });
  const graphs = new PrepProcess({ clock, log }, { entry: paths.prepEntry, nodePath: process.execPath });

  let kept: readonly string[] = [];
  const pin = (names: readonly string[]): void =>
    engine.keepLoaded([...names.flatMap((name) => models.find(name)?.ref.digest ?? []), ...kept]);
  const { demand, replicas, said } = createCopies({
    clock,
    log,
    engine,
    mesh: () => mesh,
    settings: () => live.settings,
    keep: (digests) => {
      kept = digests;
      pin(live.settings.pin);
    },
    pull: (model, signal) => library.bring(model, { signal }),
    lends: () => lends(),
  });

  const yielding = new Yielding(
    { clock, log, onBattery, busy: () => engine.load().requestsInFlight > 0 },
    {
      heeds: () => live.settings.preferOthers,
      cores: cpus().length,
    },
  );
  /** Whether anything is computed here for others. */
  const lends = (): boolean => live.settings.lend && !yielding.paused;

  // What it can do with others.
  const incarnation = clock.wallNow();
  const mesh: Libp2pMesh = new Libp2pMesh(
    {
      clock,
      log,
      telemetry,
      membership: members,
      invitations,
      policy,
      load: () => engine.load(),
      advert: () => ({
        node: key.node,
        name: settings.name,
        version,
        incarnation,
        hardware,
        offers: lends() ? engine.offers() : [],
        held: yielding.paused ? [] : library.held(),
        ...said(),
        yields: live.settings.lend ? yielding.told() : [...yielding.told(), 'unlent' as const],
        managed: live.settings.managed,
        ...(lends() ? partsTaken(settings.offer, live.settings.bring) : { parts: 'none' as const }),
      }),
    },
    {
      key,
      listen: listening.swarm,
      announce: settings.announce,
      mdns: settings.mdns,
      bootstrap: () => addresses.list(),
      liveness: { timeoutMs: settings.livenessTimeoutMs },
    },
  );
  const offerOf = (digest: string): ModelOffer | undefined =>
    engine.offers().find(({ model }) => model.digest === digest);
  serveEngine({
    mesh,
    engine: demand.watch(engine, 'computed'),
    policy,
    traces,
    quote: (ref, size, priority, part) => {
      const offer = part === undefined ? offerOf(ref.digest) : engine.partOffer(ref, part);
      return offer && quoteOf(size, offer, engine.load({ digest: offer.model.digest, priority }));
    },
    takesParts: (ref) => mayTakePart(ref, settings.offer, engine.offers()),
    shares: lends,
  });
  const governor = new Governor({ clock }, { busy: () => engine.load().requestsInFlight > 0 });
  const transfer = new PeerTransfer({ mesh, clock, log, governor });
  /** A peer's wall clock, which it tells with every heartbeat. */
  const wallOf = async (node: string, signal: AbortSignal): Promise<number | undefined> => {
    const { wallMs } = await mesh.call(node, PEER_METHODS.probe, NOTHING_KNOWN, { signal, requestId: '' });
    return wallMs === 0n ? undefined : Number(wallMs);
  };

  // A request's way.
  const cuts = new EngineCutTables(
    { log, engine, peers: new PeerCutTables({ log, mesh }) },
    { measures: () => settings.measure },
  );
  serveCuts({ mesh, policy, cuts, isHere: (digest) => offerOf(digest) !== undefined, shares: lends });
  const placing = new MeshDispatcher({
    clock,
    random,
    log,
    telemetry,
    mesh,
    local: {
      ...demand.watch(engine, 'placed', 'computed'),
      offers: () => engine.offers(),
      load: (work) => engine.load(work),
    },
    remote: (node) => demand.watch(new RemoteEngine({ mesh }, { node }), 'placed'),
    yields: () => yielding.reasons(),
    memory: new SessionMemory(),
    cuts,
  });
  const dispatcher = new RawLocalDispatcher({ dispatcher: placing, names: () => live.settings.rawLocal });
  const runsIt = (model: InstalledModel): boolean => offered([model], settings.offer).length > 0;
  const offer = (model: InstalledModel): void => {
    if (runsIt(model)) {
      engine.offer(model);
      profiler.add(model);
      pin(live.settings.pin);
    }
    mesh.announce();
  };
  const { library, stop: stopLibrary }: NodeLibrary = await createLibrary(
    {
      clock,
      log,
      random,
      events,
      mesh,
      membership: members,
      transfer,
      prep: inspector,
      graphs,
      store: models,
      live,
      offer,
      letGo: async (digest) => {
        await engine.withdraw(digest);
        // Parts of a model that isn't here whole.
        await engine.unload(digest);
      },
      offers: () => engine.offers(),
      machine: () => ({ devices: devices.list(), memoryBytes: settings.memoryBytes, arch: process.arch }),
      demand: {
        ...watchDemand({ clock, dispatcher: placing, engine, mesh, store: models }),
        lease: (digest, signal) => replicas.lease(digest, signal),
      },
    },
    { key, environment: process.env },
  );
  serveFiles({
    mesh,
    files: modelFiles(
      { store: models, library, isOffered: (digest) => offerOf(digest) !== undefined },
      () => live.settings.share && !yielding.paused,
    ),
    governor,
  });
  const nameOf = (node: string): string => (node === key.node ? settings.name : (mesh.peer(node)?.advert.name ?? node));
  const coordinator = new TextCoordinator({
    clock,
    random,
    log,
    telemetry,
    dispatcher,
    prep,
    hearing,
    transfer,
    models,
    nodeName: nameOf,
    self: key.node,
    withholding: () =>
      mesh.peers().filter(({ advert, state }) => state !== 'gone' && withheldBy(advert) !== undefined).length,
  });
  const conversations = new KeptConversations(
    { clock, log, coordinator, traces, events, nameOf, newId: (prefix) => newId(random, prefix) },
    { path: home.path('conversations.sqlite') },
  );
  let url = '';
  const api = (): string => url;
  const doctor = createDoctor(
    { clock, log, mesh, membership: members, addresses, wallOf, settingsProblem: () => live.report().problem },
    { home: folder, settings, paths, key, version, api },
  );
  const sessions = await Sessions.open({ clock, random, log, store }, { apiKey: () => keys.key });
  const pulses = new PulseMonitor({ clock, events, mesh, engine, dispatcher });
  const control = new AssembledControl(
    {
      clock,
      membership: members,
      invitations,
      mesh,
      engine,
      dispatcher,
      cuts,
      models,
      library,
      traces,
      events,
      pulses,
      logs,
      settings: live,
      sharing: yielding,
      lends,
      doctor,
      keys: {
        replace: async () => {
          const fresh = await keys.replace();
          gateway.signOutAll();
          return fresh;
        },
      },
      offer,
      requestStop: init.requestStop,
      requestRestart: init.requestRestart,
      join: async (ticket) => {
        await joinByTicket({ log, members, addresses }, { key, ticket });
        // The network names, topics and gates are those of a mesh: a node changes mesh by starting them anew.
        await mesh.stop();
        await mesh.start();
      },
    },
    { version, home: folder, offer: settings.offer, hardware, api },
  );
  const manageable = new ManageableNode({ clock, control, coordinator });
  const managing = createManageGuards({ membership: members, managed: () => live.settings.managed });
  const feed = new EventFeed({ clock, random, events, pulses });
  serveManage({ mesh, membership: members, node: manageable, log, telemetry, guards: managing });
  serveWatch({ mesh, feed, telemetry, guards: managing });
  const nodes = new PeerManagement({ mesh, membership: members, here: manageable, feed });
  const gateway: Gateway = new Gateway(
    { clock, random, log, telemetry, traces, coordinator, conversations, control, sessions, nodes },
    {
      host: listening.apiHost,
      port: listening.apiPort,
      apiKey: () => keys.key,
      origins: () => live.settings.origins,
      lenient: () => live.settings.lenient,
      nodeId: key.node,
      name: settings.name,
      pages: { folder: paths.pages },
    },
  );

  registerGauges({ telemetry, dispatcher, engine });

  // Started from the inside out, so that nothing is reached before what it needs; stopped the other way round.
  teardown.add('prep', () => prep.stop());
  teardown.add('hearing', () => hearing.stop());
  teardown.add('inspector', () => inspector.stop());
  teardown.add('graphs', () => graphs.stop());
  teardown.add('engine', () => engine.stop());
  await engine.start();
  teardown.add('cuts', () => cuts.stop());
  teardown.add('profiler', () => profiler.stop());
  profiler.start();
  teardown.add('mesh', () => mesh.stop());
  await listening.release.swarm();
  await mesh.start();
  teardown.add('library', stopLibrary);
  library.start();
  teardown.add('replicas', () => replicas.stop());
  replicas.start();
  teardown.add(
    'announcing',
    engine.onChange(() => mesh.announce()),
  );
  teardown.add(
    'announcing devices',
    devices.onChange(() => mesh.announce()),
  );
  teardown.add(
    'remembering addresses',
    mesh.onAddresses(() => remember(addresses, mesh, log)),
  );
  teardown.add(
    'announcing what it would rather not do',
    yielding.onChange(() => mesh.announce()),
  );
  teardown.add('yielding', () => yielding.stop());
  yielding.start();
  teardown.add('pulse', () => pulses.stop());
  pulses.start();
  teardown.add(
    'telling watchers',
    publishChanges({ events, membership: members, mesh, engine, settings: live, sharing: yielding, lends }),
  );
  teardown.add(
    'pinning',
    live.onChange((changed) => pin(changed.pin)),
  );
  teardown.add(
    'announcing who may manage it',
    live.onChange(() => mesh.announce()),
  );
  teardown.add('settings', () => live.stop());
  live.start();
  teardown.add('conversations', () => conversations.close());
  conversations.open();
  teardown.add('gateway', () => gateway.stop());
  await listening.release.api();
  ({ url } = await gateway.start());
  teardown.add('devices', () => devices.stop());
  devices.start();
  // What is loaded from here on waits until devices are known.
  pin(settings.pin);
  await writeDaemonRecord(folder, {
    pid: process.pid,
    api: url,
    node: key.node,
    version,
    startedAt: new Date(clock.wallNow()).toISOString(),
  });

  return {
    url,
    apiKeyFile: apiKey.file,
    node: key.node,
    name: settings.name,
    notices,
    signInLink: () => gateway.signInLink({ ttlMs: SIGN_IN_LIMITS.startLinkMs }),
    control,
    coordinator,
    dispatcher,
    engine,
    mesh,
    stop: () => teardown.run(),
  };
}

/** What of the installed models this node runs: all, none, or those named by hub id or short name. */
function offered(installed: readonly InstalledModel[], offer: Settings['offer']): readonly InstalledModel[] {
  if (offer === 'all') return installed;
  if (offer === 'none') return [];
  const wanted = new Set(offer.map((name) => name.toLowerCase()));
  return installed.filter(({ ref, aliases }) => [ref.id, ...aliases].some((name) => wanted.has(name.toLowerCase())));
}

/** Of the models folder: two nodes would tidy away what the other one puts together. @returns undefined when it is another's, or can't be written */
async function lockFolder(folder: string): Promise<HomeLock | undefined> {
  try {
    await mkdir(folder, { recursive: true });
    return await acquireLock({ folder, waitMs: 0 });
  } catch {
    return undefined;
  }
}

const sharedLine = (folder: string): string =>
  `The models folder ${folder} is kept by another node, or can't be written: this one only reads it.`;

function remember(addresses: AddressBook, mesh: Libp2pMesh, log: Log): void {
  addresses.remember(mesh.knownAddresses()).catch((error: unknown) => {
    log.warn({ error }, 'the addresses of peers could not be kept');
  });
}

const problemLine = (id: string, error: WeftError): string => `${id} is left out: ${error.message} ${error.remedy}`;
