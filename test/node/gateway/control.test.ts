// The control API, health and metrics.
import { describe, expect, expectTypeOf, it } from 'vitest';
import type {
  ConfigReport,
  DoctorReport,
  LogLine,
  ModelDetails,
  NodeStatus,
  PeerStatus,
} from '../../../node/core/control.ts';
import type { ModelListing } from '../../../node/core/coordinator.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import type { TraceRecord } from '../../../node/core/trace.ts';
import type { Invitation, Member } from '../../../node/core/trust.ts';
import {
  ConfigAnswer,
  DoctorAnswer,
  InvitationAnswer,
  InvitationCancelled,
  InvitationsAnswer,
  JoinAnswer,
  KeyAnswer,
  LoadAnswer,
  LogsAnswer,
  MembersAnswer,
  ModelAnswer,
  ModelsAnswer,
  PeersAnswer,
  PsAnswer,
  RemoveAnswer,
  RequestAnswer,
  RequestsAnswer,
  RevokeAnswer,
  StatusAnswer,
  StopAnswer,
  UnloadAnswer,
} from '../../../protocol/api/control.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { HARDWARE, KEY, LISTINGS, OTHER, PLAN, SELF, STATUS, startGateway } from './support.ts';

/** What is left of a value after JSON: arrays lose `readonly`, undefined fields go. */
type Json<T> = T extends readonly (infer Element)[]
  ? Json<Element>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Json<T[Key]> }
    : T;

describe('the control API', () => {
  it('has the shapes of the ports', () => {
    expectTypeOf<Json<NodeStatus>>().toExtend<StatusAnswer>();
    expectTypeOf<Json<PeerStatus>>().toExtend<PeersAnswer['peers'][number]>();
    expectTypeOf<Json<Member>>().toExtend<MembersAnswer['members'][number]>();
    expectTypeOf<Json<ModelListing>>().toExtend<ModelsAnswer['models'][number]>();
    expectTypeOf<Json<LoadedModel>>().toExtend<PsAnswer['models'][number]>();
    expectTypeOf<Json<Invitation>>().toExtend<InvitationAnswer>();
    expectTypeOf<Json<ModelDetails>>().toExtend<ModelAnswer>();
    expectTypeOf<Json<TraceRecord>>().toExtend<RequestAnswer>();
    expectTypeOf<Json<LogLine>>().toExtend<LogsAnswer['lines'][number]>();
    expectTypeOf<Json<ConfigReport>>().toExtend<ConfigAnswer>();
    expectTypeOf<Json<DoctorReport>>().toExtend<DoctorAnswer>();
  });

  it('says how the node is', async () => {
    const { call } = await startGateway();
    expect(StatusAnswer.parse(await (await call('/api/v1/status')).json())).toEqual(STATUS);
  });

  it('lists peers, with what is known of each', async () => {
    const peer = {
      node: OTHER,
      name: 'attic',
      state: 'suspect' as const,
      version: '1.2.3',
      hardware: HARDWARE,
      offers: [
        {
          model: { id: 'a/b', digest: 'sha256:00' },
          task: 'text-generation' as const,
          state: 'loaded' as const,
          contextLength: 10,
          dimensions: 0,
          sizeBytes: 1,
          profile: { fixedMs: 1, perTokenMs: 1, decodeMs: 1, loadMs: 1, samples: 0 },
          aliases: ['b'],
        },
      ],
      load: { requestsInFlight: 1, queuedMs: 2, latencyMs: 3, memoryFreeBytes: 4 },
      link: { rttMs: 1.5, rttFloorMs: 1, goodputBytesPerSecond: undefined, path: 'direct' as const },
      heardAgoMs: 12,
      withheld: undefined,
      manageable: false,
    };
    const paused = { ...peer, offers: [], withheld: 'paused' as const };
    const { call } = await startGateway({ control: { peers: () => [peer, paused] } });
    expect(PeersAnswer.parse(await (await call('/api/v1/peers')).json())).toEqual({ peers: [peer, paused] });
  });

  it('lists members, models and what is loaded', async () => {
    const loaded = {
      id: 'a/b',
      digest: 'sha256:00',
      state: 'quarantined' as const,
      provider: 'cpu',
      runnerPid: undefined,
      residentBytes: 1,
      requestsInFlight: 0,
      idleUntilMs: undefined,
      reason: 'died twice',
      fallbackReason: undefined,
      pinned: false,
      generation: undefined,
    };
    const generating = {
      ...loaded,
      id: 'a/chat',
      state: 'loaded' as const,
      fallbackReason: 'CUDA is not there.',
      pinned: true,
      generation: {
        decoder: 'plain' as const,
        decoderReason: 'An operator is not known.',
        sequences: 2,
        sequencesMax: 16,
        waiting: 1,
        tokensPerS: 151.5,
        kvBytes: 10,
        prefixBytes: 20,
        kvBytesMax: 300,
        kvBytesPerToken: 5,
        promptTokens: 100,
        cachedTokens: 60,
        draftedTokens: 9,
        acceptedTokens: 3,
      },
    };
    const { call } = await startGateway({ control: { loaded: () => [loaded, generating] } });
    expect(MembersAnswer.parse(await (await call('/api/v1/members')).json()).members).toHaveLength(1);
    expect(ModelsAnswer.parse(await (await call('/api/v1/models')).json())).toEqual({ models: LISTINGS });
    expect(PsAnswer.parse(await (await call('/api/v1/ps')).json())).toEqual({ models: [loaded, generating] });
  });

  it('makes invitations for as long as was asked, a day where nothing was', async () => {
    const { call } = await startGateway();
    const invite = async (body: object): Promise<unknown> => (await call('/api/v1/invitations', body)).json();
    expect(await invite({})).toEqual({ id: 'aa', ticket: 'weft-ticket', expiresAtMs: 86_400_000 });
    expect(InvitationAnswer.parse(await invite({ ttl_seconds: 60 })).expiresAtMs).toBe(60_000);
    for (const ttl_seconds of [0, -1, 1.5, 700_000, '60', null])
      expect(await invite({ ttl_seconds })).toMatchObject({
        error: { weft_code: 'bad_request', param: 'ttl_seconds' },
      });
    expect(await invite({ ttl: 1 })).toMatchObject({ error: { param: 'ttl' } });
  });

  it('lists invitations that are open, and cancels one', async () => {
    const cancelled: string[] = [];
    const { call, url } = await startGateway({
      control: {
        invitations: () => [{ id: 'aa', expiresAtMs: 5 }],
        cancelInvitation: async (id) => void cancelled.push(id),
      },
    });
    const listed = InvitationsAnswer.parse(await (await call('/api/v1/invitations')).json());
    expect(listed.invitations).toEqual([{ id: 'aa', expiresAtMs: 5 }]);
    const answer = await fetch(`${url}/api/v1/invitations/aa`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${KEY}` },
    });
    expect(InvitationCancelled.parse(await answer.json())).toEqual({ cancelled: true });
    expect(cancelled).toEqual(['aa']);
  });

  it('joins by a ticket', async () => {
    const tickets: string[] = [];
    const { call } = await startGateway({
      control: {
        join: async (ticket) => {
          tickets.push(ticket);
          return { mesh: 'ff', members: [{ node: OTHER, name: 'attic', role: 'admin' }] };
        },
      },
    });
    const answer = await call('/api/v1/join', { ticket: 'weft-abc' });
    expect(JoinAnswer.parse(await answer.json())).toMatchObject({ mesh: 'ff' });
    expect(tickets).toEqual(['weft-abc']);
  });

  it.each([
    ['ticket_invalid', 400],
    ['ticket_expired', 400],
    ['join_refused', 403],
    ['already_member', 409],
    ['peer_unreachable', 503],
  ] as const)('says why joining failed: %s', async (code, status) => {
    const { call } = await startGateway({
      control: {
        join: async () => {
          throw new WeftError({ code, message: 'Refused.' });
        },
      },
    });
    const answer = await call('/api/v1/join', { ticket: 'x' });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { weft_code: code, remedy: expect.stringMatching(/\S/) } });
  });

  it('refuses a ticket that is none', async () => {
    const { call } = await startGateway();
    for (const body of [{}, { ticket: '' }, { ticket: 7 }, { ticket: 'x'.repeat(20_000) }])
      expect((await call('/api/v1/join', body)).status).toBe(400);
  });
});

const MODEL: ModelDetails = {
  id: 'owner/graph',
  digest: `sha256:${'0'.repeat(64)}`,
  aliases: ['graph'],
  task: 'tensor',
  licence: undefined,
  contextLength: 0,
  dimensions: 0,
  sizeBytes: 10,
  bundled: false,
  offered: true,
  files: [{ path: 'onnx/model.onnx', sizeBytes: 10, sha256: '0'.repeat(64) }],
  inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3] }],
  outputs: [{ name: 'y', type: 'float32', dims: [-1] }],
  decoder: undefined,
  decoderReason: undefined,
  profile: {
    claim: {
      device: 'cpu',
      machine: 'Example CPU, 2 threads',
      version: '0.1.0',
      measuredAtMs: 1_795_000_000_000,
      work: [{ tokens: 1, ms: 2.5 }],
      decode: [],
      batch: [{ size: 8, ms: 9 }],
      loadMs: 120,
    },
    observed: {
      samples: 3,
      answers: 0,
      fixedMs: 0,
      perTokenMs: 3,
      decodeMs: 0,
      loadMs: 125,
      workRatio: 1,
      decodeRatio: 1,
    },
    offered: { fixedMs: 0, perTokenMs: 2.5, decodeMs: 0, loadMs: 125, samples: 4, batch: [{ size: 8, ms: 9 }] },
  },
};

describe('models', () => {
  it('are shown by a name with a slash in it, escaped or not, or without one', async () => {
    const asked: string[] = [];
    const { call } = await startGateway({
      control: {
        model: (name) => {
          asked.push(name);
          return MODEL;
        },
      },
    });
    for (const name of ['owner/graph', 'owner%2Fgraph', 'graph']) {
      const answer = ModelAnswer.parse(await (await call(`/api/v1/models/${name}`)).json());
      expect(answer).toEqual({ ...MODEL, licence: undefined });
    }
    expect(asked).toEqual(['owner/graph', 'owner/graph', 'graph']);
  });

  it('are loaded, unloaded and removed by name', async () => {
    const done: string[] = [];
    const { call } = await startGateway({
      control: {
        load: async (name, { pin, signal }) => {
          done.push(`load ${name} ${pin} ${signal.aborted}`);
          return { id: 'owner/graph', wasLoaded: false, pinned: pin, provider: 'cpu', residentBytes: 9 };
        },
        unload: async (name) => {
          done.push(`unload ${name}`);
          return { id: 'owner/graph', wasLoaded: true };
        },
        remove: async (name) => {
          done.push(`remove ${name}`);
          throw new WeftError({ code: 'forbidden', message: 'It came with Weft.' });
        },
      },
    });
    const loaded = await call('/api/v1/models/load', { model: 'graph', pin: true });
    expect(LoadAnswer.parse(await loaded.json())).toMatchObject({ id: 'owner/graph', pinned: true, residentBytes: 9 });
    await call('/api/v1/models/load', { model: 'graph' });
    expect((await call('/api/v1/models/load', { model: 'graph', pin: 'yes' })).status).toBe(400);
    expect(done.splice(0)).toEqual(['load graph true false', 'load graph false false']);
    const unloaded = await call('/api/v1/models/unload', { model: 'graph' });
    expect(UnloadAnswer.parse(await unloaded.json())).toEqual({ id: 'owner/graph', wasLoaded: true });
    expect((await call('/api/v1/models/remove', { model: 'graph' })).status).toBe(403);
    expect(done).toEqual(['unload graph', 'remove graph']);
    for (const action of ['load', 'unload', 'remove']) {
      expect((await call(`/api/v1/models/${action}`, {})).status).toBe(400);
      expect((await call(`/api/v1/models/${action}`)).status).toBe(405);
    }
    expect(RemoveAnswer.parse({ id: 'a/b', freedBytes: 1 })).toBeTruthy();
  });
});

describe('requests', () => {
  const record: TraceRecord = {
    requestId: 'req_1',
    traceId: 'a'.repeat(32),
    name: 'POST /v1/embeddings',
    caller: undefined,
    model: 'owner/graph',
    startedAtMs: 5,
    durationMs: 40,
    status: 'ok',
    code: undefined,
    promptTokens: 7,
    completionTokens: undefined,
    spans: [{ name: 'compute', node: OTHER, startMs: 1, durationMs: 30, predictedMs: 10 }],
    plans: [
      { ...PLAN, kind: 'local', node: SELF },
      {
        price: PLAN.price,
        kind: 'scatter',
        parts: [{ node: OTHER, from: 0, to: 1, price: PLAN.price }],
        others: [{ node: SELF, price: PLAN.price, samples: 2 }],
        rejected: [{ node: SELF, reason: 'out of memory' }],
      },
    ],
    failures: [{ node: SELF, code: 'runner_lost', atMs: 3 }],
  };

  it('are listed in brief, as many as asked for', async () => {
    const running: TraceRecord = { ...record, requestId: 'req_2', status: 'running', plans: [], failures: [] };
    const { call } = await startGateway({ control: { requests: () => [running, record] } });
    const { requests } = RequestsAnswer.parse(await (await call('/api/v1/requests')).json());
    expect(requests).toEqual([
      expect.objectContaining({ requestId: 'req_2', status: 'running', nodes: [], failures: 0 }),
      {
        requestId: 'req_1',
        traceId: 'a'.repeat(32),
        name: 'POST /v1/embeddings',
        model: 'owner/graph',
        startedAtMs: 5,
        durationMs: 40,
        status: 'ok',
        promptTokens: 7,
        plan: 'scatter',
        nodes: [OTHER],
        predictedMs: 12.35,
        failures: 1,
      },
    ]);
    expect(RequestsAnswer.parse(await (await call('/api/v1/requests?limit=1')).json()).requests).toHaveLength(1);
    for (const query of ['limit=0', 'limit=1.5', 'limit=9999', 'limit=x', 'limit=1&limit=2', 'lim=1'])
      expect((await call(`/api/v1/requests?${query}`)).status).toBe(400);
  });

  it('are shown whole by their id', async () => {
    const { call } = await startGateway({ control: { request: (id) => (id === 'req_1' ? record : undefined) } });
    const answer = RequestAnswer.parse(await (await call('/api/v1/requests/req_1')).json());
    expect(answer).toEqual(JSON.parse(JSON.stringify(record)));
    expect((await call('/api/v1/requests/req_3')).status).toBe(404);
  });
});

describe('operation', () => {
  it('shows the log, from a level on', async () => {
    const asked: unknown[] = [];
    const line: LogLine = { atMs: 1, level: 'warn', message: 'late', fields: { peer: OTHER } };
    const { call } = await startGateway({
      control: {
        logs: (filter) => {
          asked.push(filter);
          return [line];
        },
      },
    });
    expect(LogsAnswer.parse(await (await call('/api/v1/logs')).json())).toEqual({ lines: [line] });
    await call('/api/v1/logs?level=warn&limit=5');
    expect(asked).toEqual([{ limit: 200 }, { level: 'warn', limit: 5 }]);
    for (const query of ['level=loud', 'limit=0']) expect((await call(`/api/v1/logs?${query}`)).status).toBe(400);
  });

  it('shows and changes settings', async () => {
    const report: ConfigReport = {
      file: '/data/settings.json',
      settings: [
        {
          name: 'name',
          value: 'desk',
          source: 'file',
          flag: '--name',
          env: 'WEFT_NAME',
          expected: 'a text',
          pending: 'bureau',
          live: false,
        },
      ],
    };
    const changed: unknown[] = [];
    const { call, url } = await startGateway({
      control: {
        config: () => report,
        configure: async (changes) => {
          changed.push(changes);
          return report;
        },
      },
    });
    expect(ConfigAnswer.parse(await (await call('/api/v1/config')).json())).toEqual(report);
    const patch = (body: unknown): Promise<Response> =>
      fetch(`${url}/api/v1/config`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect(ConfigAnswer.parse(await (await patch({ name: 'bureau', offer: null })).json())).toEqual(report);
    expect(changed).toEqual([{ name: 'bureau', offer: null }]);
    for (const body of [[], 'x', null, 7]) expect((await patch(body)).status).toBe(400);
    const wrong = await call('/api/v1/config', {});
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, PATCH, HEAD']);
  });

  it('answers 400, with its name, for a setting or a key that can not be set so', async () => {
    const wrong = (facts: Record<string, string>): Promise<never> =>
      Promise.reject(new WeftError({ code: 'config_invalid', message: 'Not so.', facts }));
    const { call, url } = await startGateway({
      control: { configure: () => wrong({ setting: 'threads', line: '3' }), newKey: () => wrong({}) },
    });
    const patched = await fetch(`${url}/api/v1/config`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ threads: -1 }),
    });
    expect(patched.status).toBe(400);
    expect(ErrorBody.parse(await patched.json()).error).toMatchObject({
      type: 'invalid_request_error',
      weft_code: 'config_invalid',
      message: 'Not so.',
      param: 'threads',
    });
    const key = await call('/api/v1/key', {});
    expect([key.status, ErrorBody.parse(await key.json()).error.weft_code]).toEqual([400, 'config_invalid']);
  });

  it('examines the node, until the client goes away', async () => {
    const report: DoctorReport = {
      ok: false,
      checks: [{ layer: 'disk', name: 'room', status: 'failed', detail: 'Full.', remedy: 'Make room.' }],
    };
    let given: AbortSignal | undefined;
    const { call } = await startGateway({
      control: {
        doctor: async (signal) => {
          given = signal;
          return report;
        },
      },
    });
    expect(DoctorAnswer.parse(await (await call('/api/v1/doctor')).json())).toEqual(report);
    expect(given).toBeInstanceOf(AbortSignal);
  });

  it('makes a new key, which counts from the next request on', async () => {
    let key = KEY;
    const { call, url } = await startGateway({
      init: { apiKey: () => key },
      control: {
        newKey: async () => {
          key = 'another-key-of-24-letters';
          return { key };
        },
      },
    });
    const answer = await call('/api/v1/key', {});
    expect(KeyAnswer.parse(await answer.json())).toEqual({ key });
    expect((await call('/api/v1/status')).status).toBe(401);
    const status = await fetch(`${url}/api/v1/status`, { headers: { authorization: `Bearer ${key}` } });
    expect(status.status).toBe(200);
  });

  it('stops the node once the answer is out', async () => {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    const { call, gateway } = await startGateway({ control: { stop: () => resolve() } });
    const answer = await call('/api/v1/stop', {});
    expect(StopAnswer.parse(await answer.json())).toEqual({ stopping: true });
    await stopped;
    await gateway.stop();
  });

  it('takes nothing by mistake: neither without a body nor with another one', async () => {
    let calls = 0;
    const { call, url } = await startGateway({
      control: {
        stop: () => {
          calls += 1;
        },
        newKey: async () => {
          calls += 1;
          return { key: '' };
        },
      },
    });
    for (const path of ['/api/v1/stop', '/api/v1/key']) {
      expect((await call(path, { model: 'smollm2' })).status).toBe(400);
      const bare = await fetch(url + path, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } });
      expect(bare.status).toBe(403);
    }
    expect(calls).toBe(0);
  });

  it('signs members out, with a reason', async () => {
    const revoked: [string, string][] = [];
    const { call } = await startGateway({
      control: {
        revoke: async (member, reason) => {
          revoked.push([member, reason]);
          return { node: OTHER, name: 'attic', role: 'member' };
        },
      },
    });
    const answer = await call('/api/v1/members/revoke', { member: 'attic', reason: 'stolen' });
    expect(RevokeAnswer.parse(await answer.json())).toEqual({
      revoked: { node: OTHER, name: 'attic', role: 'member' },
    });
    await call('/api/v1/members/revoke', { member: OTHER });
    expect(revoked).toEqual([
      ['attic', 'stolen'],
      [OTHER, ''],
    ]);
    for (const body of [{}, { member: '' }, { member: 'x', why: 'y' }, { member: 'x', reason: 'r'.repeat(300) }])
      expect((await call('/api/v1/members/revoke', body)).status).toBe(400);
  });
});

describe('health and metrics', () => {
  it('says that the node is up, and nothing else, without a key', async () => {
    const { url } = await startGateway({ coordinator: { models: () => [] } });
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
  });

  it('counts what is refused for want of permission or room, and no mistakes of clients', async () => {
    const { call, telemetry } = await startGateway({
      control: {
        doctor: async () => {
          throw new WeftError({ code: 'overloaded', message: 'Later.' });
        },
      },
    });
    await call('/api/v1/status', undefined, { authorization: 'Bearer wrong' });
    await call('/api/v1/doctor');
    await call('/api/v1/join', {});
    await call('/nowhere');
    const rejected = telemetry.counted.filter(({ name }) => name === 'weft_requests_rejected_total');
    expect(rejected.map(({ labels }) => labels)).toEqual([{ reason: 'unauthorized' }, { reason: 'overloaded' }]);
  });

  it('gives metrics as Prometheus reads them', async () => {
    const { call } = await startGateway();
    const answer = await call('/metrics');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
    expect(await answer.text()).toBe('weft_requests_total 1\n');
  });
});
