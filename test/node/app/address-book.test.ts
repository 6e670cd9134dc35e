import { describe, expect, it } from 'vitest';
import { AddressBook } from '../../../node/app/address-book.ts';
import type { Store } from '../../../node/core/store.ts';

describe('AddressBook', () => {
  it('writes again after a write that failed', async () => {
    const written: string[] = [];
    let full = true;
    const store: Store = {
      read: async () => undefined,
      write: async (_name, bytes) => {
        if (full) throw new Error('disk full');
        written.push(new TextDecoder().decode(bytes));
      },
    };
    const book = await AddressBook.open(store);
    await expect(book.remember(['/ip4/127.0.0.1/tcp/1'])).rejects.toThrow('disk full');
    full = false;
    await book.remember(['/ip4/127.0.0.1/tcp/2']);
    expect(written).toEqual([JSON.stringify(['/ip4/127.0.0.1/tcp/2', '/ip4/127.0.0.1/tcp/1'])]);
  });
});
