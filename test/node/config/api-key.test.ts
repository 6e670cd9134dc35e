import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CurrentApiKey, loadApiKey, readApiKey, replaceApiKey } from '../../../node/config/api-key.ts';
import { temporaryFolder } from './temporary-folder.ts';

describe('the API key', () => {
  it('is made once, kept for its owner only, and found by commands', async () => {
    const folder = temporaryFolder();
    expect(await readApiKey({ folder, asked: undefined })).toBeUndefined();
    const made = await loadApiKey({ folder, asked: undefined });
    expect(made.key).toMatch(/^weft_[\w-]{43}$/);
    expect(made.file).toBe(join(folder, 'api-key'));
    expect(statSync(join(folder, 'api-key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'api-key'), 'utf8')).toBe(`${made.key}\n`);
    expect(await loadApiKey({ folder, asked: undefined })).toEqual(made);
    expect(await readApiKey({ folder, asked: undefined })).toEqual(made);
  });

  it('that was set wins, and is written nowhere', async () => {
    const folder = temporaryFolder();
    expect(await loadApiKey({ folder, asked: 'mine' })).toEqual({ key: 'mine', file: undefined });
    expect(await readApiKey({ folder, asked: undefined })).toBeUndefined();
  });

  it('is replaced by another one, for its owner only', async () => {
    const folder = temporaryFolder();
    const first = await loadApiKey({ folder, asked: undefined });
    const second = await replaceApiKey({ folder, asked: undefined });
    expect(second.key).toMatch(/^weft_[\w-]{43}$/);
    expect(second.key).not.toBe(first.key);
    expect(statSync(join(folder, 'api-key')).mode & 0o777).toBe(0o600);
    expect(await readApiKey({ folder, asked: undefined })).toEqual(second);
  });

  it('is not replaced where no file holds it', async () => {
    const folder = temporaryFolder();
    const replacing = replaceApiKey({ folder, asked: 'mine' });
    await expect(replacing).rejects.toMatchObject({ code: 'config_invalid', facts: { setting: 'apiKey' } });
    expect(await readApiKey({ folder, asked: undefined })).toBeUndefined();
  });

  it('is in the file as the node has it, however many replace it at once', async () => {
    const init = { folder: temporaryFolder(), asked: undefined };
    const current = new CurrentApiKey(init, await loadApiKey(init));
    for (let round = 0; round < 20; round += 1) {
      const made = await Promise.all(Array.from({ length: 8 }, () => current.replace()));
      expect(current.key).toBe(made.at(-1));
      expect((await readApiKey(init))?.key).toBe(current.key);
    }
  });

  it('that was set is not replaced, and goes on being the key', async () => {
    const init = { folder: temporaryFolder(), asked: 'mine' };
    const current = new CurrentApiKey(init, await loadApiKey(init));
    await expect(current.replace()).rejects.toMatchObject({ code: 'config_invalid' });
    expect(current.key).toBe('mine');
  });

  it('is never an empty one', async () => {
    const folder = temporaryFolder();
    for (const text of ['', '\n', 'two words', 'ü']) {
      writeFileSync(join(folder, 'api-key'), text);
      await expect(loadApiKey({ folder, asked: undefined })).rejects.toMatchObject({ code: 'config_invalid' });
    }
  });
});
