import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileStore } from '../../../node/config/file-store.ts';
import { DOCUMENT_BYTES_MAX } from '../../../node/config/limits.ts';
import { delay, systemClock } from '../../../node/core/clock.ts';
import { seededRandom } from '../../support/seeded.ts';
import { runChild } from './child.ts';
import { temporaryFolder } from './temporary-folder.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('FileStore', () => {
  it('gives back what was written last, also to the next store', async () => {
    const folder = join(temporaryFolder(), 'state');
    const store = await FileStore.open({ folder });
    expect(await store.read('members')).toBeUndefined();
    await store.write('members', bytes('one'));
    await store.write('members', bytes('two'));
    expect(await store.read('members')).toEqual(bytes('two'));
    const again = await FileStore.open({ folder });
    expect(await again.read('members')).toEqual(bytes('two'));
  });

  it('keeps folder and documents to their owner', async () => {
    const folder = join(temporaryFolder(), 'state');
    const store = await FileStore.open({ folder });
    await store.write('device-key', bytes('secret'));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'device-key')).mode & 0o777).toBe(0o600);
  });

  it('ends with the write that was asked for last, and takes each as it was then', async () => {
    const store = await FileStore.open({ folder: temporaryFolder() });
    const buffer = new Uint8Array(1);
    const writes: Promise<void>[] = [];
    for (let value = 1; value <= 20; value++) {
      buffer[0] = value;
      writes.push(store.write('counter', buffer));
    }
    buffer[0] = 99;
    await Promise.all(writes);
    expect(await store.read('counter')).toEqual(Uint8Array.of(20));
  });

  it.each(['', '.', '..', '../outside', 'a/b', 'a\\b', 'Upper', 'a.tmp', 'con:', 'x'.repeat(64), '\0'])(
    'takes %j for no name',
    async (name) => {
      const folder = temporaryFolder();
      const store = await FileStore.open({ folder });
      expect(() => store.write(name, bytes('x'))).toThrow(/Invariant/);
      expect(() => store.read(name)).toThrow(/Invariant/);
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('says that it could not write, keeps the old document, leaves nothing half-written, and goes on', async () => {
    const folder = temporaryFolder();
    const store = await FileStore.open({ folder });
    mkdirSync(join(folder, 'members')); // A folder can't be renamed over: fails late, like a full disk.
    await expect(store.write('members', bytes('x'))).rejects.toMatchObject({ code: 'home_unwritable' });
    expect(readdirSync(folder)).toEqual(['members']);
    await store.write('other', bytes('y'));
    expect(await store.read('other')).toEqual(bytes('y'));
    await expect(store.read('members')).rejects.toMatchObject({ code: 'home_unwritable' });
  });

  it('reads no document above its bound', async () => {
    const folder = temporaryFolder();
    const store = await FileStore.open({ folder });
    writeFileSync(join(folder, 'huge'), new Uint8Array(DOCUMENT_BYTES_MAX + 1));
    await expect(store.read('huge')).rejects.toMatchObject({ code: 'home_unwritable' });
  });

  it('has the old or the new document, never a torn one, whenever its process is killed', async () => {
    const folder = temporaryFolder();
    const random = seededRandom('kills of a writer');
    for (let round = 0; round < 8; round++) {
      const child = runChild(WRITER, folder);
      for (let count = 0; count < 3; count++) await child.line();
      // A write takes some 5 ms: the kill lands anywhere in it.
      await delay(systemClock, random.next() * 10);
      await child.end('SIGKILL');
      const file = readFileSync(join(folder, 'document'));
      expect(file.byteLength).toBe(32 + 200_000);
      const digest = createHash('sha256').update(file.subarray(32)).digest();
      expect(file.subarray(0, 32).equals(digest)).toBe(true);
      const store = await FileStore.open({ folder });
      expect(readdirSync(folder)).toEqual(['document']);
      expect((await store.read('document'))?.byteLength).toBe(32 + 200_000);
    }
  });
});

/** Writes documents that carry their own digest, one after the other, and says so after each. */
const WRITER = `
import { createHash, randomBytes } from 'node:crypto';
import { FileStore } from '../../../node/config/file-store.ts';
const store = await FileStore.open({ folder: process.argv[1] });
for (;;) {
  const body = randomBytes(200_000);
  await store.write('document', Buffer.concat([createHash('sha256').update(body).digest(), body]));
  console.log('written');
}
`;
