import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readOnnx } from '../../../../models/onnx/parse.ts';
import { memorySource } from '../../../../models/onnx/protobuf.ts';
import { runChild } from '../../../../node/engine/devices/child.ts';
import { cleanName, isSoftwareName, shortReason } from '../../../../node/engine/devices/device.ts';
import { probeDevice, readProbe } from '../../../../node/engine/devices/probe.ts';
import { copyGraph, PRODUCTS, productsGraph } from '../../../../node/engine/devices/probe-graph.ts';
import { providerOptions } from '../../../../node/engine/devices/provider.ts';

const entry = fileURLToPath(new URL('../../../../node/engine/runner/main.ts', import.meta.url));
const init = { nodePath: process.execPath, entry };
const { signal } = new AbortController();
const child = (script: string, args: readonly string[] = [], deadlineMs = 20_000) =>
  runChild(init, script, args, { signal, deadlineMs });

describe('a child that looks at devices', () => {
  it('answers with what it was given, whatever was printed before', async () => {
    expect(await child(`console.log('noise'); answer(args);`, ['a b', '$(c)'])).toEqual({
      ok: true,
      value: ['a b', '$(c)'],
    });
  });

  it('finds the packages of the runner', async () => {
    const answer = await child(`answer(typeof load('onnxruntime-node').listSupportedBackends);`);
    expect(answer).toEqual({ ok: true, value: 'function' });
  });

  it('tells what went wrong', async () => {
    expect(await child(`throw new Error('no adapter at /opt/x/y.so');`)).toEqual({
      ok: false,
      reason: 'no adapter at …',
    });
  });

  it.skipIf(process.platform === 'win32')('costs nothing but an answer when it crashes', async () => {
    const answer = await child(`process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {});`);
    expect(answer).toEqual({ ok: false, reason: 'its process ended by SIGSEGV' });
  });

  it('is ended when it hangs inside native code', async () => {
    const answer = await child(`Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`, [], 1_000);
    expect(answer).toMatchObject({ ok: false });
  });

  it('is ended when it prints without end', async () => {
    const answer = await child(`const line = 'x'.repeat(1 << 16); for (;;) require('node:fs').writeSync(1, line);`);
    expect(answer).toMatchObject({ ok: false });
  });

  it('ends without an answer where it has none', async () => {
    expect(await child(`process.exit(0);`)).toEqual({ ok: false, reason: 'the process ended without an answer' });
  });

  it('is ended with whoever asked', async () => {
    const stop = new AbortController();
    const asked = runChild(init, `await new Promise(() => setInterval(() => {}, 1000));`, [], {
      signal: stop.signal,
      deadlineMs: 20_000,
    });
    stop.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });
});

describe('the probe', () => {
  it('has graphs that are what they say', () => {
    const products = readOnnx(memorySource(productsGraph()));
    expect(products.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(products.outputs.map(({ name }) => name)).toEqual(['y']);
    expect(PRODUCTS).toBeGreaterThan(1);
    expect(readOnnx(memorySource(copyGraph())).outputs).toHaveLength(1);
  });

  it('measures the processor', async () => {
    const probe = await probeDevice(init, { kind: 'cpu', index: 0 }, 1, signal);
    expect(probe).toMatchObject({ ok: true });
    if (!probe.ok) return;
    expect(probe.gflops).toBeGreaterThan(0);
    expect(probe.copyBytesPerS).toBeGreaterThan(0);
  });

  it('says why a device can not be used', async () => {
    const probe = await probeDevice(init, { kind: 'cuda', index: 9 }, 1, signal);
    expect(probe.ok || probe.reason).not.toBe('');
  });

  it.each([undefined, null, {}, { gflops: 'many' }, { gflops: 1, copyBytesPerS: -1 }, { gflops: Number.NaN }])(
    'believes no figures such as %j',
    (value) => {
      expect(readProbe(value)).toEqual({ ok: false, reason: 'measuring gave no figures' });
    },
  );
});

describe('the words for devices', () => {
  it.each([
    'SwiftShader Device',
    'llvmpipe (LLVM 17)',
    './libvk_swiftshader.so',
    'libvulkan_lvp.so',
    'Microsoft Basic Render Driver',
  ])('know %s for software', (name) => {
    expect(isSoftwareName(name)).toBe(true);
  });

  it.each(['NVIDIA H200', 'libvulkan_radeon.so', 'Apple M4', 'WARPED Graphics'])('take %s for hardware', (name) => {
    expect(isSoftwareName(name)).toBe(false);
  });

  it('are one short line', () => {
    expect(cleanName(' a\n\u202eb\u0000 ')).toBe('a b');
    expect(cleanName(3, 'none')).toBe('none');
    expect([...cleanName('😀'.repeat(500))].length).toBeLessThanOrEqual(96);
    expect(shortReason('/src/webgpu.cc:136 Initialize() ok was false. Failed: No adapters')).toBe(
      'Failed: No adapters',
    );
  });

  it('give a device to those providers that take one', () => {
    expect(providerOptions('cuda', 2)).toEqual({ name: 'cuda', deviceId: 2 });
    expect(providerOptions('dml', 1)).toEqual({ name: 'dml', deviceId: 1 });
    // The binding refuses it there.
    expect(providerOptions('webgpu', 0)).toEqual({ name: 'webgpu' });
    expect(providerOptions('cpu', 0)).toEqual({ name: 'cpu' });
  });
});
