import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exitCodeOf } from '../../../node/config/exit-codes.ts';
import { type ChosenPort, choosePort, type PortInit } from '../../../node/config/ports.ts';
import { WeftError } from '../../../protocol/errors.ts';

const address = '127.0.0.1';

/** Lets go of it with the test. */
async function choose(init: PortInit): Promise<ChosenPort> {
  const chosen = await choosePort(init);
  onTestFinished(() => chosen.release());
  return chosen;
}

async function takePort(): Promise<number> {
  const server = createServer().listen(0, address);
  onTestFinished(() => {
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('choosing a port', () => {
  it('takes the one that is free, and leaves 0 to the system', async () => {
    const port = await freePort();
    expect(await choose({ address, port, asked: true })).toMatchObject({ port, moved: false });
    expect(await choose({ address, port: 0, asked: true })).toMatchObject({ port: 0, moved: false });
  });

  it('moves from a taken default to the next free one, and says so', async () => {
    const taken = await takePort();
    const { port, moved } = await choose({ address, port: taken, asked: false });
    expect(moved).toBe(true);
    expect(port).toBeGreaterThan(taken);
  });

  it('passes over a free one that this process is about to use itself', async () => {
    const taken = await takePort();
    const { port: next, release } = await choose({ address, port: taken, asked: false });
    await release();
    const { port } = await choose({ address, port: taken, asked: false, spokenFor: [next] });
    expect(port).toBeGreaterThan(next);
  });

  it('holds it until it is released: two that choose at once have two', async () => {
    const taken = await takePort();
    const chosen = await Promise.all([1, 2, 3].map(() => choose({ address, port: taken, asked: false })));
    expect(new Set(chosen.map(({ port }) => port)).size).toBe(3);
    const [first] = chosen;
    await expect(choose({ address, port: first?.port ?? 0, asked: true })).rejects.toMatchObject({
      code: 'port_in_use',
    });
    await first?.release();
    expect(await choose({ address, port: first?.port ?? 0, asked: true })).toMatchObject({ moved: false });
  });

  it('refuses a taken one that was asked for, and names its holder', async () => {
    const taken = await takePort();
    const failure = await choose({ address, port: taken, asked: true }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'port_in_use', facts: { port: String(taken) } });
    if (process.platform === 'linux') {
      expect(failure).toMatchObject({ facts: { pid: String(process.pid) } });
    }
  });

  it('waits a moment for one that is just coming free', async () => {
    const server = createServer().listen(0, address);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const chosen = choose({ address, port, asked: true });
    server.close();
    expect(await chosen).toMatchObject({ port, moved: false });
  });

  it('says so when this machine has no such address', async () => {
    await expect(choose({ address: '192.0.2.1', port: 9338, asked: false })).rejects.toMatchObject({
      code: 'config_invalid',
    });
  });
});

describe('exit codes', () => {
  it('follow the code of the error, and are 1 for a defect', () => {
    expect(exitCodeOf(new WeftError({ code: 'port_in_use', message: '' }))).toBe(4);
    expect(exitCodeOf(new WeftError({ code: 'daemon_not_running', message: '' }))).toBe(5);
    expect(exitCodeOf(new TypeError('a defect'))).toBe(1);
    expect(exitCodeOf(new DOMException('', 'AbortError'))).toBe(130);
  });
});
