import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { type SharedFiles, serveFiles } from '../../../node/mesh/serve-files.ts';
import { PeerTransfer } from '../../../node/mesh/transfer.ts';
import { SMALL_FILE_BYTES_MAX } from '../../../protocol/limits.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { connected, makeKey, never, startNode, stopAll, type TestNode } from './support.ts';

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const big = new Uint8Array(randomBytes(2.5 * MESH_LIMITS.transfer.pieceBytes));
const manifest = '{"id":"owner/model","schema":1}';

function filesOf(files: readonly Uint8Array[], manifests: readonly string[] = []): SharedFiles {
  return {
    manifestJson: (digest) => manifests.find((json) => `sha256:${sha256(json)}` === digest),
    read: async (digest, offset, length) => {
      const file = files.find((bytes) => sha256(bytes) === digest);
      return file && { bytes: file.subarray(offset, offset + length), sizeBytes: file.byteLength };
    },
  };
}

/** Sources with these files, and a node that is connected to all. */
async function setup(
  ...sources: readonly SharedFiles[]
): Promise<{ transfer: PeerTransfer; nodes: string[]; to: TestNode }> {
  const keys = await Promise.all([makeKey(), ...sources.map(makeKey)]);
  const members = keys.map(({ node }) => node);
  const peers: TestNode[] = [];
  for (const [index, files] of sources.entries()) {
    const key = keys[index + 1];
    if (key === undefined) throw new Error('one key per source');
    peers.push(await startNode({ key, members, prepare: (mesh) => serveFiles({ mesh, files }) }));
  }
  const to = await startNode({
    key: keys[0] as (typeof keys)[0],
    members,
    bootstrap: () => peers.flatMap(({ mesh }) => mesh.addresses()),
  });
  await connected(to, ...peers);
  return { transfer: new PeerTransfer({ mesh: to.mesh }), nodes: peers.map(({ key }) => key.node), to };
}

afterEach(stopAll);

describe('PeerTransfer', () => {
  it('fetches manifests and files of any number of pieces', async () => {
    const small = new Uint8Array(10).fill(1);
    const empty = new Uint8Array(0);
    const { transfer, nodes } = await setup(filesOf([big, small, empty], [manifest]));
    expect(await transfer.fetchManifest(`sha256:${sha256(manifest)}`, nodes, never)).toBe(manifest);
    for (const bytes of [big, small, empty]) {
      const fetched = await transfer.fetch({ sha256: sha256(bytes), sizeBytes: bytes.byteLength }, nodes, never);
      expect(Buffer.compare(fetched, bytes)).toBe(0);
    }
  });

  it('turns to the next source when bytes are not what the digest says', async () => {
    const forged: SharedFiles = {
      manifestJson: () => '{}',
      read: async (_digest, _offset, length) => ({ bytes: new Uint8Array(length), sizeBytes: big.byteLength }),
    };
    const { transfer, nodes } = await setup(forged, filesOf([big], [manifest]));
    const file = { sha256: sha256(big), sizeBytes: big.byteLength };
    expect(Buffer.compare(await transfer.fetch(file, nodes, never), big)).toBe(0);
    expect(await transfer.fetchManifest(`sha256:${sha256(manifest)}`, nodes, never)).toBe(manifest);
    const [forger] = nodes as [string];
    await expect(transfer.fetch(file, [forger], never)).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(transfer.fetchManifest(`sha256:${sha256(manifest)}`, [forger], never)).rejects.toMatchObject({
      code: 'model_corrupt',
    });
  });

  it('refuses a source whose file has another size', async () => {
    const { transfer, nodes } = await setup({
      manifestJson: () => undefined,
      read: async (_digest, _offset, length) => ({ bytes: new Uint8Array(length), sizeBytes: 999_999 }),
    });
    await expect(transfer.fetch({ sha256: sha256('x'), sizeBytes: 1 }, nodes, never)).rejects.toMatchObject({
      code: 'model_corrupt',
    });
  });

  it('ends with the last failure, and says so when there is no source', async () => {
    const { transfer, nodes } = await setup(filesOf([]));
    const file = { sha256: sha256('unknown'), sizeBytes: 7 };
    await expect(transfer.fetch(file, nodes, never)).rejects.toMatchObject({ code: 'not_found' });
    await expect(transfer.fetch(file, [], never)).rejects.toMatchObject({ code: 'peer_unreachable' });
    await expect(transfer.fetchManifest('sha256:../..', nodes, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never begins what is too large to be held', async () => {
    const { transfer, nodes } = await setup(filesOf([]));
    const file = { sha256: sha256('x'), sizeBytes: SMALL_FILE_BYTES_MAX + 1 };
    await expect(transfer.fetch(file, nodes, never)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it("fetches many files at once without reaching a peer's quota", async () => {
    const files = Array.from({ length: 12 }, (_, index) => new Uint8Array(100).fill(index));
    const { transfer, nodes } = await setup(filesOf(files));
    const fetched = await Promise.all(
      files.map((bytes) => transfer.fetch({ sha256: sha256(bytes), sizeBytes: 100 }, nodes, never)),
    );
    expect(fetched.map((bytes) => bytes[0])).toEqual(files.map((bytes) => bytes[0]));
  });

  it('stops when it is cancelled', async () => {
    const { transfer, nodes } = await setup({
      manifestJson: () => undefined,
      read: () => new Promise(() => undefined),
    });
    const abort = new AbortController();
    const work = transfer.fetch({ sha256: sha256(big), sizeBytes: big.byteLength }, nodes, abort.signal);
    abort.abort();
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('serveFiles', () => {
  it('refuses pieces out of bounds, and digests that are none', async () => {
    const { to, nodes } = await setup(filesOf([big]));
    const [node] = nodes as [string];
    const ask = (request: { sha256: string; offset: bigint; length: number }) =>
      to.mesh.call(node, PEER_METHODS.readFile, request, { signal: never, requestId: '' });
    const digest = sha256(big);
    await expect(ask({ sha256: digest, offset: 0n, length: 0 })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(ask({ sha256: digest, offset: 0n, length: 4 << 20 })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(ask({ sha256: digest, offset: 1n << 60n, length: 1 })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(ask({ sha256: '../../etc/passwd', offset: 0n, length: 1 })).rejects.toMatchObject({
      code: 'not_found',
    });
    // Beyond the end there is nothing.
    expect((await ask({ sha256: digest, offset: BigInt(big.byteLength), length: 1 })).bytes.byteLength).toBe(0);
  });
});
