import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { connected, FakeMembership, makeKey, startNode, stateOf, stopAll } from './support.ts';

const GROUP = '224.0.0.251';

/** Whether a datagram to the group comes back on this machine; many sandboxes don't route it. */
function multicastWorks(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    const finish = (works: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(works);
    };
    const timer = setTimeout(() => finish(false), 1_000);
    socket.on('error', () => finish(false));
    socket.on('message', (message) => {
      if (message.toString() === 'weft-test') finish(true);
    });
    socket.bind(0, () => {
      try {
        socket.addMembership(GROUP);
        socket.send('weft-test', socket.address().port, GROUP);
      } catch {
        finish(false);
      }
    });
  });
}

const works = await multicastWorks();

afterEach(stopAll);

describe('the local network', () => {
  it.skipIf(!works)(
    `lets members of one mesh find each other${works ? '' : ' (skipped: no multicast here)'}`,
    async () => {
      const keys = [await makeKey(), await makeKey(), await makeKey()];
      const members = keys.map(({ node }) => node);
      const meshId = randomBytes(32).toString('hex');
      const start = (index: number, id: string) => {
        const key = keys[index] as (typeof keys)[0];
        return startNode({ key, membership: new FakeMembership(key.node, members, id), init: { mdns: true } });
      };
      const a = await start(0, meshId);
      const other = await start(2, randomBytes(32).toString('hex'));
      const b = await start(1, meshId);
      await connected(a, b);
      // A node of another mesh is found by neither, although its key is known to both.
      expect([stateOf(a, other), stateOf(b, other)]).toEqual(['unknown', 'unknown']);
    },
  );
});
