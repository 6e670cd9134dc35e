// The file of the conversations: private, and what becomes of it when the disk is full, or it is damaged or of another
// version.
import { chmodSync, closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { DAMAGED } from '../../../../node/memory/conversations/database.ts';
import { SAVE_MS } from '../../../../node/memory/conversations/limits.ts';
import { ended, lastOf, newFolder, OPTIONS, openConversations } from './support.ts';

const setAside = (folder: string): string[] => readdirSync(folder).filter((name) => DAMAGED.test(name));

describe('the file', () => {
  it.skipIf(process.platform === 'win32')('is readable by its owner only, and so is what lies beside it', async () => {
    const { said, folder } = openConversations();
    await said('Hello', 'Hi.');
    const modes = readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]);
    expect(Object.fromEntries(modes)).toEqual({
      'conversations.sqlite': '600',
      'conversations.sqlite-wal': '600',
      'conversations.sqlite-shm': '600',
    });
  });

  it('holds nothing any more of what was deleted', async () => {
    const { conversations, said, path } = openConversations();
    const { id } = await said('The password is swordfish-4711', 'Thank you.');
    await said('Something else', 'Yes.');
    conversations.delete(id);
    await conversations.close();
    expect(readFileSync(path, 'latin1')).not.toContain('swordfish-4711');
    expect(readFileSync(path, 'latin1')).toContain('Something else');
  });

  it('of a newer version is left as it is, and says so', async () => {
    const { conversations, folder, path, said } = openConversations();
    await said('Hello', 'Hi.');
    await conversations.close();
    const raw = new DatabaseSync(path);
    raw.exec('PRAGMA user_version = 99');
    raw.close();
    const again = openConversations({ folder });
    expect(again.log.lines).toContainEqual(expect.objectContaining({ level: 'error' }));
    expect(() => again.conversations.list({ limit: 1 })).toThrow(
      expect.objectContaining({ code: 'home_unwritable', remedy: expect.stringContaining('Update Weft') }),
    );
    expect(setAside(folder)).toEqual([]);
    expect(readdirSync(folder)).toContain('conversations.sqlite');
  });
});

describe('a damaged file', () => {
  it('is set aside at the start, and a new one begun', async () => {
    const folder = newFolder();
    const garbage = 'This is no database. '.repeat(1_000);
    writeFileSync(join(folder, 'conversations.sqlite'), garbage);
    const { said, log, conversations } = openConversations({ folder });
    await said('Hello', 'Hi.');
    expect(conversations.list({ limit: 9 }).conversations).toHaveLength(1);
    const [kept = ''] = setAside(folder);
    expect(readFileSync(join(folder, kept), 'utf8')).toBe(garbage);
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', fields: { file: kept }, message: expect.stringContaining('damaged') }),
    );
  });

  it('that shows itself while it is used says so once, and is set aside as well', async () => {
    const { conversations, said, folder, path } = openConversations();
    for (let at = 0; at < 20; at += 1) await said(`Number ${at} ${'x'.repeat(5_000)}`, 'Yes.');
    await conversations.close();
    const again = openConversations({ folder });
    scribble(path);
    const use = (): unknown =>
      again.conversations.list({ limit: 50 }).conversations.map(({ id }) => again.conversations.get(id));
    expect(use).toThrow(
      expect.objectContaining({ code: 'home_unwritable', remedy: expect.stringContaining('weft doctor') }),
    );
    expect(setAside(folder)).toHaveLength(1);
    expect(again.conversations.list({ limit: 50 })).toEqual({ conversations: [], more: false });
    await again.said('Hello', 'Hi.');
    expect(again.conversations.list({ limit: 50 }).conversations).toHaveLength(1);
  });
});

describe('a full disk', () => {
  it('is told, keeps what is there, and lets the next write in when there is room', async () => {
    const { conversations, said, folder } = openConversations({ pagesMax: 100 });
    const { id } = await said('Hello', 'Hi.');
    const full = expect.objectContaining({ code: 'disk_full', remedy: expect.stringContaining('Free some space') });
    expect(() => conversations.send(id, { content: 'y'.repeat(400_000) }, OPTIONS)).toThrow(full);
    expect(conversations.get(id).messages).toHaveLength(2);
    await said('Small', 'Yes.', id);
    await conversations.close();
    expect(openConversations({ folder }).conversations.get(id).messages).toHaveLength(4);
  });

  it('ends no answer: who reads it gets it whole, and is told that it was not kept', async () => {
    const { conversations, coordinator, clock, log } = openConversations({ pagesMax: 60 });
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('Kept. ');
    clock.advance(SAVE_MS);
    lastOf(coordinator).say('z'.repeat(400_000));
    clock.advance(SAVE_MS);
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: { requestId: 'req_test', code: 'disk_full' } }),
    );
    lastOf(coordinator).say(' The end.');
    lastOf(coordinator).done();
    expect(await ended(conversations, id, answer.id)).toMatchObject({
      content: `Kept. ${'z'.repeat(400_000)} The end.`,
      state: 'failed',
      error: { code: 'disk_full' },
    });
    expect(conversations.get(id).messages[1]).toMatchObject({ content: 'Kept. ', state: 'stopped' });
  });
});

it.skipIf(process.getuid?.() === 0)('a folder that can not be written is told, until it can', () => {
  const folder = newFolder();
  chmodSync(folder, 0o500);
  const { conversations } = openConversations({ folder });
  expect(() => conversations.create({})).toThrow(expect.objectContaining({ code: 'home_unwritable' }));
  chmodSync(folder, 0o700);
  expect(conversations.create({}).messages).toEqual([]);
});

/** Overwrites all pages but the first few, which hold the tables' names. */
function scribble(path: string): void {
  const { size } = statSync(path);
  const file = openSync(path, 'r+');
  const noise = Buffer.alloc(size - 40_960, 0xa5);
  writeSync(file, noise, 0, noise.length, 40_960);
  closeSync(file);
}
