// Models that come from a hub and from peers: real daemons, the CLI, and a hub of the tests' own.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type {
  ImportAnswer,
  InferAnswer,
  MeshModelsAnswer,
  PullAnswer,
  VerifyAnswer,
} from '../../protocol/api/control.ts';
import { temporaryFolder } from '../models/temporary.ts';
import type { Daemon, DaemonInit } from '../support/daemon.ts';
import { pair } from '../support/daemon.ts';
import { daemonsOfTest } from '../support/daemons-of-test.ts';
import { type Hub, startHub } from '../support/hub-server.ts';
import { until } from '../support/wait.ts';
import { WIDE_ROWS, type WideModel, wideModel } from '../support/wide-model.ts';

const start = daemonsOfTest();

async function hubWith(...ids: readonly string[]): Promise<{ readonly hub: Hub; readonly models: WideModel[] }> {
  const folder = await temporaryFolder();
  const models: WideModel[] = [];
  for (const [index, id] of ids.entries()) models.push(await wideModel(folder, { id, seed: index + 1 }));
  const hub = await startHub({ folder });
  onTestFinished(() => hub.close());
  return { hub, models };
}

/** A daemon that knows this hub and no cache of other tools. */
async function startAt(hub: Pick<Hub, 'url'>, init: DaemonInit = {}): Promise<Daemon> {
  const { env, ...rest } = init;
  return start({
    ...rest,
    env: { HF_ENDPOINT: hub.url, HF_HOME: await temporaryFolder(), NO_PROXY: '127.0.0.1', ...env },
  });
}

async function json<T>(daemon: Daemon, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await daemon.weft(...args, '--json');
  if (code !== 0) throw new Error(`weft ${args.join(' ')} failed: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Runs the model, on whichever node. */
async function answerOf(daemon: Daemon, model: string): Promise<{ readonly y: unknown; readonly nodes: string[] }> {
  const inputs = [{ name: 'x', dtype: 'float32', shape: [1, WIDE_ROWS], data: X }];
  const response = await fetch(`${daemon.url}/api/v1/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, inputs }),
  });
  if (!response.ok) throw new Error(await response.text());
  const { outputs, nodes } = (await response.json()) as InferAnswer;
  return { y: outputs[0]?.data, nodes };
}

const X = Array.from({ length: WIDE_ROWS }, (_, at) => at);

function expectClose(actual: unknown, wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  for (const [at, value] of wanted.entries()) expect((actual as number[])[at]).toBeCloseTo(value, 4);
}

describe('weft pull', () => {
  it('brings a model from the hub, ready to run, and says what it chose', async () => {
    const { hub, models } = await hubWith('owner/wide');
    const [model] = models as [WideModel];
    const daemon = await startAt(hub);
    const pulled = await json<PullAnswer>(daemon, 'pull', 'owner/wide');
    expect(pulled).toMatchObject({ id: 'owner/wide', wasHere: false, peerBytes: 0 });
    expect(pulled.hubBytes).toBeGreaterThanOrEqual(model.sizeBytes);
    expect(pulled.chosen.join(' ')).toContain('onnx/model.onnx');
    expect(pulled.signers.map(({ key }) => key)).toEqual([daemon.node]);
    expectClose((await answerOf(daemon, 'owner/wide')).y, model.answer(X));
    const { fileBytes } = hub;
    expect(await json<PullAnswer>(daemon, 'pull', 'hf.co/owner/wide')).toMatchObject({ wasHere: true, hubBytes: 0 });
    expect(hub.fileBytes).toBe(fileBytes);
    // Real files, one per content, and none of them a link.
    const folder = join(daemon.home, 'models', 'owner', 'wide');
    for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
      expect(entry.isSymbolicLink()).toBe(false);
    }
    expect((await stat(join(folder, 'onnx', 'model.onnx'))).nlink).toBe(2);
    const restarted = await daemon.stop().then(() => startAt(hub, { home: daemon.home }));
    expectClose((await answerOf(restarted, 'owner/wide')).y, model.answer(X));
    expect((await restarted.weft('rm', 'owner/wide', '--yes')).code).toBe(0);
    expect(await readdir(join(daemon.home, 'models', '.blobs'))).toEqual([]);
  });

  it('takes what a peer has from the peer, though the hub is gone', async () => {
    const { hub, models } = await hubWith('owner/wide');
    const [model] = models as [WideModel];
    const [first, second] = [await startAt(hub), await startAt(hub)];
    await pair(first, second);
    await json(first, 'pull', 'owner/wide');
    await hub.close();
    const listed = await until('the model of the other', async () => {
      const { models: all } = await json<MeshModelsAnswer>(second, 'list', '--mesh');
      return all.find(({ id }) => id === 'owner/wide');
    });
    expect(listed.nodes).toMatchObject([{ node: first.node, self: false, heldBytes: listed.sizeBytes }]);
    // Nobody needs to bring it for a request to be answered.
    expect(await answerOf(second, 'owner/wide')).toMatchObject({ nodes: [first.node] });
    const pulled = await json<PullAnswer>(second, 'pull', 'owner/wide');
    expect(pulled).toMatchObject({ hubBytes: 0, wasHere: false });
    expect(pulled.peerBytes).toBeGreaterThanOrEqual(model.sizeBytes);
    expect(pulled.signers).toMatchObject([{ key: first.node, standing: 'member' }]);
    await first.stop();
    expectClose((await answerOf(second, 'owner/wide')).y, model.answer(X));
  });

  it('goes on after kill -9 with what had come', async () => {
    const { hub, models } = await hubWith('owner/wide');
    const [model] = models as [WideModel];
    const daemon = await startAt(hub);
    hub.lie({ kind: 'slow', on: /onnx/, bytesPerSecond: 8 << 20 });
    const pulling = daemon.weft('pull', 'owner/wide');
    await until('some of it to be here', async () => {
      const response = await fetch(`${daemon.url}/api/v1/transfers`, {
        headers: { authorization: `Bearer ${daemon.key}` },
      });
      const { transfers } = (await response.json()) as { transfers: { doneBytes: number }[] };
      return (transfers[0]?.doneBytes ?? 0) > model.sizeBytes / 3;
    });
    daemon.kill('SIGKILL');
    expect((await pulling).code).not.toBe(0);
    hub.honest();
    const again = await startAt(hub, { home: daemon.home });
    const before = hub.fileBytes;
    const pulled = await json<PullAnswer>(again, 'pull', 'owner/wide');
    expect(pulled.hereBytes).toBeGreaterThan(0);
    expect(hub.fileBytes - before).toBeLessThan(model.sizeBytes);
    expectClose((await answerOf(again, 'owner/wide')).y, model.answer(X));
  });

  it('says why not, and what to do', async () => {
    const { hub } = await hubWith('owner/wide');
    const daemon = await startAt(hub);
    const missing = await daemon.weft('pull', 'owner/nothing');
    expect(missing.code).toBe(6);
    expect(missing.stderr).toMatch(/owner\/nothing/);
    const small = await startAt(hub, { args: ['--storage', '10MB'] });
    const full = await small.weft('pull', 'owner/wide');
    expect(full.code).toBe(7);
    expect(full.stderr).toMatch(/weft gc|weft rm|--storage/);
    expect(hub.requests.filter(({ server }) => server === 'cdn')).toEqual([]);
    const offline = await startAt(hub, { env: { HF_HUB_OFFLINE: '1' } });
    expect((await offline.weft('pull', 'owner/wide')).stderr).toMatch(/HF_HUB_OFFLINE|offline/);
    const strict = await startAt(hub, { args: ['--signers', 'ed25519:'.padEnd(72, '0')] });
    const unsigned = await strict.weft('pull', 'owner/wide');
    expect(unsigned.code).not.toBe(0);
    expect(unsigned.stderr).toMatch(/sign/);
    expect((await json<{ models: { id: string }[] }>(strict, 'list')).models.map(({ id }) => id)).not.toContain(
      'owner/wide',
    );
  });
});

describe('two nodes at one models folder', () => {
  it('read it both, and one alone changes it', async () => {
    const { hub, models } = await hubWith('owner/wide');
    const [model] = models as [WideModel];
    const first = await startAt(hub);
    await json(first, 'pull', 'owner/wide');
    const folder = join(first.home, 'models');
    const second = await startAt(hub, { args: ['--models', folder] });
    expect(second.output()).toContain('this one only reads it');
    expectClose((await answerOf(second, 'owner/wide')).y, model.answer(X));
    for (const args of [['rm', 'owner/wide', '--yes'], ['gc'], ['pull', 'owner/other']]) {
      expect((await second.weft(...args)).code, args.join(' ')).not.toBe(0);
    }
    await first.stop();
    await second.stop();
    const alone = await startAt(hub, { args: ['--models', folder] });
    expect((await alone.weft('rm', 'owner/wide', '--yes')).code).toBe(0);
  });
});

describe('weft verify', () => {
  it('finds a flipped bit and mends it from a peer', async () => {
    const { hub, models } = await hubWith('owner/wide');
    const [model] = models as [WideModel];
    const [first, second] = [await startAt(hub), await startAt(hub)];
    await pair(first, second);
    for (const daemon of [first, second]) await json(daemon, 'pull', 'owner/wide');
    await hub.close();
    const path = join(second.home, 'models', 'owner', 'wide', 'onnx', 'model.onnx');
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    await writeFile(path, bytes);
    const found = await second.weft('verify', 'owner/wide', '--no-repair', '--json');
    expect(found.code).not.toBe(0);
    const { models: reports } = await json<VerifyAnswer>(second, 'verify', 'owner/wide');
    expect(reports).toMatchObject([
      { id: 'owner/wide', repaired: true, damaged: [{ path: 'onnx/model.onnx', chunks: 1 }] },
    ]);
    await first.stop();
    expectClose((await answerOf(second, 'owner/wide')).y, model.answer(X));
  });
});

describe('weft import', () => {
  it('makes a model of any ONNX file, and refuses one that reaches for others', async () => {
    const folder = await temporaryFolder();
    const model = await wideModel(folder, { columns: 1_000 });
    const daemon = await start();
    const file = join(model.folder, 'onnx', 'model.onnx');
    const imported = await json<ImportAnswer>(daemon, 'import', file, '--id', 'me/mine');
    expect(imported).toMatchObject({ id: 'me/mine', task: 'tensor', wasHere: false });
    expectClose((await answerOf(daemon, 'me/mine')).y, model.answer(X));
    await writeFile(join(folder, 'broken.onnx'), (await readFile(file)).subarray(0, 2_000));
    const broken = await daemon.weft('import', join(folder, 'broken.onnx'));
    expect(broken.code).not.toBe(0);
    expect(broken.stderr).toMatch(/ONNX/);
  });
});
