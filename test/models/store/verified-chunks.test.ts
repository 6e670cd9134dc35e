import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, statSync } from 'node:fs';
import { mkdtemp, open, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { VERIFIED_FILES_MAX, VERIFIED_MS } from '../../../models/limits.ts';
import { ChunkReader, type ReadableFile } from '../../../models/store/chunk-reader.ts';
import { DiskQueue } from '../../../models/store/disk-queue.ts';
import type { DiskJob } from '../../../models/store/disk-thread.ts';
import { openPlain } from '../../../models/store/durable.ts';
import { VerifiedChunks } from '../../../models/store/verified-chunks.ts';

vi.mock(import('../../../models/store/durable.ts'), { spy: true });

const CHUNK = 1024;
const SHA = 'a'.repeat(64);

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-verified-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

describe('VerifiedChunks', () => {
  const stat = (over: Partial<Record<'ino' | 'size' | 'mtimeNs' | 'ctimeNs', bigint>> = {}): BigIntStats =>
    ({ dev: 1n, ino: 2n, size: 3n, mtimeNs: 4n, ctimeNs: 5n, ctimeMs: 0n, ...over }) as BigIntStats;

  it('knows a chunk of the same file, by its digest', () => {
    const verified = new VerifiedChunks();
    verified.add('f', stat(), 7, SHA);
    expect(verified.has('f', stat(), 7, SHA)).toBe(true);
    expect(verified.has('f', stat(), 8, SHA)).toBe(false);
    expect(verified.has('f', stat(), 7, 'b'.repeat(64))).toBe(false);
    expect(verified.has('g', stat(), 7, SHA)).toBe(false);
  });

  it.each(['ino', 'size', 'mtimeNs', 'ctimeNs'] as const)('knows nothing of a file with another %s', (field) => {
    const verified = new VerifiedChunks();
    verified.add('f', stat(), 7, SHA);
    expect(verified.has('f', stat({ [field]: 99n }), 7, SHA)).toBe(false);
  });

  it('looks again after a while', () => {
    let nowMs = 0;
    const verified = new VerifiedChunks({ nowMs: () => nowMs });
    verified.add('f', stat(), 7, SHA);
    nowMs = VERIFIED_MS - 1;
    expect(verified.has('f', stat(), 7, SHA)).toBe(true);
    nowMs = VERIFIED_MS;
    expect(verified.has('f', stat(), 7, SHA)).toBe(false);
  });

  it('tells without the file which chunks need no look at it', () => {
    let nowMs = 0;
    const verified = new VerifiedChunks({ nowMs: () => nowMs });
    verified.add('f', stat(), 7, SHA);
    expect(verified.mayHave('f', 7, SHA)).toBe(true);
    expect(verified.mayHave('f', 8, SHA)).toBe(false);
    expect(verified.mayHave('f', 7, 'b'.repeat(64))).toBe(false);
    expect(verified.mayHave('g', 7, SHA)).toBe(false);
    nowMs = VERIFIED_MS;
    expect(verified.mayHave('f', 7, SHA)).toBe(false);
  });

  it('does not trust the times of a file that changed just now, or in the future', () => {
    const verified = new VerifiedChunks({ wallMs: () => 1_000 });
    verified.add('f', stat(), 7, SHA);
    expect(verified.mayHave('f', 7, SHA)).toBe(false);
  });

  it('remembers a bounded number of files', () => {
    const verified = new VerifiedChunks();
    for (let file = 0; file <= VERIFIED_FILES_MAX; file++) verified.add(String(file), stat(), 0, SHA);
    expect(verified.mayHave('0', 0, SHA)).toBe(false);
    expect(verified.mayHave('1', 0, SHA)).toBe(true);
  });
});

describe('a chunk that is read again', () => {
  const bytes = randomBytes(3 * CHUNK);
  let file: ReadableFile;
  let queue: DiskQueue;
  let reads: Extract<DiskJob, { kind: 'read' }>[];
  let reader: ChunkReader;

  beforeEach(async () => {
    const path = join(folder, 'file');
    await writeFile(path, bytes);
    const sha256 = [0, 1, 2].map((index) => digestOf(bytes.subarray(index * CHUNK, (index + 1) * CHUNK)));
    file = { sha256: SHA, sizeBytes: bytes.byteLength, chunks: { sizeBytes: CHUNK, sha256 }, paths: [path] };
    queue = new DiskQueue();
    reads = [];
    const run = queue.run.bind(queue);
    vi.spyOn(queue, 'run').mockImplementation((job, options) => {
      if (job.kind === 'read') reads.push(job);
      return run(job, options);
    });
    reader = new ChunkReader({ queue, onBad: () => undefined });
    // The file was written long ago, as far as the reader can tell.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  });
  afterEach(() => queue.close());

  const read = (offset: number, length: number): Promise<Uint8Array | undefined> =>
    reader.read(file, offset, length, () => true);

  it('is not hashed again, and no more of it is read than was asked for', async () => {
    expect(await read(0, CHUNK)).toEqual(Uint8Array.from(bytes.subarray(0, CHUNK)));
    expect(Uint8Array.from((await read(10, 20)) ?? [])).toEqual(Uint8Array.from(bytes.subarray(10, 30)));
    expect(reads.map(({ length, expected }) => [length, expected !== undefined])).toEqual([
      [CHUNK, true],
      [20, false],
    ]);
  });

  it('costs its file one opening, the first time and later', async () => {
    const opened = vi.mocked(openPlain);
    for (const offset of [0, CHUNK, 0]) {
      opened.mockClear();
      await read(offset, CHUNK);
      expect(opened).toHaveBeenCalledTimes(1);
    }
  });

  it('is hashed again when its file was written, whatever its time of change is set to', async () => {
    await read(0, CHUNK);
    const path = file.paths[0] as string;
    const { atimeMs, mtimeMs } = statSync(path);
    await using handle = await open(path, 'r+');
    await handle.write(Buffer.from([(bytes[5] ?? 0) ^ 1]), 0, 1, 5);
    await utimes(path, atimeMs / 1_000, mtimeMs / 1_000);
    expect(await read(0, CHUNK)).toBeUndefined();
  });

  it('spans a known chunk and one that is not', async () => {
    await read(0, CHUNK);
    const across = await read(CHUNK - 4, 8);
    expect(Uint8Array.from(across ?? [])).toEqual(Uint8Array.from(bytes.subarray(CHUNK - 4, CHUNK + 4)));
  });
});
