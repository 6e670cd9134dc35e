// Manifests, files and downloads between real nodes on loopback, with sources that lie, stall and vanish.
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../node/core/clock.ts';
import { silentLog } from '../../../../node/core/log.ts';
import type { DownloadProgress } from '../../../../node/core/transfer.ts';
import { MESH_LIMITS, type MeshLimits } from '../../../../node/mesh/limits.ts';
import { type SharedFiles, serveFiles } from '../../../../node/mesh/serve-files.ts';
import { type Pace, UNGOVERNED } from '../../../../node/mesh/transfer/governor.ts';
import { PeerTransfer } from '../../../../node/mesh/transfer/peer-transfer.ts';
import { SMALL_FILE_BYTES_MAX } from '../../../../protocol/limits.ts';
import { PEER_METHODS } from '../../../../protocol/methods.ts';
import { connected, makeKey, never, startNode, stopAll, type TestNode } from '../support.ts';
import { chunked, LIMITS, MemorySink, sha256 } from './support.ts';

const MIB = 1 << 20;
const CHUNK = 512 << 10;
const big = new Uint8Array(randomBytes(2.5 * MESH_LIMITS.transfer.pieceBytes));
const model = new Uint8Array(randomBytes(12 * CHUNK + 4_321));
const file = chunked(model, CHUNK);
const manifest = '{"id":"owner/model","schema":1}';

/** Quick to give up: the silence of a peer is what these tests wait for. */
const HASTY: MeshLimits['transfer'] = {
  ...LIMITS,
  tickMs: 20,
  sourcesMs: 50,
  holdingsMs: 50,
  stallMs: 200,
  stallUnmeasuredMs: 500,
  backoffMs: 50,
  backoffMsMax: 200,
  graceMs: 500,
};

/** What a node gives out; each part can be replaced by a lie. */
function filesOf(files: readonly Uint8Array[], over: Partial<SharedFiles> = {}): SharedFiles {
  const known = new Map(files.map((bytes) => [sha256(bytes), bytes]));
  return {
    manifestJson: (digest) => (digest === `sha256:${sha256(manifest)}` ? manifest : undefined),
    signatures: () => [],
    holding: (digest) => {
      const bytes = known.get(digest);
      return bytes && { sizeBytes: bytes.byteLength, chunkBytes: CHUNK, chunks: 'all' };
    },
    read: async (digest, offset, length) => {
      const bytes = known.get(digest);
      return bytes && { bytes: bytes.subarray(offset, offset + length), sizeBytes: bytes.byteLength };
    },
    ...over,
  };
}

interface Setup {
  readonly transfer: PeerTransfer;
  readonly nodes: readonly string[];
  readonly peers: readonly TestNode[];
  readonly to: TestNode;
}

/** Sources with these files, and a node that is connected to all. */
async function setup(
  sources: readonly SharedFiles[],
  init: { readonly limits?: MeshLimits['transfer']; readonly governor?: Pace } = {},
): Promise<Setup> {
  const { limits = LIMITS, governor = UNGOVERNED } = init;
  const keys = await Promise.all([makeKey(), ...sources.map(makeKey)]);
  const members = keys.map(({ node }) => node);
  const peers: TestNode[] = [];
  for (const [index, files] of sources.entries()) {
    const key = keys[index + 1];
    if (key === undefined) throw new Error('one key per source');
    peers.push(await startNode({ key, members, prepare: (mesh) => serveFiles({ mesh, files, governor }, { limits }) }));
  }
  const to = await startNode({
    key: keys[0] as (typeof keys)[0],
    members,
    bootstrap: () => peers.flatMap(({ mesh }) => mesh.addresses()),
  });
  await connected(to, ...peers);
  const transfer = new PeerTransfer({ mesh: to.mesh, clock: systemClock, log: silentLog, governor }, { limits });
  return { transfer, nodes: peers.map(({ key }) => key.node), peers, to };
}

/** Brings the model from all of these. */
function bring(
  { transfer, nodes }: Setup,
  sink: MemorySink,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (progress: DownloadProgress) => void } = {},
): Promise<DownloadProgress> {
  return transfer.download([{ file: sink.file, sink }], {
    signal: never,
    sources: () => nodes.map((node) => transfer.peer(node)),
    ...options,
  });
}

const isWhole = (sink: MemorySink): boolean => Buffer.compare(sink.bytes, model) === 0;

afterEach(stopAll);

describe('fetching manifests and small files', () => {
  it('takes files of any number of pieces', async () => {
    const small = new Uint8Array(10).fill(1);
    const empty = new Uint8Array(0);
    const { transfer, nodes } = await setup([filesOf([big, small, empty])]);
    expect(await transfer.fetchManifest(`sha256:${sha256(manifest)}`, nodes, never)).toBe(manifest);
    for (const bytes of [big, small, empty]) {
      const fetched = await transfer.fetch({ sha256: sha256(bytes), sizeBytes: bytes.byteLength }, nodes, never);
      expect(Buffer.compare(fetched, bytes)).toBe(0);
    }
  });

  it('turns to the next source when bytes are not what the digest says', async () => {
    const forged = filesOf([big], {
      manifestJson: () => '{}',
      read: async (_digest, _offset, length) => ({ bytes: new Uint8Array(length), sizeBytes: big.byteLength }),
    });
    const { transfer, nodes } = await setup([forged, filesOf([big])]);
    const wanted = { sha256: sha256(big), sizeBytes: big.byteLength };
    expect(Buffer.compare(await transfer.fetch(wanted, nodes, never), big)).toBe(0);
    expect(await transfer.fetchManifest(`sha256:${sha256(manifest)}`, nodes, never)).toBe(manifest);
    const [forger] = nodes as [string];
    await expect(transfer.fetch(wanted, [forger], never)).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(transfer.fetchManifest(`sha256:${sha256(manifest)}`, [forger], never)).rejects.toMatchObject({
      code: 'model_corrupt',
    });
  });

  it.each<[string, SharedFiles['read']]>([
    [
      'whose file has another size',
      async (_digest, _offset, length) => ({ bytes: new Uint8Array(length), sizeBytes: 9 }),
    ],
    ['that sends nothing', async () => ({ bytes: new Uint8Array(0), sizeBytes: big.byteLength })],
    ['that sends a byte at a time', async () => ({ bytes: new Uint8Array(1), sizeBytes: big.byteLength })],
    [
      'that sends more than was asked for',
      async (_digest, offset) => ({
        bytes: new Uint8Array(offset === 0 ? LIMITS.pieceBytes : 3 * MIB),
        sizeBytes: big.byteLength,
      }),
    ],
  ])('refuses a source %s', async (_what, read) => {
    const { transfer, nodes } = await setup([filesOf([big], { read })]);
    const wanted = { sha256: sha256(big), sizeBytes: big.byteLength };
    await expect(transfer.fetch(wanted, nodes, never)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('ends with the last failure, and says so when there is no source', async () => {
    const { transfer, nodes } = await setup([filesOf([])]);
    const wanted = { sha256: sha256('unknown'), sizeBytes: 7 };
    await expect(transfer.fetch(wanted, nodes, never)).rejects.toMatchObject({ code: 'not_found' });
    await expect(transfer.fetch(wanted, [], never)).rejects.toMatchObject({ code: 'peer_unreachable' });
    await expect(transfer.fetchManifest('sha256:../..', nodes, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never begins what is too large to be held', async () => {
    const { transfer, nodes } = await setup([filesOf([])]);
    const huge = { sha256: sha256('x'), sizeBytes: SMALL_FILE_BYTES_MAX + 1 };
    await expect(transfer.fetch(huge, nodes, never)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it("fetches many files at once without reaching a peer's quota", async () => {
    const files = Array.from({ length: 40 }, (_, index) => new Uint8Array(100).fill(index));
    const { transfer, nodes } = await setup([filesOf(files)]);
    const fetched = await Promise.all(
      files.map((bytes) => transfer.fetch({ sha256: sha256(bytes), sizeBytes: 100 }, nodes, never)),
    );
    expect(fetched.map((bytes) => bytes[0])).toEqual(files.map((bytes) => bytes[0]));
  });

  it('stops when it is cancelled, and so does one that waits for its turn', async () => {
    const { transfer, nodes } = await setup([filesOf([big], { read: () => new Promise(() => undefined) })]);
    const abort = new AbortController();
    const wanted = { sha256: sha256(big), sizeBytes: big.byteLength };
    const work = Array.from({ length: LIMITS.parallelMax + 1 }, () => transfer.fetch(wanted, nodes, abort.signal));
    abort.abort();
    for (const one of work) await expect(one).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('fetching signatures', () => {
  it('takes them as they are, though not without bound', async () => {
    const digest = `sha256:${sha256(manifest)}`;
    const many = Array.from({ length: LIMITS.signaturesMax + 5 }, (_, index) => `{"n":${index}}`);
    const { transfer, nodes } = await setup([
      filesOf([], { signatures: () => ['{"key":"a"}'] }),
      filesOf([], { signatures: () => ['x'.repeat(LIMITS.signatureLengthMax + 1), ...many] }),
    ]);
    expect(await transfer.fetchSignatures(digest, nodes[0] as string, never)).toEqual(['{"key":"a"}']);
    expect(await transfer.fetchSignatures(digest, nodes[1] as string, never)).toEqual(
      many.slice(0, LIMITS.signaturesMax),
    );
  });
});

describe('a download from peers', () => {
  it('brings a file from several at once', async () => {
    const peers = await setup([filesOf([model]), filesOf([model])]);
    const sink = new MemorySink(file);
    const progress = await bring(peers, sink);
    expect(isWhole(sink)).toBe(true);
    expect(progress.sources.map(({ bytes }) => bytes > 0)).toEqual([true, true]);
    expect(progress.doneBytes).toBe(model.byteLength);
  });

  it('reads chunks that are larger than one answer may be', async () => {
    const large = chunked(big, 6 * MIB);
    const peers = await setup([filesOf([big])]);
    const sink = new MemorySink(large);
    await bring(peers, sink);
    expect(Buffer.compare(sink.bytes, big)).toBe(0);
  });

  it('puts together what a busy source sends in smaller pieces', async () => {
    const taken: number[] = [];
    const governor: Pace = {
      ...UNGOVERNED,
      take: async (bytes) => {
        taken.push(bytes);
        return Math.min(bytes, LIMITS.pieceBytesMin);
      },
    };
    const peers = await setup([filesOf([model])], { governor });
    const sink = new MemorySink(file);
    await bring(peers, sink);
    expect(isWhole(sink)).toBe(true);
    // Both sides took their pieces from the bucket.
    expect(taken.length).toBeGreaterThan(4 * 12);
  });

  it('takes from a partial peer what that has, and nothing of another file', async () => {
    const first = { sizeBytes: model.byteLength, chunkBytes: CHUNK, chunks: Uint8Array.of(0b0000_0111, 0) };
    const otherCut = { sizeBytes: model.byteLength, chunkBytes: CHUNK / 2, chunks: new Uint8Array(4).fill(255) };
    const otherSize = { sizeBytes: model.byteLength - 1, chunkBytes: CHUNK, chunks: 'all' as const };
    const tooFew = { sizeBytes: model.byteLength, chunkBytes: CHUNK, chunks: Uint8Array.of(255) };
    const holdings = [first, otherCut, otherSize, tooFew];
    const asked: number[][] = holdings.map(() => []);
    const peers = await setup([
      filesOf([model]),
      ...holdings.map((holding, index) =>
        filesOf([model], {
          holding: () => holding,
          read: async (_digest, offset, length) => {
            asked[index]?.push(offset / CHUNK);
            return { bytes: model.subarray(offset, offset + length), sizeBytes: model.byteLength };
          },
        }),
      ),
    ]);
    const sink = new MemorySink(file);
    await bring(peers, sink);
    expect(isWhole(sink)).toBe(true);
    expect(asked[0]?.every((chunk) => chunk < 3)).toBe(true);
    expect(asked.slice(1)).toEqual([[], [], []]);
  });

  it.each<[string, Partial<SharedFiles>]>([
    [
      'poisons every chunk',
      { read: async (_d, _o, length) => ({ bytes: new Uint8Array(length), sizeBytes: model.byteLength }) },
    ],
    [
      'lies about the size',
      { read: async (_d, _o, length) => ({ bytes: new Uint8Array(length), sizeBytes: 2 ** 40 }) },
    ],
    [
      'sends less than was asked for',
      { read: async () => ({ bytes: new Uint8Array(100), sizeBytes: model.byteLength }) },
    ],
  ])('blames a peer that %s, and completes from the honest one', async (_what, over) => {
    const peers = await setup([filesOf([model], over), filesOf([model])], { limits: HASTY });
    const sink = new MemorySink(file);
    const { sources } = await bring(peers, sink);
    expect(isWhole(sink)).toBe(true);
    expect(sources[0]).toMatchObject({ state: 'blamed', bytes: 0 });
    expect(sources[1]?.bytes).toBe(model.byteLength);
  });

  it('would keep poison without the sink that verifies', async () => {
    const read: SharedFiles['read'] = async (_digest, _offset, length) => ({
      bytes: new Uint8Array(length),
      sizeBytes: model.byteLength,
    });
    const peers = await setup([filesOf([model], { read }), filesOf([model])], { limits: HASTY });
    const sink = new MemorySink(file, { verifies: false });
    await bring(peers, sink);
    expect(isWhole(sink)).toBe(false);
  });

  it('goes on without a peer that stalls, one that claims what it lacks, and one that changes its mind', async () => {
    let asked = 0;
    const peers = await setup(
      [
        filesOf([model], { read: () => new Promise(() => undefined) }),
        filesOf([model], { read: async () => undefined }),
        filesOf([model], {
          holding: () =>
            asked++ % 2 === 0 ? { sizeBytes: model.byteLength, chunkBytes: CHUNK, chunks: 'all' } : undefined,
        }),
        filesOf([model]),
      ],
      { limits: HASTY },
    );
    const sink = new MemorySink(file);
    const { sources } = await bring(peers, sink);
    expect(isWhole(sink)).toBe(true);
    expect(sources.slice(0, 2).map(({ bytes }) => bytes)).toEqual([0, 0]);
  });

  it('goes on without a peer that goes away, and fails with why when it was the last', async () => {
    const gate = Promise.withResolvers<void>();
    const slow = filesOf([model], {
      read: async (_digest, offset, length) => {
        if (offset > 0) await gate.promise;
        return { bytes: model.subarray(offset, offset + length), sizeBytes: model.byteLength };
      },
    });
    const peers = await setup([slow, filesOf([model])], { limits: HASTY });
    const sink = new MemorySink(file);
    const begun = Promise.withResolvers<void>();
    const whole = bring(peers, sink, {
      onProgress: ({ sources }) => sources[0]?.state === 'active' && begun.resolve(),
    });
    await begun.promise;
    await peers.peers[0]?.mesh.stop();
    await whole;
    expect(isWhole(sink)).toBe(true);
    await peers.peers[1]?.mesh.stop();
    await expect(bring(peers, new MemorySink(file))).rejects.toMatchObject({ code: 'peer_unreachable' });
    gate.resolve();
  });

  it('resumes: what is there is not asked for again', async () => {
    const asked: bigint[] = [];
    const honest = filesOf([model]);
    const peers = await setup([
      filesOf([model], {
        read: (digest, offset, length) => {
          asked.push(BigInt(offset));
          return honest.read(digest, offset, length);
        },
      }),
    ]);
    const sink = new MemorySink(file, { have: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] });
    await bring(peers, sink);
    expect(asked.toSorted()).toEqual([BigInt(11 * CHUNK), BigInt(12 * CHUNK)]);
  });

  it('keeps within the quota of a peer, however many downloads there are', async () => {
    let reading = 0;
    let most = 0;
    const honest = filesOf([model]);
    const peers = await setup([
      filesOf([model], {
        read: async (digest, offset, length) => {
          most = Math.max(most, ++reading);
          const piece = await honest.read(digest, offset, length);
          await new Promise((resolve) => setImmediate(resolve));
          reading--;
          return piece;
        },
      }),
    ]);
    const sinks = [1, 2, 3, 4].map(() => new MemorySink(file));
    const outcomes = await Promise.all(sinks.map((sink) => bring(peers, sink)));
    expect(sinks.every(isWhole)).toBe(true);
    expect(most).toBeLessThanOrEqual(LIMITS.callsPerPeerMax);
    expect(outcomes.every(({ sources }) => sources[0]?.reason === undefined)).toBe(true);
  });
});

describe('serveFiles', () => {
  const ask = ({ to, nodes }: Setup, request: { sha256: string; offset: bigint; length: number }) =>
    to.mesh.call(nodes[0] as string, PEER_METHODS.readFile, request, { signal: never, requestId: '' });
  const holding = ({ to, nodes }: Setup, digests: readonly string[]) =>
    to.mesh.call(nodes[0] as string, PEER_METHODS.holding, { sha256: [...digests] }, { signal: never, requestId: '' });

  it('refuses pieces out of bounds, and digests that are none', async () => {
    const peers = await setup([filesOf([big])]);
    const digest = sha256(big);
    for (const request of [
      { sha256: digest, offset: 0n, length: 0 },
      { sha256: digest, offset: 0n, length: LIMITS.pieceBytes + 1 },
      { sha256: digest, offset: 1n << 60n, length: 1 },
    ]) {
      await expect(ask(peers, request)).rejects.toMatchObject({ code: 'bad_request' });
    }
    for (const traversal of ['../../etc/passwd', `sha256:${digest}`, digest.toUpperCase(), '']) {
      await expect(ask(peers, { sha256: traversal, offset: 0n, length: 1 })).rejects.toMatchObject({
        code: 'not_found',
      });
    }
    // Beyond the end there is nothing.
    expect((await ask(peers, { sha256: digest, offset: BigInt(big.byteLength), length: 1 })).bytes.byteLength).toBe(0);
  });

  it('would read whatever is named if it took digests as they come', async () => {
    // The twin of the case above: the files themselves know no better than the name they are given.
    const names: string[] = [];
    const gullible = filesOf([], {
      holding: (digest) => {
        names.push(digest);
        return { sizeBytes: 1, chunkBytes: CHUNK, chunks: 'all' };
      },
    });
    await expect(ask(await setup([gullible]), { sha256: '../x', offset: 0n, length: 1 })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(names).toEqual([]);
    expect(gullible.holding('../x')).toBeDefined();
  });

  it('says what it has of each file, and nothing of those that it does not know', async () => {
    const partial = { sizeBytes: model.byteLength, chunkBytes: CHUNK, chunks: Uint8Array.of(5, 0) };
    const peers = await setup([
      filesOf([big, model], {
        holding: (digest) => (digest === file.sha256 ? partial : filesOf([big]).holding(digest)),
      }),
    ]);
    const { files } = await holding(peers, [sha256(big), file.sha256, sha256('?'), '../x']);
    expect(files.map(({ sizeBytes, chunks }) => [Number(sizeBytes), [...chunks]])).toEqual([
      [big.byteLength, []],
      [model.byteLength, [5, 0]],
      [0, []],
      [0, []],
    ]);
    const many = Array.from({ length: LIMITS.holdingFilesMax + 1 }, () => file.sha256);
    await expect(holding(peers, many)).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('holds no more in memory for a peer than its share, while that reads slowly', async () => {
    const limits = { ...LIMITS, servedBytesPerPeerMax: 2 * CHUNK };
    let reads = 0;
    const gate = Promise.withResolvers<void>();
    const peers = await setup(
      [
        filesOf([model], {
          read: async (_digest, offset, length) => {
            reads++;
            await gate.promise;
            return { bytes: model.subarray(offset, offset + length), sizeBytes: model.byteLength };
          },
        }),
      ],
      { limits },
    );
    const request = { sha256: file.sha256, offset: 0n, length: CHUNK };
    const calls = Array.from({ length: 5 }, () => ask(peers, request));
    // What comes after the calls, on the same connection, is answered before them.
    for (let turn = 0; turn < 3; turn++) await holding(peers, [file.sha256]);
    expect(reads).toBe(2);
    gate.resolve();
    await Promise.all(calls);
    expect(reads).toBe(5);
  });
});
