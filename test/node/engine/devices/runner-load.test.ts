// What a runner answers when it is asked to load a model on a device: over its socket, as the daemon asks.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { modelRef, parseManifest } from '../../../../models/manifest.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import { silentLog } from '../../../../node/core/log.ts';
import { RunnerProcess } from '../../../../node/engine/runner-process.ts';
import { RUNNER_METHODS } from '../../../../protocol/methods.ts';
import { encodeRequest, HELLO } from '../../../compliance/engine-requests.ts';

const FOLDER = fileURLToPath(new URL('../../../../models/bundled/Xenova/all-MiniLM-L6-v2', import.meta.url));
const entry = fileURLToPath(new URL('../../../../node/engine/runner/main.ts', import.meta.url));

async function onRunner<T>(use: (runner: RunnerProcess) => Promise<T>): Promise<T> {
  const noted = (): void => {
    /* nobody asks */
  };
  const liveness = { intervalMs: 100, timeoutMs: 5_000 };
  const runner = new RunnerProcess(
    { clock: systemClock, log: silentLog, onLost: noted, onGone: noted, onReading: noted },
    { nodePath: process.execPath, execArgv: [], entry, args: [], liveness },
  );
  try {
    return await use(runner);
  } finally {
    await runner.stop();
  }
}

async function load(runner: RunnerProcess, provider: string, device: string) {
  const manifestJson = await readFile(join(FOLDER, 'weft-manifest.json'), 'utf8');
  const model = modelRef(parseManifest(manifestJson));
  const request = {
    model,
    folder: FOLDER,
    manifestJson,
    threads: 1,
    provider,
    device,
    verifyLarge: false,
    kvBytesMax: 0n,
    sequencesMax: 1,
    exact: false,
    decoderChecked: false,
    spareBytes: 0n,
    spin: false,
  };
  const options = { signal: new AbortController().signal, requestId: 'r' };
  const loaded = await runner.client.call(RUNNER_METHODS.load, request, options).response;
  const encode = () =>
    runner.client
      .call(RUNNER_METHODS.encode, encodeRequest(model, [HELLO]), options)
      .response.then(({ embeddings }) => embeddings.length);
  return { loaded, encode };
}

describe('a load on a device that the runtime can not use', () => {
  it('is one on the processor, and says why', async () => {
    await onRunner(async (runner) => {
      // Index 15: also where there are NVIDIA devices, there are not so many.
      const { loaded, encode } = await load(runner, 'cuda', '15');
      expect(loaded).toMatchObject({ provider: 'cpu', fallbackReason: expect.stringMatching(/^cuda: ./) });
      expect(await encode()).toBe(384);
    });
  });
});

describe('a load on the processor', () => {
  it('has no reason to tell', async () => {
    await onRunner(async (runner) => {
      const { loaded } = await load(runner, 'cpu', '');
      expect(loaded).toMatchObject({ provider: 'cpu', fallbackReason: '' });
    });
  });
});

describe('a load on what is no provider', () => {
  it.each([
    ['gpu', ''],
    ['cuda', 'first'],
    ['auto', ''],
  ])('%s:%s is refused', async (provider, device) => {
    await onRunner(async (runner) => {
      await expect(load(runner, provider, device)).rejects.toMatchObject({ code: 'bad_request' });
    });
  });
});
