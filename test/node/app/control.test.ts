// The owner's port, over the layers that it gathers from.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../../models/build-manifest.ts';
import { MANIFEST_FILE } from '../../../models/manifest.ts';
import { ModelStore } from '../../../models/store.ts';
import { AssembledControl, type ControlComponents } from '../../../node/app/control.ts';
import { systemRandom } from '../../../node/app/random.ts';
import type { ConfigReport, DoctorReport } from '../../../node/core/control.ts';
import type { LocalEngine } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Mesh } from '../../../node/core/mesh.ts';
import type { MeasuredProfile, ProfileReport } from '../../../node/core/profile.ts';
import type { Member } from '../../../node/core/trust.ts';
import { EventLog } from '../../../node/telemetry/event-log.ts';
import { LogRing } from '../../../node/telemetry/log-ring.ts';
import { TraceRing } from '../../../node/telemetry/traces.ts';
import { ModelAnswer, StatusAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { BUNDLED } from '../../models/paths.ts';
import { temporaryFolder, tinyModel } from '../../models/temporary.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { HARDWARE } from '../gateway/support.ts';

const SELF = '12D3KooWSelf';
const MEMBERS: readonly Member[] = [
  { node: SELF, name: 'desk', role: 'admin' },
  { node: '12D3KooWAttic', name: 'attic', role: 'member' },
  { node: '12D3KooWTwin1', name: 'twin', role: 'member' },
  { node: '12D3KooWTwin2', name: 'Twin', role: 'member' },
];

const REPORT: ConfigReport = { file: '/data/settings.json', settings: [] };
const HEALTHY: DoctorReport = { ok: true, checks: [] };

async function make(overrides: Partial<ControlComponents> = {}) {
  const root = await temporaryFolder();
  const folder = await tinyModel(root, 'owner/tiny');
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(await buildManifest(folder)));
  const models = new ModelStore(
    { log: silentLog },
    { roots: [root, BUNDLED], bundledRoot: BUNDLED, cacheFolder: join(root, '.cache') },
  );
  await models.open();
  const clock = new ManualClock();
  const events = new EventLog({ clock, log: silentLog });
  const traces = new TraceRing({ clock, random: systemRandom, events });
  const logs = new LogRing({ clock, printed: silentLog, events }, { level: 'info' });
  const done: string[] = [];
  const digest = models.find('owner/tiny')?.ref.digest ?? '';
  const engine: Partial<ControlComponents['engine']> = {
    loaded: () => [],
    profile: () => undefined,
    offers: () => [{ model: { id: 'owner/tiny', digest } }] as unknown as ReturnType<LocalEngine['offers']>,
    ensureLoaded: async (which, { pin }) => {
      done.push(`load ${which} ${pin}`);
    },
    unload: async (which) => {
      done.push(`unload ${which}`);
      return which === digest;
    },
    withdraw: async (which) => {
      // Its files are still there for whoever works with them.
      done.push(`withdraw ${which} ${models.byDigest(which) !== undefined}`);
    },
  };
  const control = new AssembledControl(
    {
      clock,
      events,
      sharing: { paused: false, pause: () => undefined },
      lends: () => true,
      pulses: { stepMs: 5_000, history: () => [], watch: () => () => undefined },
      traces,
      logs,
      models,
      cuts: {
        measure: async () => {
          throw new WeftError({ code: 'unsupported', message: 'This node does not measure where models can be cut.' });
        },
      },
      mesh: { self: SELF, peer: () => undefined } as unknown as Mesh,
      membership: {
        meshId: 'ab'.repeat(32),
        members: () => MEMBERS,
        revoke: async (node: string, reason: string) => void done.push(`revoke ${node} ${reason}`),
      } as ControlComponents['membership'],
      invitations: {} as ControlComponents['invitations'],
      dispatcher: {} as ControlComponents['dispatcher'],
      library: {} as ControlComponents['library'],
      settings: { report: () => REPORT, change: async (changes) => ({ ...REPORT, file: JSON.stringify(changes) }) },
      doctor: async () => HEALTHY,
      keys: { replace: async () => 'fresh' },
      requestStop: () => void done.push('stop'),
      requestRestart: () => void done.push('restart'),
      offer: ({ ref }) => void done.push(`offer ${ref.digest}`),
      join: async () => undefined,
      ...overrides,
      engine: { ...engine, ...overrides.engine } as ControlComponents['engine'],
    },
    { version: '1.2.3', home: '/data', offer: 'all', hardware: HARDWARE, api: () => 'http://127.0.0.1:1' },
  );
  return { control, models, done, digest, traces, logs, events };
}

describe('models', () => {
  it('are described, by id or short name', async () => {
    const { control, digest } = await make();
    const tiny = control.model('OWNER/tiny');
    expect(tiny).toMatchObject({ id: 'owner/tiny', digest, bundled: false, offered: true });
    expect(tiny.files.map(({ path }) => path)).toContain('onnx/model.onnx');
    const minilm = control.model('minilm');
    expect(minilm).toMatchObject({
      id: 'Xenova/all-MiniLM-L6-v2',
      aliases: ['minilm'],
      task: 'feature-extraction',
      licence: 'Apache-2.0',
      dimensions: 384,
      bundled: true,
      offered: false,
    });
    expect(minilm.inputs.map(({ name }) => name)).toContain('input_ids');
    expect(minilm.sizeBytes).toBe(minilm.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    for (const details of [tiny, minilm]) expect(ModelAnswer.parse(details)).toEqual(details);
    expect(() => control.model('nothing')).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  });

  it('are shown with their speed, and how their graph was decoded last', async () => {
    const claim = { decoder: 'plain', decoderReason: 'measured so', batch: [] } as unknown as MeasuredProfile;
    const profile = { claim, observed: {}, offered: {} } as ProfileReport;
    const { control, digest } = await make({
      engine: { profile: () => profile } as unknown as ControlComponents['engine'],
    });
    expect(control.model('tiny')).toMatchObject({ profile, decoder: 'plain', decoderReason: 'measured so' });
    const generation = { decoder: 'rewritten', decoderReason: undefined };
    const engine = { profile: () => profile, loaded: () => [{ id: 'owner/tiny', digest, generation }] };
    const { control: loaded } = await make({ engine: engine as unknown as ControlComponents['engine'] });
    expect(loaded.model('tiny')).toMatchObject({ decoder: 'rewritten', decoderReason: undefined });
    expect(loaded.model('minilm').decoder).toBe('plain');
  });

  it('are loaded by the engine, pinned or not', async () => {
    const { control, done, digest } = await make();
    const { signal } = new AbortController();
    expect(await control.load('tiny', { pin: true, signal })).toMatchObject({ id: 'owner/tiny', wasLoaded: false });
    await control.load('tiny', { pin: false, signal });
    expect(done).toEqual([`load ${digest} true`, `load ${digest} false`]);
    await expect(control.load('nothing', { pin: true, signal })).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('are unloaded by the engine', async () => {
    const { control, done, digest } = await make();
    expect(await control.unload('tiny')).toEqual({ id: 'owner/tiny', wasLoaded: true });
    expect(await control.unload('minilm')).toMatchObject({ wasLoaded: false });
    expect(done[0]).toBe(`unload ${digest}`);
    await expect(control.unload('nothing')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('are removed once the engine has let go of them, and watchers are told', async () => {
    const { control, models, done, digest, events } = await make();
    const { sizeBytes } = control.model('tiny');
    expect(await control.remove('tiny')).toEqual({ id: 'owner/tiny', freedBytes: sizeBytes });
    expect(done).toEqual([`withdraw ${digest} true`]);
    expect(events.since(0)?.at(-1)).toMatchObject({ type: 'model', data: { id: 'owner/tiny', state: 'removed' } });
    expect(models.find('owner/tiny')).toBeUndefined();
    await expect(control.remove('tiny')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('are on offer again where their folder cannot be deleted', async () => {
    const { models } = await make();
    const refused = new WeftError({ code: 'forbidden', message: 'The folder is busy.' });
    const { control, done, digest } = await make({
      models: Object.assign(Object.create(models) as typeof models, {
        find: (name: string) => models.find(name),
        list: () => models.list(),
        byDigest: (which: string) => models.byDigest(which),
        isBundled: () => false,
        remove: () => Promise.reject(refused),
      }),
    });
    await expect(control.remove('tiny')).rejects.toBe(refused);
    expect(done).toEqual([`withdraw ${digest} true`, `offer ${digest}`]);
  });

  it('that came with Weft stay, and stay on offer', async () => {
    const { control, done } = await make();
    await expect(control.remove('minilm')).rejects.toMatchObject({ code: 'forbidden' });
    expect(done).toEqual([]);
  });
});

describe('status', () => {
  it("has this node's load as its peers hear of it", async () => {
    const load = { requestsInFlight: 2, queuedMs: 40, latencyMs: 12, memoryFreeBytes: 1_000_000 };
    const { control } = await make({
      engine: { load: () => load } as unknown as ControlComponents['engine'],
      mesh: { self: SELF, addresses: () => [], peers: () => [] } as unknown as Mesh,
      membership: {
        self: MEMBERS[0],
        meshId: 'ab',
        members: () => MEMBERS,
      } as unknown as ControlComponents['membership'],
      dispatcher: { inFlight: () => 3 } as unknown as ControlComponents['dispatcher'],
    });
    const status = control.status();
    expect(status).toMatchObject({ node: SELF, members: 4, requestsInFlight: 3, load });
    expect(StatusAnswer.parse(status)).toEqual(status);
  });
});

describe('members', () => {
  it('are revoked by id, or by a name that one alone has', async () => {
    const { control, done } = await make();
    expect(await control.revoke('12D3KooWTwin2', 'sold')).toEqual(MEMBERS[3]);
    expect(await control.revoke('ATTIC', 'stolen')).toEqual(MEMBERS[1]);
    expect(done).toEqual(['revoke 12D3KooWTwin2 sold', 'revoke 12D3KooWAttic stolen']);
    await expect(control.revoke('twin', '')).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'member' } });
    await expect(control.revoke('nobody', '')).rejects.toMatchObject({ code: 'not_found' });
    expect(done).toHaveLength(2);
  });
});

describe('peers', () => {
  it.each([
    ['admin', 'admins', true],
    ['admin', 'none', false],
    ['admin', undefined, false],
    ['member', 'admins', false],
  ] as const)('are manageable from the node of an %s where they say "%s": %s', async (role, managed, manageable) => {
    const advert = { name: 'attic', version: '1', offers: [], ...(managed === undefined ? {} : { managed }) };
    const { control } = await make({
      mesh: { self: SELF, peer: () => ({ advert, state: 'connected' }) } as unknown as Mesh,
      membership: {
        self: { node: SELF, name: 'desk', role },
        members: () => MEMBERS.slice(0, 2),
      } as unknown as ControlComponents['membership'],
    });
    expect(control.peers()).toMatchObject([{ name: 'attic', manageable }]);
  });

  it.each([
    [undefined, 'connected', undefined],
    [['battery', 'owner'], 'connected', undefined],
    [['owner', 'paused'], 'connected', 'paused'],
    [['paused'], 'suspect', 'paused'],
    [['unlent', 'paused'], 'connected', 'unlent'],
    // A new start is not paused.
    [['paused'], 'gone', undefined],
  ] as const)('that say %s and are %s are told to withhold their machine: %s', async (yields, state, withheld) => {
    const advert = { name: 'attic', version: '1', offers: [], ...(yields === undefined ? {} : { yields }) };
    const { control } = await make({
      mesh: { self: SELF, peer: () => ({ advert, state }) } as unknown as Mesh,
      membership: {
        self: MEMBERS[0],
        members: () => MEMBERS.slice(0, 2),
      } as unknown as ControlComponents['membership'],
    });
    expect(control.peers().map((peer) => peer.withheld)).toEqual([withheld]);
    // What moves its owner is told to no person.
    expect(JSON.stringify(control.peers())).not.toMatch(/owner|battery/);
  });

  it('that were never met are not', async () => {
    const { control } = await make({
      membership: { self: MEMBERS[0], members: () => MEMBERS } as unknown as ControlComponents['membership'],
    });
    expect(control.peers().map(({ manageable }) => manageable)).toEqual([false, false, false]);
  });
});

describe('plans', () => {
  const price = { queueMs: 30, loadMs: 0, upMs: 0, computeMs: 20, downMs: 0, totalMs: 50 };
  const plan = { kind: 'remote' as const, node: '12D3KooWAttic', price, samples: 3, others: [], rejected: [] };

  it('are explained by the names of members, and held against a deadline', async () => {
    const { control } = await make();
    expect(control.explain(plan, undefined)).toEqual({
      lines: [expect.stringMatching(/^on attic: /)],
      unmeetable: undefined,
    });
    expect(control.explain({ ...plan, node: 'stranger' }, 60)).toMatchObject({
      lines: [expect.stringContaining('on stranger')],
      unmeetable: undefined,
    });
    expect(control.explain(plan, 40).unmeetable).toEqual({ quotedMs: 50, retryAfterMs: expect.any(Number) });
  });

  it('of earlier requests are made again', async () => {
    const { control, traces } = await make();
    traces.begin({ requestId: 'req_1', name: 'x' }).placed(plan);
    expect(control.replay('req_1', 'prequal')).toMatchObject({
      policy: 'prequal',
      placements: [{ old: plan, atMs: 0 }],
    });
    expect(() => control.replay('req_2', undefined)).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('the rest', () => {
  it('is what the parts say', async () => {
    const { control, traces, logs, events, done } = await make();
    traces.begin({ requestId: 'req_1', name: 'x' });
    logs.log.warn({ a: 1 }, 'late');
    expect(control.requests().map(({ requestId }) => requestId)).toEqual(['req_1']);
    expect(control.request('req_1')?.status).toBe('running');
    expect(control.request('req_2')).toBeUndefined();
    expect(control.logs({ level: 'warn', limit: 5 })).toMatchObject([{ message: 'late', fields: { a: 1 } }]);
    expect(control.events).toBe(events);
    expect(events.since(0)?.map(({ type }) => type)).toEqual(['request', 'log']);
    expect(control.config()).toBe(REPORT);
    expect((await control.configure({ name: 'x' })).file).toBe('{"name":"x"}');
    expect(await control.doctor(new AbortController().signal)).toBe(HEALTHY);
    expect(await control.newKey()).toEqual({ key: 'fresh' });
    control.restart();
    control.stop();
    expect(done).toEqual(['restart', 'stop']);
  });
});
