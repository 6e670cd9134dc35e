// The structure of a graph, read in the caged process.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PartRequest } from '../../../node/core/prep.ts';
import { PrepProcess } from '../../../node/prep/prep-process.ts';
import { graphOf } from '../library/support.ts';

const ENTRY = fileURLToPath(new URL('../../../node/prep/main.ts', import.meta.url));
const HOSTILE = fileURLToPath(new URL('./hostile-entry.ts', import.meta.url));
const never = new AbortController().signal;

function open(entry = ENTRY, workMsMax?: number): PrepProcess {
  const init = { entry, nodePath: process.execPath, ...(workMsMax !== undefined && { workMsMax }) };
  const prep = new PrepProcess({ clock: systemClock, log: silentLog }, init);
  onTestFinished(() => prep.stop());
  return prep;
}

/** A graph of 1 MB in ten chunks, of which none is there. */
async function request(): Promise<PartRequest> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-prep-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const bytes = graphOf(1, 1_000_000);
  const from = join(folder, 'data');
  await writeFile(from, bytes);
  return {
    from,
    graph: 'onnx/model.onnx',
    files: [{ path: 'onnx/model.onnx', sizeBytes: bytes.byteLength, chunkBytes: 100_000 }],
    present: new Uint8Array(2),
    part: { inputs: [{ name: 'x', type: 'float32' }], outputs: ['y'] },
  };
}

describe('the part of a graph', () => {
  it('is asked for in rounds, until its structure is there', async () => {
    const prep = open();
    const asked = await request();
    expect(await prep.partFiles(asked, { signal: never })).toEqual({ missing: [0] });
    const present = Uint8Array.of(1, 0);
    expect(await prep.partFiles({ ...asked, present }, { signal: never })).toEqual({ missing: [10] });
    const needs = await prep.partFiles({ ...asked, present: Uint8Array.of(1, 4) }, { signal: never });
    expect(needs).toEqual({
      files: [{ path: 'onnx/model.onnx', chunks: Uint8Array.of(255, 7) }],
      weightBytes: 1_000_000,
    });
  });

  it('passes refusals on, and is there for the next', async () => {
    const prep = open();
    const asked = await request();
    const present = Uint8Array.of(255, 255);
    const part = { inputs: [], outputs: ['z'] };
    await expect(prep.partFiles({ ...asked, present, part }, { signal: never })).rejects.toMatchObject({
      code: 'tensor_invalid',
    });
    await writeFile(asked.from, new Uint8Array(asked.files[0]?.sizeBytes ?? 0).fill(1));
    await expect(prep.partFiles({ ...asked, present }, { signal: never })).rejects.toMatchObject({
      code: 'model_corrupt',
    });
    await expect(
      prep.tokenize('/nowhere', '', { tokensMax: 1, specialTokens: false, signal: never }),
    ).rejects.toThrow();
  });

  it('is given up when it takes too long, or nobody wants it any more', async () => {
    const controller = new AbortController();
    const waiting = open(HOSTILE).partFiles(await request(), { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    const late = open(ENTRY, 1).partFiles(await request(), { signal: never });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('graph') });
  });
});
