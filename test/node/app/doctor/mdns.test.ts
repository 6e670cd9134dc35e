// mDNS on networks of the test's own: a namespace without any, one in which no group may be joined, and one with other
// nodes.
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../../node/app/doctor/check.ts';

/** Root, or a system that lets every user make namespaces. */
const possible = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;
const note = possible ? '' : ' (skipped: no network namespaces here)';

/**
 * Runs the check in a process of its own. Its arguments: nodes of this mesh and of another one that are about. The check
 * is that of the first one, or of a node that doesn't run where there is none.
 */
const EXAMINE = `
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { mdnsChecks } from './node/app/doctor/mdns.ts';
import { systemClock as clock } from './node/core/clock.ts';
import { silentLog as log } from './node/core/log.ts';
import { Libp2pMesh } from './node/mesh/mesh.ts';
const [here, elsewhere] = process.argv.slice(1).map(Number);
const keys = await Promise.all([...Array(here + elsewhere + 1).keys()].map(async (index) => {
  const seed = new Uint8Array(32).fill(index + 1);
  const { publicKey } = await generateKeyPairFromSeed('Ed25519', seed);
  return { node: publicKey.toString(), publicKey: publicKey.raw, seed };
}));
const members = keys.slice(0, Math.max(here, 1)).map(({ node }, index) => ({ node, name: 'node' + index, role: 'member' }));
const start = async (key, meshId) => {
  const none = () => undefined;
  const mesh = new Libp2pMesh({
    clock, log, policy: { authorize: none }, telemetry: { count: none, gauge: none },
    membership: { meshId, self: members[0], isMember: () => false, members: () => [], digest: () => new Uint8Array(), statements: () => [], merge: async () => false, onChange: () => none },
    invitations: { anyOpen: () => false },
    load: () => ({ requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 }),
    advert: () => ({ node: key.node, name: '', version: '', incarnation: 1, offers: [], hardware: { platform: '', arch: '', cpuModel: '', cpuCount: 1, memoryBytes: 1, devices: [] } }),
  }, { key, listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], mdns: true, bootstrap: () => [] });
  await mesh.start();
};
for (const key of keys.slice(0, here)) await start(key, 'ab'.repeat(32));
const [check] = mdnsChecks({ clock }, { enabled: true, meshId: () => 'ab'.repeat(32), self: keys[0].node, running: here > 0, members: () => members.slice(1) });
const examining = check.run(new AbortController().signal);
// A node asks once when it starts.
for (const key of keys.slice(here, here + elsewhere)) await start(key, 'cd'.repeat(32));
console.log(JSON.stringify(await examining));
process.exit();
`;

const MULTICAST = 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo';

async function examine(setup: string, here: number, elsewhere: number): Promise<Finding> {
  const command = [
    'sh',
    '-c',
    `${setup} && exec "$@"`,
    'sh',
    process.execPath,
    '--input-type=module',
    '--eval',
    EXAMINE,
  ];
  const { stdout } = await promisify(execFile)('unshare', ['-rn', ...command, String(here), String(elsewhere)], {
    cwd: new URL('../../../../', import.meta.url),
  });
  return (JSON.parse(stdout) as [Finding])[0];
}

describe.skipIf(!possible)(`mDNS${note}`, () => {
  it.each([
    ['there is no network at all', 'true'],
    ['no group may be joined', `${MULTICAST} && echo 0 > /proc/sys/net/ipv4/igmp_max_memberships`],
  ])('is blocked where %s', async (_, setup) => {
    expect(await examine(setup, 0, 0)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('mDNS is blocked'),
      remedy: expect.stringMatching(/(Connect|UDP port 5353).*ticket/),
    });
  });

  it('is sound where the node hears itself, and names the members that answer', async () => {
    expect(await examine(MULTICAST, 1, 0)).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('no other member'),
    });
    expect(await examine(MULTICAST, 2, 0)).toMatchObject({ status: 'ok', detail: 'node1 answered' });
  });

  it('tells of other meshes', async () => {
    expect(await examine(MULTICAST, 1, 1)).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('1 other mesh is about'),
    });
  });
});
