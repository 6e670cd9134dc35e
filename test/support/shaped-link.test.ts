// What the link does to bytes. How exactly it keeps its speed is measured by `npm run bench -- transfer`; here only that
// nothing goes faster, or arrives earlier, than the link allows: a loaded machine makes neither untrue.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ShapedLink, type ShapedLinkInit } from './shaped-link.ts';

const MIB = 1 << 20;

/** However it ended. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.on('close', () => resolve()));

describe('ShapedLink', () => {
  let echo: Server;
  const links: ShapedLink[] = [];
  const sockets: Socket[] = [];
  const accepted: Socket[] = [];

  beforeEach(async () => {
    echo = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });

  afterEach(async () => {
    for (const socket of [...sockets.splice(0), ...accepted.splice(0)]) socket.destroy();
    await Promise.all(links.splice(0).map((link) => link.stop()));
    await new Promise<void>((resolve) => {
      echo.close(() => resolve());
    });
  });

  async function start(init: Omit<ShapedLinkInit, 'target'> = {}): Promise<ShapedLink> {
    const { port } = echo.address() as { port: number };
    const link = await ShapedLink.start({ target: { host: '127.0.0.1', port }, ...init });
    links.push(link);
    return link;
  }

  function client(link: ShapedLink): Socket & { received: Buffer[]; text(): string } {
    const received: Buffer[] = [];
    const socket = Object.assign(connect(link.port, '127.0.0.1'), {
      received,
      text: () => Buffer.concat(received).toString(),
    });
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('error', () => socket.destroy());
    sockets.push(socket);
    return socket;
  }

  /** Sends bytes through and back. @returns milliseconds until the last one is here */
  async function roundTrip(socket: ReturnType<typeof client>, bytes: Buffer): Promise<number> {
    const from = socket.received.length;
    const begun = performance.now();
    socket.write(bytes);
    await vi.waitFor(() => expect(Buffer.concat(socket.received.slice(from)).byteLength).toBe(bytes.byteLength), {
      timeout: 20_000,
      interval: 1,
    });
    expect(Buffer.compare(Buffer.concat(socket.received.slice(from)), bytes)).toBe(0);
    return performance.now() - begun;
  }

  it('passes everything on in order, and an end', async () => {
    const socket = client(await start({ up: { jitterMs: 3 }, down: { jitterMs: 3 } }));
    const bytes = Buffer.from(Array.from({ length: 3 * MIB }, (_, index) => index % 251));
    await roundTrip(socket, bytes);
    socket.end('bye');
    await once(socket, 'close');
    expect(socket.text().endsWith('bye')).toBe(true);
    await vi.waitFor(() => expect(links[0]?.connections).toBe(0));
  });

  it('is no faster and no nearer than it should be', async () => {
    const far = client(await start({ up: { delayMs: 60 }, down: { delayMs: 40 } }));
    expect(await roundTrip(far, Buffer.from('x'))).toBeGreaterThanOrEqual(99);
    const thin = client(await start({ down: { bytesPerSecond: 10 * MIB } }));
    expect(await roundTrip(thin, Buffer.alloc(2 * MIB))).toBeGreaterThanOrEqual(195);
  });

  it('is shared by all that goes through it', async () => {
    const link = await start({ down: { bytesPerSecond: 10 * MIB } });
    const begun = performance.now();
    await Promise.all([client(link), client(link)].map((socket) => roundTrip(socket, Buffer.alloc(MIB))));
    expect(performance.now() - begun).toBeGreaterThanOrEqual(195);
  });

  it('holds its sender back when it is full', async () => {
    const link = await start({ up: { bytesPerSecond: 100 << 10 } });
    const socket = client(link);
    await once(socket, 'connect');
    for (let index = 0; index < 64; index++) socket.write(Buffer.alloc(MIB));
    await vi.waitFor(() => expect(socket.writableNeedDrain).toBe(true));
    // The kernel's buffers take some of it; the link takes no more than its own.
    expect(socket.writableLength).toBeGreaterThan(32 * MIB);
  });

  it('can be stalled in one direction alone', async () => {
    const link = await start();
    const socket = client(link);
    await roundTrip(socket, Buffer.from('1'));
    link.stall('down');
    const heard = vi.fn();
    accepted[0]?.on('data', heard);
    socket.write('2');
    await vi.waitFor(() => expect(heard).toHaveBeenCalled());
    expect(socket.text()).toBe('1');
    link.resume();
    await vi.waitFor(() => expect(socket.text()).toBe('12'));
  });

  it('tells neither end of the other while it is silent, and all of it afterwards', async () => {
    const link = await start();
    const before = client(link);
    await roundTrip(before, Buffer.from('1'));
    link.silence();
    before.write('2');
    const during = client(link);
    during.write('a');
    await once(during, 'connect');
    accepted[0]?.resetAndDestroy();
    expect(before.text()).toBe('1');
    expect(before.destroyed).toBe(false);
    link.resume();
    await closed(before);
    await vi.waitFor(() => expect(during.text()).toBe('a'));
  });

  it('resets what is open, and takes what comes next', async () => {
    const link = await start();
    const socket = client(link);
    await roundTrip(socket, Buffer.from('1'));
    link.reset();
    await closed(socket);
    await roundTrip(client(link), Buffer.from('2'));
  });

  it('can change its shape while bytes flow', async () => {
    const link = await start({ down: { bytesPerSecond: 1 << 10 } });
    const socket = client(link);
    await roundTrip(socket, Buffer.from('x'));
    link.shape('down', { delayMs: 50 });
    expect(await roundTrip(socket, Buffer.alloc(MIB))).toBeGreaterThanOrEqual(49);
  });
});
