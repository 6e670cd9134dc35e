// Weft's end of a transfer: a mesh node with a model store, and nothing of a daemon beside them.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { ModelStore } from '../../models/store.ts';
import { systemClock } from '../../node/core/clock.ts';
import { silentLog } from '../../node/core/log.ts';
import type { Mesh } from '../../node/core/mesh.ts';
import type { DownloadProgress } from '../../node/core/transfer.ts';
import type { Invitations, Membership } from '../../node/core/trust.ts';
import { Libp2pMesh } from '../../node/mesh/mesh.ts';
import { type SharedFiles, serveFiles } from '../../node/mesh/serve-files.ts';
import { Governor } from '../../node/mesh/transfer/governor.ts';
import { PeerTransfer } from '../../node/mesh/transfer/peer-transfer.ts';
import { until } from '../support/wait.ts';
import type { End } from './transfer-child.ts';
import type { BenchFile } from './transfer-file.ts';
import type { Fetched, FetchRequest, Roles } from './transfer-process.ts';

const nobody = (): never => {
  throw new Error('Nobody joins here.');
};
const noInvitations: Invitations = {
  create: nobody,
  open: () => [],
  cancel: nobody,
  anyOpen: () => false,
  hello: nobody,
  admit: nobody,
};

/** Everybody is a member. */
const membershipOf = (node: string): Membership => ({
  meshId: 'be'.repeat(32),
  self: { node, name: 'bench', role: 'admin' },
  isMember: () => true,
  members: () => [],
  digest: () => new Uint8Array(32),
  statements: () => [],
  merge: async () => false,
  onChange: () => () => undefined,
});

/** Opens a store in a folder. */
export async function storeIn(folder: string): Promise<ModelStore> {
  const store = new ModelStore({ log: silentLog }, { roots: [folder], cacheFolder: join(folder, 'cache') });
  await mkdir(folder, { recursive: true });
  await store.open();
  return store;
}

/** Brings a file into a store, disk to disk, and deletes it again. */
export async function fetchInto(
  store: ModelStore,
  file: BenchFile,
  transfer: PeerTransfer,
  nodes: readonly string[],
  options: { readonly signal?: AbortSignal; readonly onProgress?: (progress: DownloadProgress) => void } = {},
): Promise<Fetched> {
  const begunMs = performance.now();
  const partial = await store.partial(file);
  try {
    await transfer.download([{ file: partial.file, sink: partial }], {
      signal: new AbortController().signal,
      sources: () => nodes.map((node) => transfer.peer(node)),
      ...options,
    });
    await partial.finish();
  } finally {
    await partial.close();
  }
  const ms = performance.now() - begunMs;
  await store.cleanUp({ dryRun: false, partial: true });
  return { ms };
}

/** Waits until these are connected. @param addresses with their /p2p/ part; @returns their node ids */
async function connectedTo(mesh: Mesh, addresses: readonly string[]): Promise<readonly string[]> {
  const nodes = addresses.map((address) => address.split('/p2p/')[1] ?? '');
  await until('the other ends', () => nodes.every((node) => mesh.peer(node)?.state === 'connected'));
  return nodes;
}

export async function openWeft({ folder, file, ports }: Roles['weft']): Promise<End> {
  const seed = new Uint8Array(randomBytes(32));
  const { publicKey } = await generateKeyPairFromSeed('Ed25519', seed);
  const node = publicKey.toString();
  const known: string[] = [];
  const mesh = new Libp2pMesh(
    {
      clock: systemClock,
      log: silentLog,
      membership: membershipOf(node),
      invitations: noInvitations,
      policy: { authorize: () => undefined },
      telemetry: { count: () => undefined, gauge: () => undefined },
      load: () => ({ requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 }),
      advert: () => ({
        node,
        name: 'bench',
        version: '0',
        incarnation: 1,
        hardware: { platform: 'linux', arch: 'x64', cpuModel: '', cpuCount: 1, memoryBytes: 0, devices: [] },
        offers: [],
      }),
    },
    {
      key: { node, publicKey: publicKey.raw, seed },
      listen: file === undefined ? [] : [`/ip4/127.0.0.1/tcp/${ports?.listen ?? 0}`],
      announce: ports === undefined ? [] : [`/ip4/127.0.0.1/tcp/${ports.announce}`],
      mdns: false,
      bootstrap: () => known,
    },
  );
  const governor = new Governor({ clock: systemClock }, { busy: () => false });
  const transfer = new PeerTransfer({ mesh, clock: systemClock, log: silentLog, governor });
  const store = await storeIn(join(folder, 'store'));
  if (file !== undefined) {
    await store.adopt(file.path, file);
    // Chunk digests that no manifest says are made at the first reading.
    await store.read(file.sha256, 0, 1);
  }
  const files: SharedFiles = {
    manifestJson: () => undefined,
    signatures: () => [],
    holding: (sha256) => store.holding(sha256),
    read: (sha256, offset, length) => store.read(sha256, offset, length),
  };
  serveFiles({ mesh, files, governor });
  await mesh.start();
  return {
    address: mesh.addresses()[0] ?? '',
    fetch: async ({ from, file: wanted }: FetchRequest) => {
      known.push(...from.filter((address) => !known.includes(address)));
      const nodes = await connectedTo(mesh, from);
      return fetchInto(store, wanted, transfer, nodes);
    },
  };
}
