// What libp2p itself can do: plain streams between two processes, with the mesh's own transports and limits, read from a
// file and written to one. Nothing is verified, unless that is asked for.
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Connection, Stream } from '@libp2p/interface';
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
/** Of a stream that is held to a rate: as Weft's beside inference, so that no piece keeps an event loop for long. */
const PACED_PIECE_BYTES = MESH_LIMITS.transfer.pieceBytesMin;
/** What a stream is to send: from where, how much, and how many bytes a second (0 = as fast as it goes). */
const ASKED_BYTES = 24;

/** Part of a file. */
interface Part {
  readonly offset: number;
  readonly length: number;
}

interface PlainOptions {
  /** Resets the streams. */
  readonly signal?: AbortSignal;
  /** Told of what is written. */
  readonly onBytes?: (bytes: number) => void;
}

/** libp2p as the mesh sets it up. */
export async function plainLibp2p(listen: readonly string[]): Promise<Libp2p> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', randomBytes(32));
  const hearing = new Hearing({ clock: systemClock });
  const options = baseOptions({ privateKey, limits: MESH_LIMITS, hearing, gater: {} });
  const libp2p = await createLibp2p({ ...options, addresses: { listen: [...listen] } });
  await libp2p.start();
  return libp2p;
}

async function serve(libp2p: Libp2p, { path }: BenchFile): Promise<void> {
  await libp2p.handle(
    PROTOCOL,
    (stream) => {
      let asked = Buffer.alloc(0);
      const listen = ({ data }: { readonly data: Uint8Array | { subarray(): Uint8Array } }): void => {
        asked = Buffer.concat([asked, data.subarray()]);
        if (asked.byteLength < ASKED_BYTES) return;
        stream.removeEventListener('message', listen);
        // A receiver that went away is its own process's failure.
        send(stream, path, asked).catch((error: unknown) => stream.abort(error as Error));
      };
      stream.addEventListener('message', listen);
    },
    { maxInboundStreams: 16 },
  );
}

/** Sends what was asked for, as fast as the stream takes it or at the rate that it is held to. */
async function send(stream: Stream, path: string, asked: Buffer): Promise<void> {
  const [begin, length, rate] = [0, 8, 16].map((at) => asked.readDoubleLE(at)) as [number, number, number];
  const pieceBytes = rate === 0 ? PIECE_BYTES : PACED_PIECE_BYTES;
  await using handle = await open(path);
  const writer = new StreamWriter({ stream, clock: systemClock }, { limits: MESH_LIMITS });
  const begunMs = performance.now();
  for (let sent = 0; sent < length; sent += pieceBytes) {
    const earlyMs = rate === 0 ? 0 : (sent * 1_000) / rate - (performance.now() - begunMs);
    if (earlyMs > 1) await sleep(earlyMs);
    const bytes = Buffer.allocUnsafeSlow(Math.min(pieceBytes, length - sent));
    await handle.read(bytes, 0, bytes.byteLength, begin + sent);
    await writer.write([bytes]);
  }
  await stream.close();
}

/** On a thread of the runtime's own: beside the event loop it was a quarter faster than on it. */
async function verify(bytes: Uint8Array<ArrayBuffer>, expected: string | undefined): Promise<void> {
  const digest = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
  if (digest !== expected) throw new Error('A chunk came that is not the file.');
}

/** Writes a part of the file as it comes. */
async function receive(
  connection: Connection,
  handle: FileHandle,
  { offset, length }: Part,
  { file, plain = {} }: FetchRequest,
  { signal, onBytes }: PlainOptions,
): Promise<void> {
  const { streams = 1, isVerified = false, bytesPerSecond = 0 } = plain;
  // A chunk is whole when it is written, where it is verified before that.
  const pieceBytes = isVerified ? file.chunks.sizeBytes : PIECE_BYTES;
  const stream = await connection.newStream(PROTOCOL, { maxOutboundStreams: 16 });
  const asked = Buffer.alloc(ASKED_BYTES);
  for (const [at, value] of [offset, length, bytesPerSecond / streams].entries()) asked.writeDoubleLE(value, at * 8);
  stream.send(asked);
  const stop = (): void => stream.abort(new Error('It is not wanted any more.'));
  signal?.addEventListener('abort', stop, { once: true });
  let piece = Buffer.allocUnsafeSlow(pieceBytes);
  let filled = 0;
  let at = offset;
  let writing: Promise<unknown> = Promise.resolve();
  // One piece is written while the next one comes.
  const flush = async (): Promise<void> => {
    const [bytes, from] = [piece.subarray(0, filled), at];
    if (filled === 0) return;
    piece = Buffer.allocUnsafeSlow(pieceBytes);
    at += filled;
    filled = 0;
    await writing;
    writing = (async () => {
      if (isVerified) await verify(bytes, file.chunks.sha256[from / pieceBytes]);
      await handle.write(bytes, 0, bytes.byteLength, from);
      onBytes?.(bytes.byteLength);
    })();
  };
  for await (const data of stream) {
    for (const part of data instanceof Uint8Array ? [data] : data) {
      for (let taken = 0; taken < part.byteLength; ) {
        const count = Math.min(part.byteLength - taken, pieceBytes - filled);
        piece.set(part.subarray(taken, taken + count), filled);
        filled += count;
        taken += count;
        if (filled === pieceBytes) await flush();
      }
    }
  }
  signal?.removeEventListener('abort', stop);
  await flush();
  await writing;
  if (at !== offset + length) throw new Error(`${at - offset} bytes came over a plain stream.`);
}

/** Parts of a file that end where chunks do. */
function partsOf({ sizeBytes, chunks }: BenchFile, count: number): Part[] {
  const chunksOfOne = Math.ceil(sizeBytes / chunks.sizeBytes / count);
  const parts: Part[] = [];
  for (let offset = 0; offset < sizeBytes; offset += chunksOfOne * chunks.sizeBytes) {
    parts.push({ offset, length: Math.min(chunksOfOne * chunks.sizeBytes, sizeBytes - offset) });
  }
  return parts;
}

/** Fetches a file into one of this path, and deletes it. */
export async function fetchPlain(
  libp2p: Libp2p,
  path: string,
  request: FetchRequest,
  options: PlainOptions = {},
): Promise<Fetched> {
  const { from, file, plain = {} } = request;
  const addresses = from.map((address) => multiaddr(address));
  const parts = partsOf(file, plain.streams ?? 1);
  const connections: Connection[] = [];
  for (const _ of parts) connections.push(await libp2p.dial(addresses, { force: connections.length > 0 }));
  try {
    const begunMs = performance.now();
    await using handle = await open(path, 'w');
    await Promise.all(
      parts.map((part, index) => receive(connections[index] as Connection, handle, part, request, options)),
    );
    await handle.sync();
    return { ms: performance.now() - begunMs };
  } finally {
    await rm(path, { force: true });
    for (const connection of connections.slice(1)) await connection.close();
  }
}

export async function openStream({ folder, file, ports }: Roles['stream']): Promise<End> {
  const libp2p = await plainLibp2p(file === undefined ? [] : [`/ip4/127.0.0.1/tcp/${ports?.listen ?? 0}`]);
  if (file !== undefined) await serve(libp2p, file);
  const address = libp2p.getMultiaddrs()[0]?.toString() ?? '';
  return {
    address: ports === undefined ? address : address.replace(`/tcp/${ports.listen}/`, `/tcp/${ports.announce}/`),
    fetch: async (request) => {
      await mkdir(folder, { recursive: true });
      return fetchPlain(libp2p, join(folder, 'stream'), request);
    },
  };
}
