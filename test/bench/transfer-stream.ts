// What libp2p itself can do: one plain stream between two processes, with the mesh's own transports and limits, read from
// a file and written to one. Nothing is verified.
import { randomBytes } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import { systemClock } from '../../node/core/clock.ts';
import { StreamWriter } from '../../node/mesh/frame-stream.ts';
import { baseOptions } from '../../node/mesh/host.ts';
import { MESH_LIMITS } from '../../node/mesh/limits.ts';
import { Hearing } from '../../node/mesh/transport.ts';
import type { End } from './transfer-child.ts';
import type { BenchFile } from './transfer-file.ts';
import type { Fetched, FetchRequest, Roles } from './transfer-process.ts';

const PROTOCOL = '/bench/stream/1';
/** Large pieces are fast: of 64 KiB to 4 MiB this was the best, for reading, sending and writing alike. */
const PIECE_BYTES = 1 << 20;

/** libp2p as the mesh sets it up. */
export async function plainLibp2p(listen: readonly string[]): Promise<Libp2p> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', randomBytes(32));
  const hearing = new Hearing({ clock: systemClock });
  const options = baseOptions({ privateKey, limits: MESH_LIMITS, hearing, gater: {} });
  const libp2p = await createLibp2p({ ...options, addresses: { listen: [...listen] } });
  await libp2p.start();
  return libp2p;
}

async function serve(libp2p: Libp2p, { path, sizeBytes }: BenchFile): Promise<void> {
  await libp2p.handle(PROTOCOL, async (stream) => {
    await using handle = await open(path);
    const writer = new StreamWriter({ stream, clock: systemClock }, { limits: MESH_LIMITS });
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const bytes = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, sizeBytes - offset));
      await handle.read(bytes, 0, bytes.byteLength, offset);
      await writer.write([bytes]);
    }
    await stream.close();
  });
}

async function fetchFile(libp2p: Libp2p, path: string, { from, file }: FetchRequest): Promise<Fetched> {
  await libp2p.dial(from.map((address) => multiaddr(address)));
  const begunMs = performance.now();
  const stream = await libp2p.dialProtocol(
    from.map((address) => multiaddr(address)),
    PROTOCOL,
  );
  await using handle = await open(path, 'w');
  let piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let filled = 0;
  let offset = 0;
  let writing: Promise<unknown> = Promise.resolve();
  // One piece is written while the next one comes.
  const flush = async (): Promise<void> => {
    const [bytes, at] = [piece.subarray(0, filled), offset];
    piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    offset += filled;
    filled = 0;
    await writing;
    writing = handle.write(bytes, 0, bytes.byteLength, at);
  };
  for await (const data of stream) {
    for (const part of data instanceof Uint8Array ? [data] : data) {
      for (let taken = 0; taken < part.byteLength; ) {
        const count = Math.min(part.byteLength - taken, PIECE_BYTES - filled);
        piece.set(part.subarray(taken, taken + count), filled);
        filled += count;
        taken += count;
        if (filled === PIECE_BYTES) await flush();
      }
    }
  }
  await flush();
  await writing;
  await handle.sync();
  const ms = performance.now() - begunMs;
  if (offset !== file.sizeBytes) throw new Error(`${offset} bytes came over the plain stream.`);
  return { ms };
}

export async function openStream({ folder, file }: Roles['stream']): Promise<End> {
  const libp2p = await plainLibp2p(file === undefined ? [] : ['/ip4/127.0.0.1/tcp/0']);
  if (file !== undefined) await serve(libp2p, file);
  return {
    address: libp2p.getMultiaddrs()[0]?.toString() ?? '',
    fetch: async (request) => {
      await mkdir(folder, { recursive: true });
      const path = join(folder, 'stream');
      try {
        return await fetchFile(libp2p, path, request);
      } finally {
        await rm(path, { force: true });
      }
    },
  };
}
