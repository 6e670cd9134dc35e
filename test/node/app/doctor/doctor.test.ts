// One layer broken at a time: exactly its check fails, and says what to do.
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createDoctor } from '../../../../node/app/doctor/doctor.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import { makeKey, never, SOON, startNode, stateOf, stopAll } from '../../mesh/support.ts';
import { check, closedPort, faults, healthyNode, listener, packageCopy, replaceFile } from './support.ts';

const HOUR_MS = 3_600_000;

afterEach(stopAll);

describe('the doctor of a running node', () => {
  it('finds nothing wrong with a healthy one', async () => {
    const { examine, peer } = await healthyNode();
    const report = await examine();
    expect(report.ok).toBe(true);
    expect(faults(report)).toEqual([]);
    expect(check(report, 'peer')).toMatchObject({ status: 'ok', detail: expect.stringMatching(/connected directly/) });
    expect(check(report, 'clock', peer.mesh.self.slice(-4))).toMatchObject({ status: 'ok' });
    const layers = new Set(report.checks.map(({ layer }) => layer));
    expect([...layers]).toEqual([
      'settings',
      'runtime',
      'driver',
      'limits',
      'disk',
      'key',
      'models',
      'ports',
      'membership',
      'mdns',
      'peer',
      'clock',
    ]);
  });

  it('finds settings that are wrong', async () => {
    const { examine } = await healthyNode();
    const report = await examine({ components: { settingsProblem: () => 'line 3 is wrong' } });
    expect(faults(report)).toEqual(['settings/settings.json']);
    expect(check(report, 'settings').remedy).toContain('weft config');
  });

  it('finds a runtime that is not there', async () => {
    const { examine } = await healthyNode();
    const report = await examine({ init: { paths: { bundledModels: packageCopy() } } });
    expect(faults(report)).toEqual(['runtime/ONNX Runtime']);
    expect(check(report, 'runtime', 'ONNX Runtime').detail).toContain("Cannot find package 'onnxruntime-node'");
    expect(check(report, 'runtime', 'ONNX Runtime').remedy).toContain('Install Weft again');
  });

  it('finds a data folder that is gone, and keys that others can read', async () => {
    const { examine, home } = await healthyNode();
    chmodSync(join(home, 'api-key'), 0o644);
    const exposed = await examine();
    expect(faults(exposed)).toEqual(['key/API key']);
    expect(check(exposed, 'key', 'API key')).toMatchObject({
      detail: expect.stringContaining('mode 644'),
      remedy: `Run: chmod 600 ${join(home, 'api-key')}`,
    });
    chmodSync(join(home, 'api-key'), 0o600);
    const report = await examine({ init: { home: join(home, 'api-key') } });
    expect(faults(report)).toContain('disk/data folder');
    expect(check(report, 'disk', 'data folder').remedy).toContain('WEFT_HOME');
  });

  it('finds a file of a model that was altered, and one that is missing', async () => {
    const { examine, init } = await healthyNode();
    const bundledModels = packageCopy();
    const folder = join(bundledModels, 'Xenova', 'all-MiniLM-L6-v2');
    const path = join(folder, 'tokenizer.json');
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    replaceFile(path, bytes);
    const expected = ['models/Xenova/all-MiniLM-L6-v2', 'runtime/ONNX Runtime'];
    const altered = await examine({ init: { paths: { bundledModels } } });
    // The copy of the package has no runtime: that it is told too is another test's.
    expect(faults(altered).toSorted()).toEqual(expected);
    expect(check(altered, 'models', 'Xenova/all-MiniLM-L6-v2')).toMatchObject({
      detail: expect.stringContaining('"tokenizer.json" is not what its manifest says'),
      remedy: expect.stringContaining('install the model again'),
    });
    rmSync(path);
    const missing = await examine({ init: { paths: { bundledModels } } });
    expect(faults(missing).toSorted()).toEqual([...expected, 'models/minilm'].toSorted());
    expect(faults(await examine({ init }))).toEqual([]);
  });

  it('finds an API that does not answer', async () => {
    const { examine } = await healthyNode();
    const port = await closedPort();
    const report = await examine({ init: { api: () => `http://127.0.0.1:${port}` } });
    expect(faults(report)).toEqual(['ports/API']);
    expect(check(report, 'ports', 'API')).toMatchObject({
      detail: expect.stringContaining('ECONNREFUSED'),
      remedy: 'Restart the node.',
    });
  });

  it('finds a swarm that does not answer, and one that only dials', async () => {
    const { examine, self } = await healthyNode();
    const port = await closedPort();
    const mesh = (addresses: readonly string[]) => ({
      self: self.mesh.self,
      addresses: () => addresses,
      peers: () => self.mesh.peers(),
      peer: (node: string) => self.mesh.peer(node),
    });
    const closed = await examine({ components: { mesh: mesh([`/ip4/127.0.0.1/tcp/${port}/p2p/${self.mesh.self}`]) } });
    expect(faults(closed)).toEqual(['ports/swarm']);
    expect(check(closed, 'ports', 'swarm').remedy).toContain(`Open TCP port ${port}`);
    const none = await examine({ components: { mesh: mesh([]) } });
    expect(faults(none)).toEqual([]);
    expect(check(none, 'ports', 'swarm')).toMatchObject({
      status: 'warning',
      remedy: expect.stringContaining('--listen'),
    });
  });

  it('finds that this device was revoked', async () => {
    const { examine, self } = await healthyNode();
    await self.membership.say(`revoke ${self.mesh.self}`);
    const report = await examine();
    expect(faults(report)).toEqual(['membership/this device']);
    expect(check(report, 'membership').remedy).toContain('weft invite');
  });

  it('finds a clock that is wrong', async () => {
    const { examine, peer } = await healthyNode();
    const clock = { ...systemClock, wallNow: () => Date.now() - 24 * HOUR_MS };
    const report = await examine({ components: { clock } });
    expect(faults(report)).toEqual([`clock/${peer.mesh.self.slice(-4)}`]);
    expect(check(report, 'clock', peer.mesh.self.slice(-4))).toMatchObject({
      detail: expect.stringContaining('24 h ahead'),
      remedy: expect.stringContaining('timedatectl'),
    });
    const before = await examine({ components: { clock: { ...systemClock, wallNow: () => 0 } } });
    expect(faults(before)).toContain('clock/this machine');
  });
});

describe('the doctor of a node that is not connected to a member', () => {
  /** A node, and a member that it knows under this address. */
  async function knowing(address: (node: string) => string, node?: string) {
    const patient = await healthyNode();
    const member = node ?? (await makeKey()).node;
    await patient.self.membership.say(`add ${member}`);
    const known = address(member);
    const report = await patient.examine({ components: { addresses: { list: () => (known === '' ? [] : [known]) } } });
    return { report, found: check(report, 'peer', member.slice(-4)) };
  }

  it('says that its port is closed', async () => {
    const port = await closedPort();
    const { report, found } = await knowing((node) => `/ip4/127.0.0.1/tcp/${port}/p2p/${node}`);
    expect(faults(report)).toEqual([`peer/${found.name}`]);
    expect(found).toMatchObject({
      detail: expect.stringContaining('connection refused'),
      remedy: expect.stringContaining('weft serve'),
    });
  });

  it('says that another program, or nobody, speaks there', async () => {
    const web = await listener('HTTP/1.1 400 Bad Request\r\n\r\n');
    const program = await knowing((node) => `/ip4/127.0.0.1/tcp/${web}/p2p/${node}`);
    expect(program.found.detail).toContain('another program answers there');
    const mute = await listener();
    const silent = await knowing((node) => `/ip4/127.0.0.1/tcp/${mute}/p2p/${node}`);
    expect(silent.found).toMatchObject({ status: 'failed', detail: expect.stringContaining('says nothing') });
  });

  it('says that another device has the address', async () => {
    const other = await startNode();
    const address = other.mesh.addresses()[0] ?? '';
    const { report, found } = await knowing((node) => address.replace(other.key.node, node));
    expect(faults(report)).toEqual([`peer/${found.name}`]);
    expect(found).toMatchObject({
      detail: expect.stringContaining('another device answers'),
      remedy: expect.stringContaining('revoke'),
    });
  });

  it('says that the other is in another mesh', async () => {
    const other = await startNode();
    const { report, found } = await knowing(() => other.mesh.addresses()[0] ?? '', other.key.node);
    expect(faults(report)).toEqual([`peer/${found.name}`]);
    expect(found).toMatchObject({
      detail: expect.stringContaining('another mesh'),
      remedy: expect.stringContaining('weft members'),
    });
  });

  it('says that no address is known', async () => {
    const { report, found } = await knowing(() => '');
    expect(faults(report)).toEqual([`peer/${found.name}`]);
    expect(found).toMatchObject({
      detail: expect.stringContaining('no address'),
      remedy: expect.stringContaining('--announce'),
    });
  });

  it('goes by what the peer published before it went', async () => {
    const { examine, self, peer } = await healthyNode();
    await peer.mesh.stop();
    await vi.waitFor(() => expect(stateOf(self, peer)).toBe('gone'), SOON);
    const report = await examine();
    expect(faults(report)).toEqual([`peer/${peer.mesh.self.slice(-4)}`]);
    expect(check(report, 'peer').detail).toContain('connection refused');
  });
});

describe('several who ask the doctor at once', () => {
  it('share one run, and one who hangs up ends it for nobody', async () => {
    const { components, init } = await healthyNode();
    const asked = vi.fn(async () => Date.now());
    const doctor = createDoctor({ ...components, wallOf: asked }, init);
    const leaving = new AbortController();
    const [first, second] = [doctor(leaving.signal), doctor(never)];
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect((await second).ok).toBe(true);
    expect(asked).toHaveBeenCalledOnce();
    await doctor(never);
    expect(asked).toHaveBeenCalledTimes(2);
  });
});
