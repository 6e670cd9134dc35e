// Bad starts, taken ports and folders, altered files, and a daemon that is killed: each a clear error, nothing left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { clientOf, streamChat } from '../support/chat.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { pair, runWeft } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { freePort } from '../support/free-port.ts';
import { isAlive, until } from '../support/wait.ts';

const BUNDLED = new URL('../../models/bundled/', import.meta.url).pathname;
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
const start = daemonsOfTest();
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'weft-faults-'));
  folders.push(path);
  return path;
}

describe('a start that can not succeed', () => {
  it('names the port that is in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const { code, stderr } = await runWeft(['serve'], { WEFT_HOME: await folder(), WEFT_HOST: `127.0.0.1:${port}` });
    holder.close();
    expect(code).toBe(4);
    expect(stderr).toContain(String(port));
  });

  it('names the data folder that another daemon holds', async () => {
    const daemon = await start();
    const { code, stderr } = await runWeft(['serve'], { WEFT_HOME: daemon.home, WEFT_HOST: '127.0.0.1:0' });
    expect(code).toBe(3);
    expect(stderr).toContain(daemon.home);
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
  });

  it('names a data folder that can not be written', async () => {
    const home = join(await folder(), 'home');
    // A file where the folder should be: also root can't write into it.
    await writeFile(home, '');
    const { code, stderr } = await runWeft(['serve'], { WEFT_HOME: home, WEFT_HOST: '127.0.0.1:0' });
    expect(code).toBe(3);
    expect(stderr).toMatch(/WEFT_HOME|data folder/);
  });

  it('refuses to listen beyond loopback without a key that was chosen', async () => {
    const { code, stderr } = await runWeft(['serve'], { WEFT_HOME: await folder(), WEFT_HOST: '0.0.0.0:0' });
    expect(code).toBe(3);
    expect(stderr).toMatch(/WEFT_API_KEY/);
  });

  it.each([
    ['nonsense', /ticket/i],
    ['weft1', /ticket/i],
  ])('refuses the ticket "%s"', async (ticket, reason) => {
    const home = await folder();
    const { code, stderr } = await runWeft(['join', ticket], { WEFT_HOME: home });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(reason);
  });

  it('says that no daemon runs', async () => {
    const { code, stderr } = await runWeft(['peers'], { WEFT_HOME: await folder() });
    expect(code).toBe(5);
    expect(stderr).toContain('weft serve');
  });
});

describe('a model file that was altered', () => {
  it.each([
    ['a small file', 'config.json'],
    ['a big file', 'onnx/model_int8.onnx'],
  ])('is named, and not run (%s)', async (_what, file) => {
    const models = await folder();
    const id = 'Xenova/all-MiniLM-L6-v2';
    await cp(join(BUNDLED, id), join(models, id), { recursive: true });
    const path = join(models, id, file);
    const handle = await open(path, 'r+');
    await handle.write(Buffer.from([0x20]), 0, 1, Math.floor((await stat(path)).size / 2));
    await handle.close();
    const daemon = await start({ env: { WEFT_MODELS: models } });
    const error = await clientOf(daemon)
      .embeddings.create({ model: 'minilm', input: 'Hello' })
      .then(
        () => undefined,
        (thrown: unknown) => thrown as { status: number; message: string; error: { weft_code: string } },
      );
    expect(error?.status).toBe(503);
    expect(error?.error.weft_code).toBe('model_corrupt');
    expect(error?.message).toContain(file);
    // The node goes on serving what is whole.
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
  });
});

describe('a daemon that is killed', () => {
  it('takes its runners with it, and the same folder and ports start again at once', async () => {
    const port = await freePort();
    const swarm = await freePort();
    const env = { WEFT_HOST: `127.0.0.1:${port}`, WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${swarm}` };
    const first = await start({ env });
    await streamChat(first, { maxTokens: 2 });
    const children = await first.children();
    expect(children.length).toBeGreaterThan(0);
    first.kill('SIGKILL');
    for (const pid of children) await until(`child ${pid} to be gone`, async () => !(await isAlive(pid)));
    const again = await start({ home: first.home, env });
    expect(again.node).toBe(first.node);
    expect(again.key).toBe(first.key);
    await streamChat(again, { maxTokens: 2 });
  });

  it('also takes those that are in the middle of a long answer', async () => {
    const daemon = await start();
    const lost = streamChat(daemon, {
      maxTokens: 4000,
      onPiece: (count) => count === 5 && daemon.kill('SIGKILL'),
    });
    const children = await until('a runner', async () => {
      const pids = await daemon.children();
      return pids.length > 0 && pids;
    });
    await expect(lost).rejects.toThrow();
    for (const pid of children) await until(`child ${pid} to be gone`, async () => !(await isAlive(pid)));
  });

  it('is connected to its mesh again after a restart', async () => {
    const first = await start();
    const second = await start();
    await pair(first, second);
    await connectedPeers(first, 1);
    second.kill('SIGKILL');
    await once(second.child, 'exit').catch(() => undefined);
    const again = await start({ home: second.home });
    await connectedPeers(again, 1);
    await connectedPeers(first, 1);
  });

  it('ends runners that an earlier run left behind stopped', async () => {
    const daemon = await start();
    await streamChat(daemon, { maxTokens: 2 });
    const children = await daemon.children();
    for (const pid of children) process.kill(pid, 'SIGSTOP');
    daemon.kill('SIGKILL');
    await start({ home: daemon.home });
    for (const pid of children) await until(`stopped child ${pid} to be gone`, async () => !(await isAlive(pid)));
  });
});

describe('the packaged Node', () => {
  it('is what runs the bin, whatever Node starts it', async () => {
    const child = spawn(process.execPath, [new URL('../../bin/weft.js', import.meta.url).pathname, '--version']);
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });
});
