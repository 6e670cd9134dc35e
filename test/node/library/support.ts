// Nodes with a real store, a real library, a real transfer and a real prep process each, in one process: only the network
// between them and the engines are made up, so that a test can cut the one and ask the other.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { HubClient, type HubInit } from '../../../models/hub/hub-client.ts';
import { canonicalJson, type Manifest } from '../../../models/manifest.ts';
import { TensorProto_DataType as DataType } from '../../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import { ModelStore } from '../../../models/store.ts';
import type { CallHandler } from '../../../node/core/calls.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { TransferStatus } from '../../../node/core/library.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Mesh, PeerRecord } from '../../../node/core/mesh.ts';
import type { Prep } from '../../../node/core/prep.ts';
import type { Transfer } from '../../../node/core/transfer.ts';
import type { LibraryComponents, LibrarySettings } from '../../../node/library/components.ts';
import { ModelLibrary, type ModelLibraryComponents } from '../../../node/library/library.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { serveFiles } from '../../../node/mesh/serve-files.ts';
import { UNGOVERNED } from '../../../node/mesh/transfer/governor.ts';
import { PeerTransfer } from '../../../node/mesh/transfer/peer-transfer.ts';
import { PrepProcess } from '../../../node/prep/prep-process.ts';
import { deviceKeyOf } from '../../../node/trust/device-key.ts';
import { signMessage } from '../../../node/trust/ed25519.ts';
import type { HeldModel, ModelOffer } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import type { MethodSpec } from '../../../protocol/methods.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { peer } from '../scheduler/builders.ts';

export const never = new AbortController().signal;
export const ID = 'owner/tiny';

const PREP = fileURLToPath(new URL('../../../node/prep/main.ts', import.meta.url));

/** A folder that is gone after the test. */
export async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-library-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** Four inputs, and as many outputs as make a file of this size. */
export function graphOf(seed: number, bytes: number): Uint8Array {
  const outputs = Math.ceil(bytes / 16);
  const random = new SeededRandom(seed);
  const values = new Float32Array(4 * outputs);
  for (let index = 0; index < values.length; index++) values[index] = random.next();
  const graph = new GraphBuilder();
  graph.as('y', graph.op('MatMul', ['x', graph.floats([4, outputs], values)]));
  return graph.file([valueInfo('x', DataType.FLOAT, ['rows', 4])], [valueInfo('y', DataType.FLOAT, ['rows', outputs])]);
}

export interface TinyInit {
  readonly id?: string;
  /** By the name of the graph; @default one of 9 MB, which makes three chunks */
  readonly graphs?: Readonly<Record<string, Uint8Array>>;
}

/** Nobody in a test comes back after seconds. */
const HASTY = { ...MESH_LIMITS.transfer, tickMs: 20, sourcesMs: 50, holdingsMs: 100, backoffMs: 20, graceMs: 300 };

let weights: Uint8Array | undefined;

/** Writes a model in the hub's layout below this folder. @returns its folder */
export async function tinyModel(root: string, { id = ID, graphs }: TinyInit = {}): Promise<string> {
  const folder = join(root, ...id.split('/'));
  await mkdir(join(folder, 'onnx'), { recursive: true });
  await writeFile(join(folder, 'LICENSE'), 'MIT License\n\nPermission is hereby granted, free of charge, …\n');
  await writeFile(join(folder, 'config.json'), '{"model_type": "tiny"}\n');
  weights ??= graphOf(1, 9 << 20);
  for (const [name, bytes] of Object.entries(graphs ?? { model: weights })) {
    await writeFile(join(folder, 'onnx', `${name}.onnx`), bytes);
  }
  return folder;
}

/** The network of a test. */
export class Wire {
  readonly nodes = new Map<NodeId, TestNode>();
  /** Answers a call instead of the node that is asked, or fails it. @default asks the node */
  tamper: (call: {
    readonly to: NodeId;
    readonly method: string;
    readonly request: unknown;
    readonly ask: () => Promise<unknown>;
  }) => Promise<unknown> = ({ ask }) => ask();

  /** Peers of a node as they are now. */
  peersOf(self: NodeId): readonly PeerRecord[] {
    return [...this.nodes.values()]
      .filter(({ id, online }) => id !== self && online)
      .map(({ id, name, offers, library, lies }) => {
        const record = peer(id, { offers });
        const held: readonly HeldModel[] = library.held();
        return { ...record, advert: { ...record.advert, name, offers: [...offers, ...lies], held } };
      });
  }
}

export interface NodeInit {
  readonly wire?: Wire;
  readonly name?: string;
  readonly hub?: Partial<HubInit> & { readonly endpoint: string };
  readonly settings?: Partial<LibrarySettings>;
  readonly quotaBytes?: number;
  readonly prep?: Pick<Prep, 'inspect'>;
  readonly memoryBytes?: number;
  /** The folder of the models. @default a new one */
  readonly root?: string;
  /** Changes what the transfer does. */
  readonly transfer?: (real: Transfer) => Transfer;
  readonly components?: Partial<ModelLibraryComponents>;
}

export interface TestNode {
  readonly id: NodeId;
  readonly name: string;
  readonly root: string;
  readonly store: ModelStore;
  readonly library: ModelLibrary;
  readonly offers: readonly ModelOffer[];
  /** Offers that it tells of, and has not. */
  readonly lies: ModelOffer[];
  /** Digests that the engine let go of. */
  readonly letGo: string[];
  readonly told: TransferStatus[];
  readonly settings: LibrarySettings;
  /** Peers see it. */
  online: boolean;
  /** The engine offers it no more. */
  withdraw(digest: string): void;
  /** Changes the settings. */
  set(change: Partial<LibrarySettings>): void;
}

let seeds = 1;

export const hashOf = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex');

/** A prep process that ends with the test. */
export function openPrep(): PrepProcess {
  const prep = new PrepProcess({ clock: systemClock, log: silentLog }, { entry: PREP, nodePath: process.execPath });
  onTestFinished(() => prep.stop());
  return prep;
}

export async function openNode(init: NodeInit = {}): Promise<TestNode> {
  const { wire = new Wire(), memoryBytes = 1e9, prep = openPrep() } = init;
  const key = deviceKeyOf(new Uint8Array(32).fill(seeds++));
  const name = init.name ?? `node ${wire.nodes.size + 1}`;
  const root = init.root ?? join(await temporary(), 'models');
  const store = new ModelStore(
    { log: silentLog },
    { roots: [root], cacheFolder: join(root, '..', 'cache'), quotaBytes: () => init.quotaBytes },
  );
  await store.open();
  onTestFinished(() => store.close());

  const handlers = new Map<string, CallHandler<unknown, unknown, unknown>>();
  const mesh = fakeMesh(wire, key.node, handlers);
  const offers: ModelOffer[] = [];
  const told: TransferStatus[] = [];
  const letGo: string[] = [];
  const withdraw = (digest: string): void => {
    offers.splice(0, offers.length, ...offers.filter(({ model }) => model.digest !== digest));
  };
  let settings: LibrarySettings = {
    signers: 'any',
    signerKeys: [],
    offline: false,
    bring: true,
    hubCache: undefined,
    share: true,
    ...init.settings,
  };
  const hub = openHubClient(init.hub ?? { endpoint: 'http://127.0.0.1:9', offline: true });
  const member = (node: NodeId) => ({ node, name: wire.nodes.get(node)?.name ?? name, role: 'member' as const });
  const transfer = new PeerTransfer(
    { mesh, clock: systemClock, log: silentLog, governor: UNGOVERNED },
    { limits: HASTY },
  );
  const components: LibraryComponents = {
    clock: systemClock,
    log: silentLog,
    events: { publish: (_type, data) => void told.push(data as TransferStatus) },
    mesh,
    membership: {
      self: member(key.node),
      isMember: (node) => wire.nodes.has(node),
      members: () => [...wire.nodes.keys()].map(member),
    },
    transfer: init.transfer?.(transfer) ?? transfer,
    prep,
    store,
    hub: () => hub,
    sign: (bytes) => signMessage(key.seed, bytes),
    offer: ({ ref, manifest }) => {
      withdraw(ref.digest);
      offers.push(offerOf(ref, manifest));
    },
    letGo: async (digest) => {
      letGo.push(digest);
      withdraw(digest);
    },
    offers: () => offers,
    machine: () => ({ devices: [{ kind: 'cpu', name: 'test', memoryBytes }], memoryBytes }),
    settings: () => settings,
  };
  const library = new ModelLibrary({ ...components, ...init.components });
  onTestFinished(() => library.stop());
  const node: TestNode = {
    id: key.node,
    name,
    root,
    store,
    library,
    offers,
    lies: [],
    letGo,
    told,
    online: true,
    withdraw,
    get settings() {
      return settings;
    },
    set(change) {
      settings = { ...settings, ...change };
    },
  };
  serveFiles({
    mesh,
    governor: UNGOVERNED,
    files: {
      manifestJson: (digest) => {
        const installed = store.byDigest(digest);
        return installed === undefined ? library.wantedModel(digest)?.manifestJson : canonicalJson(installed.manifest);
      },
      signatures: (digest) =>
        store.byDigest(digest) === undefined
          ? (library.wantedModel(digest)?.signatures ?? [])
          : store.signatures(digest),
      holding: (sha256) => store.holding(sha256),
      read: (sha256, offset, length) => store.read(sha256, offset, length),
    },
  });
  wire.nodes.set(key.node, node);
  return node;
}

export function offerOf(model: ModelOffer['model'], manifest: Pick<Manifest, 'files' | 'task'>): ModelOffer {
  return {
    model,
    task: manifest.task,
    state: 'disk',
    contextLength: 0,
    dimensions: 0,
    sizeBytes: manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    profile: { fixedMs: 0, perTokenMs: 0, decodeMs: 0, loadMs: 0, samples: 0 },
    aliases: [],
  };
}

function fakeMesh(
  wire: Wire,
  self: NodeId,
  handlers: Map<string, CallHandler<unknown, unknown, unknown>>,
): Pick<Mesh, 'self' | 'peers' | 'peer' | 'announce' | 'call' | 'handle'> {
  HANDLERS.set(self, handlers);
  return {
    self,
    peers: () => wire.peersOf(self),
    peer: (node) => wire.peersOf(self).find(({ advert }) => advert.node === node),
    announce: () => undefined,
    handle: (method, handler) => void handlers.set(method.name, handler as CallHandler<unknown, unknown, unknown>),
    async call<Request, Item, Response>(
      to: NodeId,
      method: MethodSpec<Request, Item, Response>,
      request: Request,
      { signal }: { readonly signal: AbortSignal },
    ): Promise<Response> {
      const ask = async (): Promise<unknown> => {
        signal.throwIfAborted();
        const handler = wire.nodes.get(to)?.online === true ? HANDLERS.get(to)?.get(method.name) : undefined;
        if (handler === undefined) throw new WeftError({ code: 'peer_unreachable', message: 'The peer is gone.' });
        const context = { signal, requestId: '', budgetMs: 0, caller: self, afterwards: after, item: () => undefined };
        // As over a network: what one side does to its memory the other doesn't see.
        return structuredClone(await handler(request, context));
      };
      return (await wire.tamper({ to, method: method.name, request, ask })) as Response;
    },
  };
}

/** The answer has left as soon as it is there. */
const after = (callback: () => void): void => queueMicrotask(callback);

const HANDLERS = new Map<NodeId, Map<string, CallHandler<unknown, unknown, unknown>>>();

function openHubClient(init: Partial<HubInit> & { readonly endpoint: string }): HubClient {
  const client = new HubClient(
    { clock: systemClock, random: { next: () => 0 }, log: silentLog },
    { token: undefined, offline: false, environment: {}, ca: undefined, ...init },
  );
  onTestFinished(() => client.close());
  return client;
}

/** Names of the files in the store that no model folder is for. */
export async function leftIn(
  { root }: TestNode,
  folder: '.blobs' | '.partial' | '.staged',
): Promise<readonly string[]> {
  return (await readdir(join(root, folder)).catch(() => [])).sort();
}

/** Imports the tiny model on a node. @returns its digest */
export async function withModel(node: TestNode, init: TinyInit = {}): Promise<string> {
  const path = await tinyModel(await temporary(), init);
  const { digest } = await node.library.import({ path, id: init.id ?? ID }, { signal: never });
  return digest;
}
