// A shaped link, over real sockets and on a clock that the test moves.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LinkInit, ShapedLink } from '../../../../node/cli/demo/link.ts';
import { until } from '../../../support/wait.ts';
import { ManualClock } from '../../core/manual-clock.ts';

let clock: ManualClock;
let target: Server;
let accepted: Socket[];
let link: ShapedLink;
const clients: Socket[] = [];

beforeEach(async () => {
  clock = new ManualClock();
  accepted = [];
  target = createServer({ allowHalfOpen: true }, (socket) => accepted.push(socket.on('error', () => undefined)));
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
});
afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy();
  await link.stop();
  for (const socket of accepted) socket.destroy();
  target.close();
});

/** 10 ms each way, 1 byte a millisecond, unless a test wants it otherwise. */
async function up(over: Partial<LinkInit> = {}): Promise<void> {
  const targetPort = (target.address() as AddressInfo).port;
  link = await ShapedLink.start({ clock }, { latencyMs: 10, bytesPerSecond: 1_000, targetPort, ...over });
}

/** Both ends of a connection over the link. */
async function dial(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const before = accepted.length;
  const near = connect({ port: link.port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
  clients.push(near);
  const far = await until('the connection to arrive', () => accepted[before]);
  return { near, far };
}

/** Collects what arrives. */
function collect(socket: Socket): () => string {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

/** However it closes: `once` of Node rejects at an error. */
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

/** Until the link has taken something in, and waits for its time. */
const taken = (timers: number) => until(`${timers} timers`, () => clock.waiting === timers);

describe('a shaped link', () => {
  it('passes bytes on after its latency and the time that they take, both ways', async () => {
    await up();
    const { near, far } = await dial();
    const [atFar, atNear] = [collect(far), collect(near)];
    near.write('0123456789');
    await taken(1);
    clock.advance(19.9);
    expect(clock.waiting).toBe(1);
    expect(atFar()).toBe('');
    clock.advance(0.1);
    await until('the bytes to arrive', () => atFar() === '0123456789');
    far.write('back');
    await taken(1);
    clock.advance(14);
    await until('the answer to arrive', () => atNear() === 'back');
  });

  it('shares its rate between the connections over it', async () => {
    await up();
    const [one, other] = [await dial(), await dial()];
    const [first, second] = [collect(one.far), collect(other.far)];
    one.near.write('x'.repeat(50));
    await taken(1);
    other.near.write('y'.repeat(50));
    await taken(2);
    clock.advance(60);
    await until('the first to arrive', () => first().length === 50);
    expect(clock.waiting).toBe(1);
    expect(second()).toBe('');
    clock.advance(50);
    await until('the second to arrive', () => second().length === 50);
  });

  it('passes an end on behind the bytes before it, and the other direction goes on', async () => {
    await up();
    const { near, far } = await dial();
    const atFar = collect(far);
    const atNear = collect(near);
    const ended = once(far, 'end');
    near.end('last');
    await taken(1);
    clock.advance(1_000);
    await ended;
    expect(atFar()).toBe('last');
    far.end('answer');
    await taken(1);
    clock.advance(1_000);
    await once(near, 'end');
    expect(atNear()).toBe('answer');
  });

  it('holds a fast sender back', async () => {
    await up({ queueBytesMax: 1_024 });
    const { near, far } = await dial();
    const atFar = collect(far);
    const bytes = 32 << 20;
    // More than sockets and queue hold: writing it can't end before the link lets it through.
    const written = new Promise((resolve) => near.write('x'.repeat(bytes), resolve));
    await taken(1);
    expect(near.writableLength).toBeGreaterThan(0);
    const pump = setInterval(() => clock.advance(1e9), 1);
    try {
      await written;
      await until('all of it to arrive', () => atFar().length === bytes);
    } finally {
      clearInterval(pump);
    }
  });

  it('breaks the other side when one side breaks, and all when it goes down', async () => {
    await up();
    const first = await dial();
    const broken = closed(first.far);
    first.near.resetAndDestroy();
    await broken;
    const second = await dial();
    const [near, far] = [closed(second.near), closed(second.far)];
    await link.stop();
    await Promise.all([near, far]);
    expect(clock.waiting).toBe(0);
    await up();
  });

  it('closes a connection to a port where nobody listens', async () => {
    await up();
    target.close();
    const near = connect({ port: link.port, host: '127.0.0.1' }).on('error', () => undefined);
    await closed(near);
    expect(accepted).toEqual([]);
  });
});
