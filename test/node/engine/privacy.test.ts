// ONNX Runtime tells its maker nothing of what runs here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { encodeRequest, HELLO, workOptions } from '../../compliance/engine-requests.ts';
import { minilm, startEngine, temporaryFolder } from './support.ts';

const everything = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).filter((name) => !name.startsWith('weft-engine-'));

/** A home and a temporary folder of their own, so that whatever is left there is seen. */
async function watchedFolders() {
  const folder = await temporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const env = { HOME: join(folder.path, 'home'), TMPDIR: join(folder.path, 'tmp'), XDG_CACHE_HOME: '' };
  await mkdir(env.HOME);
  await mkdir(env.TMPDIR);
  return { env, left: async () => [...(await everything(env.HOME)), ...(await everything(env.TMPDIR))] };
}

describe.skipIf(process.platform !== 'linux')('a runner', () => {
  it('leaves no trace of the runtime in the home and temporary folders', async () => {
    const encoder = await minilm();
    const { env, left } = await watchedFolders();
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    await using started = await startEngine([encoder]);
    await started.engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
    await started.engine.stop();
    expect(await left()).toEqual([]);
  });

  it('would leave some, were the runtime not told otherwise', async () => {
    const { env, left } = await watchedFolders();
    const graph = join((await minilm()).folder, 'onnx/model_int8.onnx');
    const script = `const { InferenceSession } = require(${JSON.stringify(createRequire(import.meta.url).resolve('onnxruntime-node'))});
      InferenceSession.create(${JSON.stringify(graph)}).then(() => process.exit(0));`;
    // Nothing else: on machines that build and test, which it knows by their variables, it keeps quiet by itself.
    const bare = { PATH: process.env.PATH, ...env };
    const child = spawn(process.execPath, ['--eval', script], { env: bare, stdio: 'ignore' });
    await once(child, 'exit');
    expect(await left()).not.toEqual([]);
  });
});
