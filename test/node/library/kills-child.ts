// A process that pulls a model with a real store, library, transfer and hub client, and ends itself at the moment that it
// is told: by SIGKILL, or by SIGSTOP for whoever started it to kill. Peers answer over the channel to that process.
import fs from 'node:fs';
import { join } from 'node:path';
import { HubClient } from '../../../models/hub/hub-client.ts';
import { inspectModel } from '../../../models/import/inspect.ts';
import { ModelStore, type PartialFile } from '../../../models/store.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { TransferStatus } from '../../../node/core/library.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Mesh } from '../../../node/core/mesh.ts';
import type { ChunkSource, Transfer } from '../../../node/core/transfer.ts';
import { ModelLibrary } from '../../../node/library/library.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { UNGOVERNED } from '../../../node/mesh/transfer/governor.ts';
import { PeerTransfer } from '../../../node/mesh/transfer/peer-transfer.ts';
import { deviceKeyOf } from '../../../node/trust/device-key.ts';
import { signMessage } from '../../../node/trust/ed25519.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { MethodSpec } from '../../../protocol/methods.ts';
import { peer } from '../scheduler/builders.ts';
import type { Answer, Call, Orders } from './kills.ts';

/** Nobody here comes back after seconds. */
const HASTY = { ...MESH_LIMITS.transfer, tickMs: 20, sourcesMs: 20, holdingsMs: 100, backoffMs: 20, graceMs: 300 };

const orders = JSON.parse(process.argv[2] ?? '') as Orders;

const counts = new Map<string, number>();

/** Something happened so often, or to so many bytes. */
function happened(what: string, amount = 1): void {
  const before = counts.get(what) ?? 0;
  counts.set(what, before + amount);
  const { moment } = orders;
  if (moment?.what !== what || before >= moment.at || before + amount < moment.at) return;
  say(`end ${what} ${moment.at}`);
  process.kill(process.pid, moment.signal);
}

/** Arrives whatever becomes of this process. */
function say(line: string): void {
  fs.writeSync(1, `${line}\n`);
}

/** Tells of every chunk that is asked for. */
function told<S extends ChunkSource>(source: S): S {
  const { kind } = source;
  const read = source.read.bind(source);
  return Object.assign(source, {
    async read(...[file, index, options]: Parameters<typeof read>) {
      say(`asked ${kind} ${file.sha256} ${index}`);
      happened('asked');
      const onBytes = (bytes: number): void => {
        options.onBytes?.(bytes);
        if (bytes > 0) happened('bytes', bytes);
      };
      return read(file, index, { ...options, onBytes });
    },
  });
}

/** Tells of every chunk that is written. */
function watched(partial: PartialFile): PartialFile {
  const { sha256 } = partial.file;
  const write = partial.write.bind(partial);
  const finish = partial.finish.bind(partial);
  return Object.assign(partial, {
    async write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
      happened('writing');
      const good = await write(index, bytes);
      if (good) say(`kept ${sha256} ${index}`);
      happened('written');
      return good;
    },
    async finish() {
      happened('finishing');
      const finished = await finish();
      happened('finished');
      return finished;
    },
  });
}

interface Waiting {
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: Error) => void;
}

const waiting = new Map<number, Waiting>();
process.on('message', ({ id, response, error }: Answer) => {
  const call = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) call?.resolve(response);
  else call?.reject(new WeftError({ code: 'not_found', message: error }));
});

const key = deviceKeyOf(new Uint8Array(32).fill(7));
const { giver } = orders;
const peers = giver === undefined ? [] : [peer(giver.node, { offers: [giver.offer] })];
let calls = 0;
const mesh: Pick<Mesh, 'self' | 'peers' | 'peer' | 'announce' | 'call'> = {
  self: key.node,
  peers: () => peers,
  peer: (node) => peers.find(({ advert }) => advert.node === node),
  announce: () => undefined,
  async call<Request, Item, Response>(
    _to: string,
    { name }: MethodSpec<Request, Item, Response>,
    request: Request,
    { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Response> {
    signal.throwIfAborted();
    const call: Call = { id: ++calls, method: name, request };
    const answered = new Promise<unknown>((resolve, reject) => {
      waiting.set(call.id, { resolve, reject });
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    process.send?.(call);
    const response = (await answered) as Response & { readonly bytes?: Uint8Array };
    if (response.bytes === undefined) return response;
    onBytes?.(response.bytes.byteLength);
    // In memory of its own, as a transfer takes it over.
    return { ...response, bytes: new Uint8Array(response.bytes) };
  },
};

const store = new ModelStore(
  { log: silentLog },
  { roots: [orders.root], cacheFolder: join(orders.root, '..', 'cache') },
);
await store.open();
const partialOf = store.partial.bind(store);
const stage = store.stage.bind(store);
Object.assign(store, {
  partial: async (...file: Parameters<typeof partialOf>) => watched(await partialOf(...file)),
  async stage(...files: Parameters<typeof stage>) {
    const staged = await stage(...files);
    happened('staged');
    return staged;
  },
});

const client = new HubClient(
  { clock: systemClock, random: { next: () => 0 }, log: silentLog },
  { endpoint: orders.endpoint, token: undefined, offline: false, environment: {}, ca: undefined },
);
const peerTransfer = new PeerTransfer(
  { mesh, clock: systemClock, log: silentLog, governor: UNGOVERNED },
  { limits: HASTY },
);
const transfer: Transfer = {
  fetch: (...asked) => peerTransfer.fetch(...asked),
  fetchManifest: (...asked) => peerTransfer.fetchManifest(...asked),
  fetchSignatures: (...asked) => peerTransfer.fetchSignatures(...asked),
  download: (...asked) => peerTransfer.download(...asked),
  peer: (node) => told(peerTransfer.peer(node)),
};
const member = (node: string) => ({ node, name: node, role: 'member' as const });
let phase = '';
const offers: ModelOffer[] = [];
const library = new ModelLibrary({
  clock: systemClock,
  log: silentLog,
  events: {
    publish(_type, data) {
      const status = data as TransferStatus;
      if (status.phase !== phase) happened(`phase ${status.phase}`);
      ({ phase } = status);
    },
  },
  mesh,
  membership: {
    self: member(key.node),
    isMember: (node) => node === key.node || node === giver?.node,
    members: () => [key.node, ...(giver === undefined ? [] : [giver.node])].map(member),
  },
  transfer,
  prep: { inspect: (request, { onBytes }) => inspectModel(request, { ...(onBytes !== undefined && { onBytes }) }) },
  store,
  hub: () => ({
    model: (...asked) => client.model(...asked),
    bytes: (...asked) => client.bytes(...asked),
    source: (model) => told(client.source(model)),
  }),
  sign: (bytes) => signMessage(key.seed, bytes),
  offer: () => happened('offered'),
  letGo: async () => undefined,
  offers: () => offers,
  machine: () => ({ devices: [{ kind: 'cpu', name: 'test', memoryBytes: 1e9 }], memoryBytes: 1e9 }),
  settings: () => ({
    signers: 'any',
    signerKeys: [],
    offline: false,
    bring: false,
    hubCache: undefined,
    share: true,
  }),
});

const { digest } = await library.pull({ model: orders.model }, { signal: new AbortController().signal });
say(`done ${digest}`);
await library.stop();
await client.close();
await store.close();
process.disconnect?.();
