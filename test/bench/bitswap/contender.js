// Helia's bitswap as an end of the transfer benchmark, with blocks in a folder. Plain JavaScript with packages of its own
// (`npm ci` in this folder): it brings hundreds of them, which nothing else here needs.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { noise } from '@chainsafe/libp2p-noise';
import { withBitswap } from '@helia/bitswap';
import { withLibp2pLight } from '@helia/libp2p';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { FsBlockstore } from 'blockstore-fs';
import { createHeliaLight } from 'helia';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { sha256 } from 'multiformats/hashes/sha2';

/** Of 256 KiB to 2 MiB the best on loopback. */
const BLOCK_BYTES = 512 << 10;
/** Blocks that are wanted at once: of 4 to 32 the best. */
const WANTED = 8;
const MESSAGE_BYTES_MAX = 4 << 20;

/**
 * @param {string} folder for its blocks
 * @param {readonly string[]} listen
 * @param {{ readonly muxer: Readonly<Record<string, number>> }} limits the mesh's own
 */
async function start(folder, listen, { muxer }) {
  const libp2p = {
    addresses: { listen: [...listen] },
    transports: [tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: muxer.maxInboundStreams,
        maxOutboundStreams: muxer.maxOutboundStreams,
        maxEarlyStreams: muxer.maxEarlyStreams,
        streamOptions: {
          initialStreamWindowSize: muxer.initialStreamWindowBytes,
          maxStreamWindowSize: muxer.maxStreamWindowBytes,
          maxReadBufferLength: muxer.readBufferBytesMax,
          maxWriteBufferLength: 4 * muxer.writeBufferBytesMax,
        },
      }),
    ],
    // Who speaks bitswap is learnt by it.
    services: { identify: identify() },
    connectionMonitor: { enabled: false },
  };
  const blockstore = new FsBlockstore(folder);
  const helia = withBitswap(withLibp2pLight(createHeliaLight({ blockstore }), libp2p), {
    sendWantlistDebounce: 0,
    sendBlocksDebounce: 0,
    maxOutgoingMessageSize: MESSAGE_BYTES_MAX,
    maxIncomingMessageSize: 2 * MESSAGE_BYTES_MAX,
    sendBlocksMaxQueueLength: 1_000,
    maxWantlistSize: 4_096,
    doNotResendBlockWindow: 1,
    messageSendTimeout: 120_000,
    messageReceiveTimeout: 120_000,
    sendBlocksTimeout: 120_000,
    incomingStreamTimeout: 120_000,
  });
  await helia.start();
  return helia;
}

/** Puts a file's blocks into its store. @returns their names, in order */
async function takeIn(helia, path, sizeBytes) {
  const names = [];
  const handle = await open(path);
  for (let offset = 0; offset < sizeBytes; offset += BLOCK_BYTES) {
    const bytes = new Uint8Array(Math.min(BLOCK_BYTES, sizeBytes - offset));
    await handle.read(bytes, 0, bytes.byteLength, offset);
    const digest = createHash('sha256').update(bytes).digest();
    const cid = CID.createV1(raw.code, Digest.create(sha256.code, digest));
    await helia.blockstore.put(cid, bytes);
    names.push(cid.toString());
  }
  await handle.close();
  return names;
}

/** Has a file's blocks. */
export async function serve(folder, { path, sizeBytes }, limits) {
  const helia = await start(folder, ['/ip4/127.0.0.1/tcp/0'], limits);
  const cid = (await takeIn(helia, path, sizeBytes)).join(' ');
  return { address: helia.libp2p.getMultiaddrs()[0]?.toString() ?? '', cid };
}

/** Brings all blocks into an empty store, from the first want to the last block that is written. @returns milliseconds */
export async function fetchBlocks(folder, { from, cid, sizeBytes }, limits) {
  const helia = await start(folder, [], limits);
  try {
    await helia.libp2p.dial(multiaddr(from));
    const cids = cid.split(' ').map((name) => CID.parse(name));
    let next = 0;
    let bytes = 0;
    const begunMs = performance.now();
    await Promise.all(
      Array.from({ length: WANTED }, async () => {
        for (let wanted = cids[next++]; wanted !== undefined; wanted = cids[next++]) {
          for await (const part of helia.blockstore.get(wanted)) bytes += part.byteLength;
        }
      }),
    );
    const ms = performance.now() - begunMs;
    if (bytes !== sizeBytes) throw new Error(`${bytes} bytes came by bitswap.`);
    return ms;
  } finally {
    await helia.stop();
  }
}
