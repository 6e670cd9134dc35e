import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SilentProxy } from './silent-proxy.ts';

describe('SilentProxy', () => {
  let server: Server;
  let proxy: SilentProxy;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.stop();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  });

  function client(): Socket & { received: string } {
    const socket = Object.assign(connect(proxy.port, '127.0.0.1'), { received: '' });
    socket.on('data', (chunk) => {
      socket.received += chunk.toString();
    });
    sockets.push(socket);
    return socket;
  }

  it('forwards both ways', async () => {
    const socket = client();
    socket.write('hello');
    await vi.waitFor(() => expect(socket.received).toBe('hello'));
  });

  it('passes on an end', async () => {
    const socket = client();
    socket.end('bye');
    await once(socket, 'close');
    expect(socket.received).toBe('bye');
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('passes nothing on while silent, and all of it in order afterwards', async () => {
    const before = client();
    before.write('1');
    await vi.waitFor(() => expect(before.received).toBe('1'));
    proxy.silence();
    before.write('2');
    const during = client();
    during.write('a');
    await once(during, 'connect');
    const silent = await Promise.race([
      once(before, 'data').then(() => 'data'),
      new Promise((resolve) => setTimeout(() => resolve('silence'), 100)),
    ]);
    expect(silent).toBe('silence');
    expect(during.received).toBe('');
    before.write('3');
    proxy.resume();
    await vi.waitFor(() => expect(before.received).toBe('123'));
    await vi.waitFor(() => expect(during.received).toBe('a'));
  });

  it('hides the end of one side from the other while silent', async () => {
    const socket = client();
    socket.write('x');
    await vi.waitFor(() => expect(socket.received).toBe('x'));
    proxy.silence();
    socket.destroy();
    expect(proxy.connections).toBe(1);
    proxy.resume();
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('resets what is open and accepts again', async () => {
    const socket = client();
    socket.write('x');
    await vi.waitFor(() => expect(socket.received).toBe('x'));
    const failed = once(socket, 'error');
    proxy.reset();
    expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
    const next = client();
    next.write('y');
    await vi.waitFor(() => expect(next.received).toBe('y'));
  });

  it('delays every byte', async () => {
    proxy.delay(60);
    const socket = client();
    const startMs = performance.now();
    socket.write('slow');
    await vi.waitFor(() => expect(socket.received).toBe('slow'));
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(115);
  });
});
