import type { Connection } from '@libp2p/interface';
import { afterEach, describe, expect, it } from 'vitest';
import { callStreams, dial, startTestHost, stopHosts } from './link-pair.ts';

afterEach(stopHosts);

describe('a connection that is announced', () => {
  it('is passed over when it closed while it was made ready: nobody would ever hear of its end', async () => {
    const [a, b] = [await startTestHost(), await startTestHost()];
    const connection = await dial(a, b);
    expect(a.connections).toEqual([connection]);
    // libp2p announces it by the same event, and its close event has been and gone.
    const closed = new Proxy(connection, {
      get: (target, name) => (name === 'status' ? 'closed' : Reflect.get(target, name)),
    });
    a.host.libp2p.dispatchEvent(new CustomEvent<Connection>('connection:open', { detail: closed }));
    expect(a.connections).toEqual([connection]);
    expect(callStreams(connection)).toEqual([]);
  });
});
