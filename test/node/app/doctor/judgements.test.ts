// What each fact means: the pure half of the checks.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LAYERS } from '../../../../node/app/doctor/check.ts';
import { clockChecks, judgeOwnClock, judgePeerClocks } from '../../../../node/app/doctor/clock.ts';
import { judgeSpace } from '../../../../node/app/doctor/disk.ts';
import { judgeMdns, type MdnsObservation } from '../../../../node/app/doctor/mdns.ts';
import { judgeMembership } from '../../../../node/app/doctor/membership.ts';
import { judgeConnected, judgeGone, type Outcome } from '../../../../node/app/doctor/peers.ts';
import { judgeNode, judgeRuntime } from '../../../../node/app/doctor/runtime.ts';
import { judgeMemory, judgeOpenFiles, judgeThreads, judgeWatch } from '../../../../node/app/doctor/system.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import type { PeerRecord } from '../../../../node/core/mesh.ts';
import { deviceKeyOf } from '../../../../node/trust/device-key.ts';
import { meshIdOf, signStatement } from '../../../../node/trust/statements.ts';
import { LOAD, makeAdvert, never } from '../../mesh/support.ts';
import { REPOSITORY } from './support.ts';

const GIB = 2 ** 30;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);

describe('Node', () => {
  it.each([
    ['24.14.9', 'failed'],
    ['22.20.0', 'failed'],
    ['24.15.0', 'ok'],
    ['26.1.0', 'ok'],
  ])('%s: %s', (version, status) => {
    expect(judgeNode(version).status).toBe(status);
  });
});

describe('the runtime', () => {
  it('that can’t be loaded, or computes wrongly, names why', () => {
    const missing = judgeRuntime({ answer: undefined, failure: 'no such library' });
    expect(missing).toMatchObject({ status: 'failed', detail: expect.stringContaining('no such library') });
    const wrong = judgeRuntime({
      answer: { version: '1.30.0', attempts: [{ provider: 'cpu', error: 'computes wrong values' }] },
      failure: '',
    });
    expect(wrong).toMatchObject({ status: 'failed', detail: expect.stringContaining('wrong values') });
  });
});

describe('limits', () => {
  it.each([
    [undefined, 'skipped'],
    [128, 'failed'],
    [512, 'warning'],
    [20_000, 'ok'],
    [Number.POSITIVE_INFINITY, 'ok'],
  ])('of %s open files: %s', (most, status) => {
    expect(judgeOpenFiles(most)).toMatchObject({
      status,
      ...(status === 'failed' ? { remedy: expect.stringContaining('ulimit -n') } : {}),
    });
  });

  it('of a container are less than the machine’s memory', () => {
    const sound = { memoryBytes: 4 * GIB, totalBytes: 16 * GIB, allowedBytes: 0 };
    expect(judgeMemory(sound).status).toBe('ok');
    expect(judgeMemory({ ...sound, allowedBytes: 8 * GIB }).status).toBe('ok');
    const caged = judgeMemory({ ...sound, allowedBytes: 2 * GIB });
    expect(caged).toMatchObject({
      status: 'warning',
      remedy: expect.stringContaining('WEFT_MEMORY to less than 2.0 GiB'),
    });
    expect(judgeMemory({ ...sound, memoryBytes: 17 * GIB }).status).toBe('warning');
  });

  it('of cores and watches are told with what to set', () => {
    expect(judgeThreads(2, 2).status).toBe('ok');
    expect(judgeThreads(8, 2)).toMatchObject({ status: 'warning', remedy: expect.stringContaining('--threads') });
    expect(judgeWatch(undefined).status).toBe('ok');
    expect(judgeWatch('ENOSPC')).toMatchObject({ status: 'warning', remedy: expect.stringContaining('inotify') });
  });

  it.each([
    [10 * 2 ** 20, 'failed'],
    [GIB / 2, 'warning'],
    [2 * GIB, 'ok'],
  ])('of %d free bytes: %s', (bytes, status) => {
    expect(judgeSpace(bytes).status).toBe(status);
  });
});

describe('the member list', () => {
  const self = { node: 'a', name: 'laptop', role: 'member' } as const;

  it('without an admin can admit nobody', () => {
    const findings = judgeMembership({ meshId: 'ab', self, members: () => [self], isMember: () => true });
    expect(findings.map(({ status }) => status)).toEqual(['ok', 'warning']);
  });

  it('without this device means that it was revoked', () => {
    const [finding] = judgeMembership({ meshId: 'ab', self, members: () => [], isMember: () => false });
    expect(finding).toMatchObject({ status: 'failed', detail: expect.stringContaining('revoked') });
  });
});

describe('this machine’s clock', () => {
  it('is wrong when a statement comes from its future, or before Weft was written', () => {
    expect(judgeOwnClock(NOW, NOW + 10_000).status).toBe('ok');
    expect(judgeOwnClock(NOW, NOW + DAY_MS)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('24 h later'),
      remedy: expect.stringContaining('timedatectl'),
    });
    expect(judgeOwnClock(0, 0)).toMatchObject({ status: 'failed', detail: expect.stringContaining('1970') });
    expect(judgeOwnClock(Number.MAX_VALUE, 0).detail).toContain('out of bounds');
  });

  it('is compared with the newest of the signed statements', async () => {
    const key = deviceKeyOf(new Uint8Array(32).fill(7));
    const statements = [NOW, NOW + DAY_MS].map(
      (issuedAtMs) =>
        signStatement({
          meshId: meshIdOf(key.publicKey),
          seed: key.seed,
          claim: { kind: 'add', node: key.node, role: 'admin', name: 'laptop' },
          standsOn: [],
          issuedAtMs,
        }).encoded,
    );
    const [own] = clockChecks({
      clock: { ...systemClock, wallNow: () => NOW },
      mesh: { peers: () => [] },
      statements: () => statements,
    });
    expect(await own?.run(never)).toMatchObject([{ status: 'failed', name: 'this machine' }]);
  });
});

describe('peers’ clocks', () => {
  const peer = (name: string, offsetMs: number | undefined, uncertaintyMs = 1) => ({
    name,
    startedMs: NOW - DAY_MS,
    offset: offsetMs === undefined ? undefined : { offsetMs, uncertaintyMs },
  });
  const judged = (...peers: readonly ReturnType<typeof peer>[]) =>
    judgePeerClocks(NOW, peers).map(({ name, status }) => `${name}: ${status}`);

  it('may differ by a little, and not by more than a ticket’s tolerance', () => {
    expect(judged(peer('a', 50), peer('b', -5_000), peer('c', DAY_MS))).toEqual(['a: ok', 'b: warning', 'c: failed']);
  });

  it('are only blamed for what the way there can’t explain', () => {
    expect(judged(peer('far', 40_000, 39_900))).toEqual(['far: ok']);
    expect(judged(peer('near', 40_000, 100))).toEqual(['near: failed']);
  });

  it('show that this one is wrong when all of them agree', () => {
    const [finding, ...others] = judgePeerClocks(NOW, [peer('a', DAY_MS), peer('b', DAY_MS + 500)]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      name: 'peers',
      status: 'failed',
      detail: expect.stringContaining("This machine's clock is 24 h behind"),
    });
    expect(judged(peer('a', DAY_MS), peer('b', -DAY_MS))).toEqual(['a: failed', 'b: failed']);
  });

  it('that are not told are bounded by the peer’s start', () => {
    expect(judged(peer('a', undefined))).toEqual(['a: skipped']);
    const future = { ...peer('b', undefined), startedMs: NOW + DAY_MS };
    expect(judgePeerClocks(NOW, [future])).toMatchObject([{ status: 'failed' }]);
    expect(judgePeerClocks(NOW, [])).toMatchObject([{ status: 'skipped' }]);
  });
});

describe('the local network', () => {
  const heard: MdnsObservation = {
    failure: undefined,
    heardSelf: true,
    answered: new Set(['me']),
    otherMeshes: new Set(),
  };
  const members = () => [{ node: 'x', name: 'kitchen' }];
  const judge = (observed: Partial<MdnsObservation>, running = true, others = members) =>
    judgeMdns({ ...heard, ...observed }, { self: 'me', running, members: others })[0];

  it('is blocked when nothing goes out, or nothing comes back', () => {
    for (const observed of [{ failure: 'EPERM' }, { heardSelf: false }]) {
      expect(judge(observed)).toMatchObject({
        status: 'failed',
        detail: expect.stringContaining('mDNS is blocked'),
        remedy: expect.stringContaining('UDP port 5353'),
      });
    }
  });

  it('shows who answers, and which other meshes are about', () => {
    expect(judge({ answered: new Set(['me', 'x']) })).toMatchObject({ status: 'ok', detail: 'kitchen answered' });
    const other = judge({ otherMeshes: new Set(['_weft-0000000000000000._udp.local']) });
    expect(other).toMatchObject({ status: 'warning', detail: expect.stringContaining('1 other mesh is about') });
    expect(other?.remedy).toContain('weft invite');
    expect(judge({})).toMatchObject({ status: 'warning', remedy: expect.stringContaining('guest Wi-Fi') });
    expect(judge({}, true, () => [])).toMatchObject({ status: 'ok' });
  });

  it('expects an answer of this node only while it runs', () => {
    const silent = { answered: new Set<string>() };
    expect(judge(silent, true, () => [])).toMatchObject({ status: 'warning' });
    expect(judge(silent, false, () => [])).toMatchObject({ status: 'ok' });
  });
});

describe('a member', () => {
  const record = (change: Partial<PeerRecord> & { readonly version?: string } = {}): PeerRecord => ({
    advert: { ...makeAdvert('x'), version: change.version ?? '1.0.0', sequence: 1, addresses: [], load: LOAD },
    state: 'connected',
    link: { rttMs: 0.42, rttFloorMs: 0.4, goodputBytesPerSecond: undefined, path: 'direct' },
    load: LOAD,
    callsInFlight: 0,
    heardAgoMs: 5,
    ...change,
  });

  it('that is connected is sound, unless it is slow to answer, far round, or of another version', () => {
    expect(judgeConnected('x', record(), '1.0.0')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('0.4 ms'),
    });
    const paused = record();
    const withheld = { ...paused, advert: { ...paused.advert, yields: ['battery', 'paused'] as const } };
    expect(judgeConnected('x', withheld, '1.0.0')).toEqual({
      name: 'x',
      status: 'ok',
      detail: 'connected directly, round trip 0.4 ms; it computes for nobody else now: its owner has paused sharing',
    });
    const relayed = {
      rttMs: undefined,
      rttFloorMs: undefined,
      goodputBytesPerSecond: undefined,
      path: 'relay',
    } as const;
    const faulty = [record({ state: 'suspect' }), record({ link: relayed }), record({ version: '2.0.0' })];
    for (const one of faulty) {
      expect(judgeConnected('x', one, '1.0.0')).toMatchObject({ status: 'warning', remedy: expect.any(String) });
    }
  });

  it('that is gone is told by the address that got furthest', () => {
    const dialled = (['timeout', 'refuses', 'refused'] satisfies Outcome[]).map((outcome, index) => ({
      address: `/ip4/10.0.0.${index}/tcp/1`,
      outcome,
    }));
    const finding = judgeGone('x', dialled, true);
    expect(finding.detail).toContain('/ip4/10.0.0.1/tcp/1: it answers, and ends the connection');
    expect(finding.detail).toContain('furthest of 3 addresses');
  });

  it.each<[Outcome, RegExp]>([
    ['refused', /weft serve/],
    ['timeout', /firewall/],
    ['unreachable', /--announce/],
    ['unknown-name', /DNS/],
    ['not-libp2p', /port/],
    ['silent', /Restart its node/],
    ['other-device', /revoke/],
    ['refuses', /ticket/],
    ['other-version', /same version/],
  ])('that ends in "%s" has failed, with what to do about it', (outcome, remedy) => {
    const finding = judgeGone('x', [{ address: '/ip4/10.0.0.1/tcp/1', outcome }], true);
    expect(finding).toMatchObject({ status: 'failed', remedy: expect.stringMatching(remedy) });
  });

  it('that answers is sound where no daemon runs here, and odd where one does', () => {
    const dialled = [{ address: '/ip4/10.0.0.1/tcp/1', outcome: 'answers' }] as const;
    expect(judgeGone('x', dialled, false).status).toBe('ok');
    expect(judgeGone('x', dialled, true).status).toBe('warning');
  });
});

describe('docs/troubleshooting.md', () => {
  it('explains every layer, in the order of the report', () => {
    const page = readFileSync(join(REPOSITORY, 'docs', 'troubleshooting.md'), 'utf8');
    const rows = page.split('\n').flatMap((line) => /^\| `(\w+)` \|.*\|$/.exec(line)?.[1] ?? []);
    expect(rows.slice(0, LAYERS.length + 1)).toEqual(['daemon', ...LAYERS]);
  });
});
