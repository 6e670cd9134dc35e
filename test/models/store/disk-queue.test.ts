import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DISK_THREAD, DiskQueue } from '../../../models/store/disk-queue.ts';
import { temporaryFolder } from '../temporary.ts';
import { openStore } from './fixtures.ts';
import { CHUNK, sample, sha256, writeAll } from './samples.ts';

/** The thread, with something done to its file system first. */
const sabotaged = (text: string): string => `{ const fs = require('node:fs'); ${text} }\n${DISK_THREAD}`;

const FILE = sample(40, 4 * CHUNK);

describe('the thread that hashes and writes', () => {
  it('is there while there is work, and ends by itself', async () => {
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const queue = new DiskQueue({ idleMs: 1, onEnd: () => ended() });
    expect(queue.running).toBe(false);
    const path = join(await temporaryFolder(), 'file');
    await writeFile(path, FILE.bytes);
    const handle = await open(path);
    const job = { kind: 'hash', data: handle.fd, chunkBytes: CHUNK, sizeBytesMax: 2 ** 40 } as const;
    const first = queue.run<'hash'>(job);
    expect(queue.running || (await first) !== undefined).toBe(true);
    const expected = { sha256: FILE.sha256, chunks: FILE.known.chunks.sha256, sizeBytes: FILE.bytes.byteLength };
    expect(await first).toEqual(expected);
    await end;
    expect(queue.running).toBe(false);
    expect(await queue.run<'hash'>(job)).toEqual(expected);
    await queue.close();
    expect(queue.running).toBe(false);
    await expect(queue.run<'hash'>(job)).rejects.toMatchObject({ code: 'stopping' });
    await handle.close();
  });

  it('serves short work between the slices of a long one', async () => {
    const queue = new DiskQueue();
    const path = join(await temporaryFolder(), 'file');
    await writeFile(path, '');
    const handle = await open(path, 'r+');
    await handle.truncate(2 ** 40);
    const stop = new AbortController();
    const job = { kind: 'hash', data: handle.fd, chunkBytes: CHUNK, sizeBytesMax: 2 ** 40 } as const;
    const long = queue.run<'hash'>(job, { signal: stop.signal });
    const read = { kind: 'read', data: handle.fd, offset: 0, length: 5, expected: sha256(new Uint8Array(5)) } as const;
    for (let at = 0; at < 20; at++) expect((await queue.run<'read'>(read)).bytes).toHaveLength(5);
    stop.abort();
    await expect(long).rejects.toMatchObject({ code: 'cancelled' });
    await handle.close();
    await queue.close();
  });

  it('ends a long one when it is closed, and writes what is short to the end', async () => {
    const queue = new DiskQueue();
    const path = join(await temporaryFolder(), 'file');
    const handle = await open(path, 'w+');
    await handle.truncate(2 ** 40);
    const job = { kind: 'hash', data: handle.fd, chunkBytes: CHUNK, sizeBytesMax: 2 ** 40 } as const;
    let begun: () => void = () => undefined;
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const long = queue.run<'hash'>(job, { onBytes: () => begun() }).catch((error: unknown) => error);
    await beginning;
    const note = queue.run<'note'>({ kind: 'note', journal: handle.fd, line: 's 1' });
    await queue.close();
    expect(await long).toMatchObject({ code: 'cancelled' });
    await note;
    expect(queue.running).toBe(false);
    await expect(queue.run<'hash'>(job)).rejects.toMatchObject({ code: 'stopping' });
    await handle.close();
  });

  it('lets those wait who bring more than it takes at once, and forgets none', async () => {
    const { store } = await openStore();
    const file = sample(41, 100 * 1000, 1000);
    const partial = await store.partial(file.known);
    const written = await Promise.all(
      Array.from({ length: 100 }, (_, index) => partial.write(index, file.chunk(index))),
    );
    expect(written.every(Boolean)).toBe(true);
    await partial.finish();
  });

  it('that dies fails what it was doing, and is replaced; what was written stays', async () => {
    const program = sabotaged(`
      const write = fs.writeSync;
      let count = 0;
      // The data of the second chunk: two writes for the first one.
      fs.writeSync = (...args) => { if (++count === 3 && args[4] > 0) process.exit(1); return write(...args); };`);
    const { store, root } = await openStore({ threadProgram: program });
    const partial = await store.partial(FILE.known);
    await partial.write(0, FILE.chunk(0));
    const failing = await Promise.allSettled([partial.write(1, FILE.chunk(1)), partial.write(2, FILE.chunk(2))]);
    for (const result of failing) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'internal', message: /thread/ } });
    }
    expect([0, 1, 2].map((index) => partial.has(index))).toEqual([true, false, false]);
    expect(await partial.write(1, FILE.chunk(1)).catch(() => undefined)).toBe(true);
    await partial.close();
    const { store: later } = await openStore({ root });
    const again = await later.partial(FILE.known);
    expect(again.has(0)).toBe(true);
    await writeAll(again, FILE);
    await again.finish();
  });

  it.each([
    ['ENOSPC', 'disk_full'],
    ['EDQUOT', 'disk_full'],
    ['EROFS', 'forbidden'],
    ['EMFILE', 'overloaded'],
    ['EIO', 'internal'],
  ])('that cannot write (%s) says so, and goes on when it can again', async (errno, code) => {
    const program = sabotaged(`
      const write = fs.writeSync;
      let count = 0;
      // Half of the second chunk.
      fs.writeSync = (fd, bytes, offset, length, position) => {
        if (++count === 3) { write(fd, bytes, offset, length >> 1, position); throw Object.assign(new Error('no'), { code: '${errno}' }); }
        return write(fd, bytes, offset, length, position);
      };`);
    const { store, root } = await openStore({ threadProgram: program });
    const partial = await store.partial(FILE.known);
    await partial.write(0, FILE.chunk(0));
    await expect(partial.write(1, FILE.chunk(1))).rejects.toMatchObject({ code });
    expect([partial.has(0), partial.has(1), partial.heldBytes]).toEqual([true, false, CHUNK]);
    expect(await writeAll(partial, FILE)).toBe(3);
    await partial.finish();
    expect(await readFile(join(root, '.blobs', FILE.sha256))).toEqual(Buffer.from(FILE.bytes));
  });

  it('treats what cannot be read any more as a bad chunk', async () => {
    const program = sabotaged(`
      const read = fs.readSync;
      fs.readSync = (fd, bytes, offset, length, position) => {
        if (position >= ${CHUNK} && position < ${2 * CHUNK}) throw Object.assign(new Error('no'), { code: 'EIO' });
        return read(fd, bytes, offset, length, position);
      };`);
    const { store } = await openStore({ threadProgram: program });
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    await partial.finish();
    expect((await store.read(FILE.sha256, 0, 4 * CHUNK))?.bytes).toHaveLength(CHUNK);
    expect(store.holding(FILE.sha256)?.chunks).toEqual(new Uint8Array([0b1101]));
  });
});
