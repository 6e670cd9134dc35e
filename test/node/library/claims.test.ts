import { describe, expect, it } from 'vitest';
import { Claims } from '../../../node/library/claims.ts';

const never = new AbortController().signal;

describe('claims', () => {
  it('let one after the other have what they share', async () => {
    const claims = new Claims();
    const order: string[] = [];
    const release = await claims.take(['a', 'b'], never);
    const second = claims.take(['b', 'c'], never).then((done) => {
      order.push('second');
      done();
    });
    const other = claims.take(['d'], never).then(() => order.push('other'));
    await other;
    order.push('first ends');
    release();
    await second;
    expect(order).toEqual(['other', 'first ends', 'second']);
  });

  it('never wait for each other', async () => {
    const claims = new Claims();
    const first = await claims.take(['a'], never);
    // Holds nothing while it waits for `a`, so that whoever wants `b` goes on.
    const both = claims.take(['b', 'a'], never);
    const third = await claims.take(['b'], never);
    first();
    third();
    (await both)();
    (await claims.take(['a', 'b'], never))();
  });

  it('end with the signal of who waits', async () => {
    const claims = new Claims();
    await claims.take(['a'], never);
    const leaving = new AbortController();
    const waiting = claims.take(['a', 'b'], leaving.signal);
    leaving.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    (await claims.take(['b'], never))();
  });
});
