// Whether a shaped link is what it says: the speed and the round trip that plain TCP finds on it.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { freePort } from '../support/free-port.ts';
import { median } from './harness.ts';
import { TransferProcess } from './transfer-process.ts';

interface Shape {
  readonly bytesPerSecond: number;
  readonly delayMs: number;
}

const ROUND_TRIPS = 10;
/** As much as half a second takes. */
const SECONDS = 0.5;
const PIECE = Buffer.alloc(1 << 20, 1);

/** A connection through a link with such a shape, to a server that does this with what it accepts. */
async function through<T>(
  shape: Shape,
  serve: (socket: Socket) => void,
  use: (socket: Socket) => Promise<T>,
): Promise<T> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [port, links] = [await freePort(), new TransferProcess()];
  try {
    const { port: targetPort } = server.address() as AddressInfo;
    await links.open('links', { links: [{ port, targetPort, ...shape }] });
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    try {
      return await use(socket);
    } finally {
      socket.destroy();
    }
  } finally {
    links.stop();
    server.close();
  }
}

/** Milliseconds that a few bytes take there and back. */
export function linkRoundTripMs(shape: Shape): Promise<number> {
  return through(
    shape,
    (socket) => socket.pipe(socket),
    async (socket) => {
      const samples: number[] = [];
      for (let index = 0; index < ROUND_TRIPS; index++) {
        const begunMs = performance.now();
        socket.write('x');
        await once(socket, 'data');
        samples.push(performance.now() - begunMs);
      }
      return median(samples);
    },
  );
}

/** Speed of a long answer behind its first byte, as a share of what the link has. */
export function linkRateShare(shape: Shape): Promise<number> {
  const bytes = Math.ceil((shape.bytesPerSecond * SECONDS) / PIECE.byteLength) * PIECE.byteLength;
  return through(
    shape,
    (socket) => {
      socket.once('data', async () => {
        for (let sent = 0; sent < bytes && !socket.destroyed; sent += PIECE.byteLength) {
          if (!socket.write(PIECE)) await once(socket, 'drain').catch(() => undefined);
        }
      });
    },
    async (socket) => {
      socket.write('go');
      let begunMs = 0;
      let received = 0;
      for await (const chunk of socket) {
        if (begunMs === 0) begunMs = performance.now();
        else received += (chunk as Buffer).byteLength;
        if (received >= bytes - (128 << 10)) break;
      }
      return (received * 1_000) / (performance.now() - begunMs) / shape.bytesPerSecond;
    },
  );
}
