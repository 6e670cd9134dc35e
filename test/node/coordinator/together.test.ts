import { describe, expect, it } from 'vitest';
import { together } from '../../../node/coordinator/together.ts';

const never = new AbortController().signal;

describe('parts of a request', () => {
  it('are done a few at a time, results in order', async () => {
    let open = 0;
    let most = 0;
    const results = await together([5, 4, 3, 2, 1], 2, never, async (turns, index) => {
      most = Math.max(most, ++open);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      open--;
      return `${index}: ${turns}`;
    });
    expect(results).toEqual(['0: 5', '1: 4', '2: 3', '3: 2', '4: 1']);
    expect(most).toBe(2);
  });

  it('are not begun any more when one has failed, even by those that end well', async () => {
    const begun: number[] = [];
    const failed = Promise.withResolvers<void>();
    const asked = together([0, 1, 2, 3], 2, never, async (item) => {
      begun.push(item);
      if (item === 0) throw new Error('broken');
      await failed.promise;
    });
    await expect(asked).rejects.toThrow('broken');
    failed.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual([0, 1]);
  });

  it('see the caller leave, and leave no listener behind', async () => {
    const abort = new AbortController();
    const asked = together([1, 2], 2, abort.signal, async (_item, _index, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      throw signal.reason;
    });
    abort.abort(new Error('left'));
    await expect(asked).rejects.toThrow('left');
    await expect(together([1, 2], 2, abort.signal, async () => 1)).rejects.toThrow();
  });
});
