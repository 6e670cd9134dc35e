// The control API, health and metrics.
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { NodeStatus, PeerStatus } from '../../../node/core/control.ts';
import type { ModelListing } from '../../../node/core/coordinator.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import type { Invitation, Member } from '../../../node/core/trust.ts';
import {
  InvitationAnswer,
  JoinAnswer,
  MembersAnswer,
  ModelsAnswer,
  PeersAnswer,
  PsAnswer,
  StatusAnswer,
} from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { HARDWARE, LISTINGS, OTHER, STATUS, startGateway } from './support.ts';

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
    };
    const { call } = await startGateway({ control: { peers: () => [peer] } });
    expect(PeersAnswer.parse(await (await call('/api/v1/peers')).json())).toEqual({ peers: [peer] });
  });

  it('lists members, models and what is loaded', async () => {
    const loaded = {
      id: 'a/b',
      state: 'quarantined' as const,
      provider: 'cpu',
      runnerPid: undefined,
      residentBytes: 1,
      requestsInFlight: 0,
      idleUntilMs: undefined,
      reason: 'died twice',
    };
    const { call } = await startGateway({ control: { loaded: () => [loaded] } });
    expect(MembersAnswer.parse(await (await call('/api/v1/members')).json()).members).toHaveLength(1);
    expect(ModelsAnswer.parse(await (await call('/api/v1/models')).json())).toEqual({ models: LISTINGS });
    expect(PsAnswer.parse(await (await call('/api/v1/ps')).json())).toEqual({ models: [loaded] });
  });

  it('makes invitations for as long as was asked, a day where nothing was', async () => {
    const { call } = await startGateway();
    const invite = async (body: object): Promise<unknown> => (await call('/api/v1/invitations', body)).json();
    expect(await invite({})).toEqual({ ticket: 'weft-ticket', expiresAtMs: 86_400_000 });
    expect(InvitationAnswer.parse(await invite({ ttl_seconds: 60 })).expiresAtMs).toBe(60_000);
    for (const ttl_seconds of [0, -1, 1.5, 700_000, '60', null])
      expect(await invite({ ttl_seconds })).toMatchObject({
        error: { weft_code: 'bad_request', param: 'ttl_seconds' },
      });
    expect(await invite({ ttl: 1 })).toMatchObject({ error: { param: 'ttl' } });
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

describe('health and metrics', () => {
  it('says that the node is up, and nothing else, without a key', async () => {
    const { url } = await startGateway({ coordinator: { models: () => [] } });
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
  });

  it('gives metrics as Prometheus reads them', async () => {
    const { call } = await startGateway();
    const answer = await call('/metrics');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
    expect(await answer.text()).toBe('weft_requests_total 1\n');
  });
});
