import {
  appendFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BegunFile } from '../../../models/store/begun-file.ts';
import { DiskQueue } from '../../../models/store/disk-queue.ts';
import { readJournal, writeJournal } from '../../../models/store/journal.ts';
import type { PartialFile } from '../../../models/store.ts';
import { runs } from '../../support/property.ts';
import { temporaryFolder } from '../temporary.ts';
import { openStore } from './fixtures.ts';
import { CHUNK, type SampleFile, sample, sha256, writeAll } from './samples.ts';

const FILE = sample(1, 5 * CHUNK + 123);

const dataOf = (root: string, file: SampleFile): string => join(root, '.partial', `${file.sha256}.data`);
const journalOf = (root: string, file: SampleFile): string => join(root, '.partial', `${file.sha256}.journal`);

/** As PartialFiles opens it, without the checks before that. */
async function begun(folder: string, file: SampleFile['known'] | SampleFile['unknown']) {
  const queue = new DiskQueue();
  const paths = { data: join(folder, `${file.sha256}.data`), journal: join(folder, `${file.sha256}.journal`) };
  const opened = await BegunFile.open({ queue, place: async () => undefined }, paths, file);
  return { opened, close: () => opened.close().then(() => queue.close()) };
}

describe('a file that comes in chunks', () => {
  it('is whole once all have come, in any order, and each once', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    expect(partial.file).toEqual({ sha256: FILE.sha256, sizeBytes: FILE.bytes.byteLength, chunks: FILE.known.chunks });
    const order = [3, 0, 5, 1, 4, 2];
    for (const index of order) {
      expect(partial.has(index)).toBe(false);
      expect(await partial.write(index, FILE.chunk(index))).toBe(true);
      expect(await partial.write(index, FILE.chunk(index))).toBe(true);
      expect(partial.has(index)).toBe(true);
    }
    expect(partial.heldBytes).toBe(FILE.bytes.byteLength);
    expect(store.has(FILE.sha256)).toBe(false);
    expect(await partial.finish()).toEqual({ sha256: FILE.sha256, chunks: FILE.known.chunks });
    expect(store.has(FILE.sha256)).toBe(true);
    expect(await readFile(join(root, '.blobs', FILE.sha256))).toEqual(Buffer.from(FILE.bytes));
    expect(await readdir(join(root, '.partial'))).toEqual([]);
    expect(store.partials()).toEqual([]);
  });

  it('takes the buffers over, also one that is part of a larger one or of the pool', async () => {
    const { store } = await openStore();
    const partial = await store.partial(FILE.known);
    const own = FILE.chunk(0);
    await partial.write(0, own);
    expect(own.buffer.detached).toBe(true);
    const larger = new Uint8Array(CHUNK + 100);
    larger.set(FILE.chunk(1), 50);
    expect(await partial.write(1, larger.subarray(50, 50 + CHUNK))).toBe(true);
    const small = sample(2, 100);
    const pooled = await store.partial(small.known);
    const buffer = Buffer.allocUnsafe(100);
    buffer.set(small.bytes);
    expect(await pooled.write(0, buffer)).toBe(true);
    await pooled.finish();
  });

  it.each([
    ['another length', 0, FILE.chunk(0).subarray(1)],
    ['a byte changed', 0, FILE.chunk(0).map((byte, at) => (at === 77 ? byte ^ 1 : byte))],
    ['the bytes of another chunk', 0, FILE.chunk(1)],
    ['no such chunk', 6, FILE.chunk(0)],
    ['a negative chunk', -1, FILE.chunk(0)],
    ['half a chunk', 0.5, FILE.chunk(0)],
    ['nothing', 5, new Uint8Array(0)],
  ])('refuses a chunk with %s, and keeps nothing of it', async (_what, index, bytes) => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    expect(await partial.write(index, bytes.slice())).toBe(false);
    expect(partial.has(index)).toBe(false);
    expect(partial.heldBytes).toBe(0);
    expect(sha256(await readFile(dataOf(root, FILE)))).toBe(sha256(new Uint8Array(FILE.bytes.byteLength)));
    await writeAll(partial, FILE);
    await partial.finish();
  });

  it('lets a poisoned chunk in where chunk digests are not known, and finds it in the whole', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial({ ...FILE.unknown, chunks: undefined } as never);
    const [{ bytes }] = [sample(3, FILE.bytes.byteLength)];
    expect(await partial.write(0, bytes)).toBe(true);
    expect(store.holding(FILE.sha256)).toBeUndefined();
    expect(await store.read(FILE.sha256, 0, 10)).toBeUndefined();
    await expect(partial.finish()).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(store.has(FILE.sha256)).toBe(false);
    expect(await readdir(join(root, '.partial'))).toEqual([]);
    await expect(partial.write(0, FILE.bytes.slice())).rejects.toMatchObject({ code: 'model_corrupt' });
    const again = await store.partial(FILE.unknown);
    expect(await again.write(0, FILE.bytes.slice())).toBe(true);
    await again.finish();
  });

  it('is not believed where its chunks are right and the whole is not', async () => {
    const { store } = await openStore();
    const other = sample(4, FILE.bytes.byteLength);
    const partial = await store.partial({ ...FILE.known, sha256: other.sha256 });
    await writeAll(partial, FILE);
    await expect(partial.finish()).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(store.has(other.sha256)).toBe(false);
    expect(store.partials()).toEqual([]);
  });

  it('is not finished while a chunk is missing, and goes on', async () => {
    const { store } = await openStore();
    const partial = await store.partial(FILE.known);
    for (const index of [0, 1, 2, 3, 4]) await partial.write(index, FILE.chunk(index));
    await expect(partial.finish()).rejects.toMatchObject({ message: 'Of a file 1 of 6 chunks are missing.' });
    await partial.write(5, FILE.chunk(5));
    await partial.finish();
  });

  it.each([0, 1, CHUNK, CHUNK + 1])('of %i bytes comes whole', async (sizeBytes) => {
    const { store } = await openStore();
    const file = sample(5, sizeBytes);
    const partial = await store.partial(file.known);
    await writeAll(partial, file);
    expect(await partial.finish()).toEqual({ sha256: file.sha256, chunks: file.known.chunks });
    const piece = await store.read(file.sha256, 0, 1 << 20);
    expect(Buffer.from(piece?.bytes ?? [1])).toEqual(Buffer.from(file.bytes));
  });

  it('that is here already is given as finished', async () => {
    const { store } = await openStore();
    await writeAll(await store.partial(FILE.known), FILE);
    const partial = await store.partial(FILE.known);
    await partial.finish();
    const known = await store.partial(FILE.unknown);
    expect([known.has(0), known.heldBytes]).toEqual([true, FILE.bytes.byteLength]);
    expect(await known.finish()).toEqual({ sha256: FILE.sha256, chunks: FILE.known.chunks });
    await expect(store.partial({ ...FILE.unknown, sizeBytes: 7 })).rejects.toMatchObject({ code: 'model_corrupt' });
  });
});

describe('a file that somebody lies about', () => {
  const digest = FILE.sha256;
  const chunks = FILE.known.chunks;
  it.each([
    ['a digest that leaves the folder', { ...FILE.known, sha256: '../../../evil' }],
    ['a digest with a prefix that leaves the folder', { ...FILE.known, sha256: 'sha256:../..' }],
    ['a digest in capitals', { ...FILE.known, sha256: digest.toUpperCase() }],
    ['a digest with a line break', { ...FILE.known, sha256: `${digest}\n` }],
    ['a negative size', { sha256: digest, sizeBytes: -1 }],
    ['2^53 bytes', { sha256: digest, sizeBytes: 2 ** 53 }],
    ['more bytes than chunks can say', { sha256: digest, sizeBytes: 2 ** 52 }],
    ['half a byte', { sha256: digest, sizeBytes: 1.5 }],
    ['no number of bytes', { sha256: digest, sizeBytes: Number.NaN }],
    ['a chunk too few', { ...FILE.known, chunks: { ...chunks, sha256: chunks.sha256.slice(1) } }],
    ['a chunk too many', { ...FILE.known, chunks: { ...chunks, sha256: [...chunks.sha256, digest] } }],
    ['chunks without end', { ...FILE.known, chunks: { sizeBytes: 1, sha256: [] } }],
    ['chunks of no size', { ...FILE.known, chunks: { sizeBytes: 0, sha256: [] } }],
    ['chunks of a gigabyte', { ...FILE.known, chunks: { sizeBytes: 2 ** 30, sha256: [digest] } }],
    ['a chunk digest that is none', { ...FILE.known, chunks: { ...chunks, sha256: chunks.sha256.with(2, '..') } }],
  ])('is refused before anything is opened: %s', async (_what, file) => {
    const { store, root } = await openStore();
    await expect(store.partial(file)).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(stat(root)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(store.has(file.sha256)).toBe(false);
    expect(store.holding(file.sha256)).toBeUndefined();
    expect(await store.read(file.sha256, 0, 1)).toBeUndefined();
  });

  it('would be written outside the folder without the check of its digest', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, '.partial'));
    const { close } = await begun(join(folder, '.partial'), { ...FILE.known, sha256: '../evil' });
    expect(await readdir(folder)).toContain('evil.data');
    await close();
  });

  it('would be taken unverified without the check of its chunks', async () => {
    const { opened, close } = await begun(await temporaryFolder(), {
      ...FILE.known,
      chunks: { sizeBytes: CHUNK, sha256: [] },
    });
    expect(await opened.write(0, sample(9, CHUNK).bytes)).toBe(true);
    await close();
  });

  it('would be read from a link without the look at what is opened', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    await partial.close();
    const victim = join(root, 'victim');
    await writeFile(victim, Buffer.alloc(FILE.bytes.byteLength, 1));
    await rm(dataOf(root, FILE));
    await symlink(victim, dataOf(root, FILE));
    // The twin: who opens it by its path alone writes into the victim.
    await using handle = await open(dataOf(root, FILE), 'r+');
    await handle.write(Buffer.of(2), 0, 1, 0);
    expect((await readFile(victim))[0]).toBe(2);
    const again = await store.partial(FILE.known);
    await writeAll(again, FILE);
    await again.finish();
    expect(sha256((await readFile(victim)).subarray(1))).toBe(sha256(Buffer.alloc(FILE.bytes.byteLength - 1, 1)));
  });
});

describe('going on after a stop', () => {
  it('keeps what has come, and asks for the rest only', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    for (const index of [4, 0, 2]) await partial.write(index, FILE.chunk(index));
    await partial.close();
    await partial.close();
    expect(store.partials()).toEqual([{ sha256: FILE.sha256, sizeBytes: FILE.bytes.byteLength, heldBytes: 3 * CHUNK }]);
    const { store: later } = await openStore({ root });
    expect(later.partials()).toEqual(store.partials());
    const again = await later.partial(FILE.known);
    expect([0, 1, 2, 3, 4, 5].filter((index) => again.has(index))).toEqual([0, 2, 4]);
    expect(await writeAll(again, FILE)).toBe(3);
    await again.finish();
    expect(later.partials()).toEqual([]);
  });

  it('hashes what a crash may have torn, and nothing else', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    // As if the power were lost now: nothing has been waited for, and one chunk never reached the disk.
    const handle = await open(dataOf(root, FILE), 'r+');
    await handle.write(new Uint8Array(CHUNK), 0, CHUNK, CHUNK);
    await handle.close();
    const { store: later } = await openStore({ root });
    expect(later.holding(FILE.sha256)?.chunks).toEqual(new Uint8Array([0]));
    const again = await later.partial(FILE.known);
    expect([0, 1, 2, 3, 4, 5].filter((index) => again.has(index))).toEqual([0, 2, 3, 4, 5]);
    await again.close();
    // Its twin: where the journal says that all of it had been waited for, the torn chunk counts.
    const digests = new Map(FILE.known.chunks.sha256.entries());
    const { chunks, ...unknown } = FILE.known;
    const head = { ...unknown, chunkBytes: chunks.sizeBytes, digests: chunks.sha256 };
    await writeFile(journalOf(root, FILE), writeJournal(head, digests));
    const { store: fooled } = await openStore({ root });
    const wrong = await fooled.partial(FILE.known);
    expect(wrong.has(1)).toBe(true);
    // Even then none of it is served, and the whole is not taken.
    expect(await fooled.read(FILE.sha256, CHUNK, 10)).toBeUndefined();
    await expect(wrong.finish()).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('knows what came without chunk digests by the digests of what was written', async () => {
    const file = sample(6, 9 << 20);
    const { store, root } = await openStore();
    const partial = await store.partial(file.unknown);
    const { sizeBytes } = partial.file.chunks;
    await partial.write(0, file.bytes.slice(0, sizeBytes));
    await partial.write(2, file.bytes.slice(2 * sizeBytes));
    const { store: later } = await openStore({ root });
    const again = await later.partial(file.unknown);
    expect([0, 1, 2].map((index) => again.has(index))).toEqual([true, false, true]);
    await again.write(1, file.bytes.slice(sizeBytes, 2 * sizeBytes));
    await again.finish();
  });

  it('keeps of that what is right once the chunk digests are known, also those of chunks of another size', async () => {
    const file = sample(7, 9 << 20, 1 << 20);
    const same = sample(7, 9 << 20, 4 << 20);
    const { store, root } = await openStore();
    const partial = await store.partial(file.unknown);
    await partial.write(0, file.bytes.slice(0, 4 << 20));
    await partial.write(1, sample(8, 4 << 20).bytes);
    expect(await (await store.partial(same.known)).has(1)).toBe(false);
    expect(partial.has(0)).toBe(true);
    await store.close();
    const { store: later } = await openStore({ root });
    const again = await later.partial(file.known);
    expect([...Array(9).keys()].filter((index) => again.has(index))).toEqual([0, 1, 2, 3]);
    expect(await writeAll(again, file)).toBe(5);
    await again.finish();
  });

  it.each<[string, (root: string) => Promise<unknown>]>([
    ['data of another size', (root) => truncate(dataOf(root, FILE), 5)],
    ['data that is gone', (root) => rm(dataOf(root, FILE))],
    ['a journal that is gone', (root) => rm(journalOf(root, FILE))],
    ['a journal that is empty', (root) => truncate(journalOf(root, FILE), 0)],
    ['a journal of something else', (root) => writeFile(journalOf(root, FILE), '{}\n')],
    ['data with a second name', (root) => link(dataOf(root, FILE), join(root, 'other'))],
  ])('begins anew with %s', async (_what, damage) => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    await partial.close();
    await damage(root);
    const { store: later } = await openStore({ root });
    const again = await later.partial(FILE.known);
    expect(again.heldBytes).toBe(0);
    expect(await writeAll(again, FILE)).toBe(6);
    await again.finish();
  });

  it('never writes into a file that has a second name', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    await partial.write(0, FILE.chunk(0));
    await partial.close();
    const other = join(root, 'other');
    await link(dataOf(root, FILE), other);
    const before = await readFile(other);
    const again = await store.partial(FILE.known);
    await writeAll(again, FILE);
    expect(await readFile(other)).toEqual(before);
  });

  it('ignores lines of the journal that are torn or altered', async () => {
    const { chunks, ...unknown } = FILE.known;
    const head = { ...unknown, chunkBytes: CHUNK, digests: chunks.sha256 };
    const held = new Map([...chunks.sha256.entries()].slice(0, 3));
    const text = writeJournal(head, held);
    expect(readJournal(text)).toEqual({ ...head, chunks: held, unsure: new Set() });
    const torn = readJournal(`${text}\nc 3 ${chunks.sha256[3]?.slice(0, 20)}`);
    expect(torn).toEqual({ ...head, chunks: held, unsure: new Set([0, 1, 2]) });
    const altered = readJournal(text.replace('c 1 ', 'c 4 '));
    expect([...(altered?.chunks.keys() ?? [])]).toEqual([0, 2]);
    expect(readJournal(text.replace('"sizeBytes":', '"sizeBytes":1'))).toBeUndefined();
    for (let at = 0; at < text.length; at += 7) {
      const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
      for (const [index, digest] of readJournal(flipped)?.chunks ?? []) expect(digest).toBe(chunks.sha256[index]);
    }
  });

  it('goes on behind a line that a full disk has torn', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    await partial.write(0, FILE.chunk(0));
    await appendFile(journalOf(root, FILE), '\nc 1 abc');
    await partial.write(2, FILE.chunk(2));
    const { store: later } = await openStore({ root });
    const again = await later.partial(FILE.known);
    expect([0, 1, 2].map((index) => again.has(index))).toEqual([true, false, true]);
  });
});

describe('one file for several', () => {
  it('is shared: what one writes all have, and the last to close it closes it', async () => {
    const { store } = await openStore();
    const [first, second] = await Promise.all([store.partial(FILE.known), store.partial(FILE.unknown)]);
    await first.write(0, FILE.chunk(0));
    expect(second.has(0)).toBe(true);
    expect(second.file.chunks.sha256).toEqual(FILE.known.chunks.sha256);
    await first.close();
    await first.discard();
    expect(await second.write(1, FILE.chunk(1))).toBe(true);
    await writeAll(second, FILE);
    const third = await store.partial(FILE.known);
    const [a, b] = await Promise.all([second.finish(), third.finish()]);
    expect(a).toEqual(b);
    await second.close();
    expect(await third.write(0, FILE.chunk(0))).toBe(true);
    expect(store.has(FILE.sha256)).toBe(true);
  });

  it('writes a chunk that two bring at once one time', async () => {
    const { store } = await openStore();
    const partial = await store.partial(FILE.unknown);
    const [good, late] = await Promise.all([
      partial.write(0, FILE.bytes.slice()),
      partial.write(0, sample(10, FILE.bytes.byteLength).bytes),
    ]);
    expect([good, late]).toEqual([true, true]);
    await partial.finish();
  });

  it('is dropped by the last one only, and can be begun anew at once', async () => {
    const { store, root } = await openStore();
    const first = await store.partial(FILE.known);
    const second = await store.partial(FILE.known);
    await first.write(0, FILE.chunk(0));
    await first.discard();
    expect(second.has(0)).toBe(true);
    const [, third] = await Promise.all([second.discard(), store.partial(FILE.known)]);
    expect(third.heldBytes).toBe(0);
    await third.close();
    expect(await readdir(join(root, '.partial'))).toEqual([]);
  });

  it('is refused to who says other chunks or another size of it', async () => {
    const { store } = await openStore();
    const partial = await store.partial(FILE.known);
    const other = sample(11, FILE.bytes.byteLength).known.chunks;
    await expect(store.partial({ ...FILE.known, chunks: other })).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(store.partial({ sha256: FILE.sha256, sizeBytes: 9 })).rejects.toMatchObject({ code: 'model_corrupt' });
    await writeAll(partial, FILE);
    await partial.finish();
  });
});

describe('reading out what has come', () => {
  it('gives verified chunks of a file that is not whole, while it comes and after', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(FILE.known);
    for (const index of [0, 1, 5]) await partial.write(index, FILE.chunk(index));
    const check = async (of: typeof store): Promise<void> => {
      expect(of.has(FILE.sha256)).toBe(false);
      expect(of.holding(FILE.sha256)).toEqual({
        sizeBytes: FILE.bytes.byteLength,
        chunkBytes: CHUNK,
        chunks: new Uint8Array([0b100011]),
      });
      // Two chunks, and the third isn't there.
      const piece = await of.read(FILE.sha256, 10, 10 * CHUNK);
      expect(piece?.bytes).toEqual(Buffer.from(FILE.bytes.subarray(10, 2 * CHUNK)));
      expect(piece?.sizeBytes).toBe(FILE.bytes.byteLength);
      expect((await of.read(FILE.sha256, 5 * CHUNK + 100, 1000))?.bytes).toEqual(FILE.bytes.subarray(5 * CHUNK + 100));
      expect(await of.read(FILE.sha256, 3 * CHUNK, 10)).toBeUndefined();
    };
    await check(store);
    await partial.close();
    await check(store);
    await check((await openStore({ root })).store);
  });

  it('gives no byte of a chunk that has rotted, and says that it lacks it', async () => {
    const { store, root, lines } = await openStore();
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    await partial.finish();
    const handle = await open(join(root, '.blobs', FILE.sha256), 'r+');
    await handle.write(Buffer.of((FILE.bytes[CHUNK + 5] ?? 0) ^ 1), 0, 1, CHUNK + 5);
    // Its twin: the disk gives it.
    expect((await readFile(join(root, '.blobs', FILE.sha256)))[CHUNK + 5]).not.toBe(FILE.bytes[CHUNK + 5]);
    await handle.close();
    expect(store.holding(FILE.sha256)?.chunks).toBe('all');
    expect((await store.read(FILE.sha256, 0, 3 * CHUNK))?.bytes).toEqual(FILE.bytes.subarray(0, CHUNK));
    expect(await store.read(FILE.sha256, CHUNK, 5)).toBeUndefined();
    expect(store.holding(FILE.sha256)?.chunks).toEqual(new Uint8Array([0b111101]));
    expect(lines).toHaveLength(2);
  });

  it('gives pieces of one chunk, many at once', async () => {
    const { store } = await openStore();
    const partial = await store.partial(FILE.known);
    await writeAll(partial, FILE);
    await partial.finish();
    const offsets = Array.from({ length: 40 }, (_, at) => at * 8000);
    const pieces = await Promise.all(offsets.map((offset) => store.read(FILE.sha256, offset, 8000)));
    expect(Buffer.concat(pieces.map((piece) => piece?.bytes ?? Buffer.of()))).toEqual(
      Buffer.from(FILE.bytes.subarray(0, 40 * 8000)),
    );
    for (const [offset, length] of [
      [-1, 5],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      expect(await store.read(FILE.sha256, offset, length)).toBeUndefined();
    }
    expect((await store.read(FILE.sha256, 2 ** 40, 5))?.bytes).toHaveLength(0);
  });
});

describe('whatever is done, in whatever order', () => {
  /** One step: of one of three leases. */
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('write'), lease: fc.nat(2), index: fc.nat(5) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('poison'), lease: fc.nat(2), index: fc.nat(5) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('close', 'finish'), lease: fc.nat(2), index: fc.nat(0) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen'), lease: fc.nat(0), index: fc.nat(0) }) },
  );

  it('the file is whole and right, or lacks exactly what was not written', async () => {
    const file = sample(12, 5 * 1024 + 1, 1024);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.boolean(), async (steps, parallel) => {
        const root = join(await temporaryFolder(), 'models');
        let { store } = await openStore({ root });
        const acknowledged = new Set<number>();
        let whole = false;
        const leases: (PartialFile | undefined)[] = [];
        const lease = async (at: number): Promise<PartialFile> => {
          const given = leases[at] ?? (await store.partial(file.known));
          leases[at] = given;
          return given;
        };
        let pending: Promise<unknown>[] = [];
        for (const { kind, lease: at, index } of steps) {
          if (kind === 'reopen') {
            await Promise.all(pending);
            await store.close();
            leases.length = 0;
            ({ store } = await openStore({ root }));
            continue;
          }
          const partial = await lease(at);
          if (kind === 'write') {
            const writing = partial.write(index, file.chunk(index)).then((written) => {
              expect(written).toBe(true);
              acknowledged.add(index);
            });
            if (parallel) pending.push(writing);
            else await writing;
          } else if (kind === 'poison') {
            const refused = await partial.write(index, new Uint8Array(file.chunk(index).byteLength));
            expect(refused).toBe(partial.has(index));
          } else if (kind === 'close') {
            leases[at] = undefined;
            await partial.close();
          } else {
            await Promise.all(pending);
            pending = [];
            const finished = await partial.finish().then(
              () => true,
              () => false,
            );
            expect(finished).toBe(whole || acknowledged.size === 6);
            whole ||= finished;
          }
        }
        await Promise.all(pending);
        const last = await lease(0);
        for (const index of [0, 1, 2, 3, 4, 5]) expect(last.has(index)).toBe(acknowledged.has(index) || whole);
        await writeAll(last, file);
        await last.finish();
        expect((await store.read(file.sha256, 0, 1 << 20))?.bytes).toEqual(Buffer.from(file.bytes));
        await store.close();
      }),
      runs(15),
    );
  });
});
