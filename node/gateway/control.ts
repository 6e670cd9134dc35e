// The control API under /api/v1: what the command line and the desktop ask of the node beside them. Events, tensors and
// the library are in files of their own.
import {
  ConfigRequest,
  EmptyRequest,
  INVITATION_SECONDS,
  type InvitationAnswer,
  type InvitationCancelled,
  InvitationRequest,
  type InvitationsAnswer,
  JoinRequest,
  LOG_LINES_LISTED,
  LoadRequest,
  LogsQuery,
  ModelRequest,
  REQUESTS_LISTED,
  type RequestsAnswer,
  RequestsQuery,
  type RestartAnswer,
  RevokeRequest,
  SharingRequest,
  type StopAnswer,
} from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { RequestId } from '../../protocol/ids.ts';
import { planNodes } from '../../protocol/plan.ts';
import type { NodeControl } from '../core/control.ts';
import type { Coordinator } from '../core/coordinator.ts';
import type { TraceRecord } from '../core/trace.ts';
import { HttpError } from './errors.ts';
import type { Endpoint } from './exchange.ts';
import { library } from './library.ts';
import { rounded } from './placement.ts';

export interface ControlComponents {
  readonly control: NodeControl;
  readonly coordinator: Coordinator;
}

/** The endpoints. */
export function control(components: ControlComponents): readonly Endpoint[] {
  return [
    ...reading(components),
    ...membership(components),
    ...models(components),
    ...library({ library: () => components.control.library }),
    ...operation(components),
  ];
}

function reading({ control, coordinator }: ControlComponents): readonly Endpoint[] {
  return [
    { method: 'GET', url: '/api/v1/status', handle: () => control.status() },
    { method: 'GET', url: '/api/v1/peers', handle: () => ({ peers: control.peers() }) },
    { method: 'GET', url: '/api/v1/members', handle: () => ({ members: control.members() }) },
    { method: 'GET', url: '/api/v1/models', handle: () => ({ models: coordinator.models() }) },
    { method: 'GET', url: '/api/v1/ps', handle: () => ({ models: control.loaded() }) },
    {
      method: 'GET',
      url: '/api/v1/requests',
      handle(exchange): RequestsAnswer {
        const { limit = REQUESTS_LISTED.usual } = exchange.readQuery(RequestsQuery);
        return { requests: control.requests().slice(0, limit).map(requestSummary) };
      },
    },
    {
      method: 'GET',
      url: '/api/v1/requests/*',
      handle: ({ wildcard: id }) => keptRequest(control, id),
    },
    {
      method: 'GET',
      url: '/api/v1/logs',
      handle(exchange) {
        const { level, limit = LOG_LINES_LISTED.usual } = exchange.readQuery(LogsQuery);
        return { lines: control.logs(level === undefined ? { limit } : { level, limit }) };
      },
    },
  ];
}

function membership({ control }: ControlComponents): readonly Endpoint[] {
  return [
    {
      method: 'POST',
      url: '/api/v1/invitations',
      async handle(exchange): Promise<InvitationAnswer> {
        const { ttl_seconds: seconds = INVITATION_SECONDS.usual } = await exchange.readJson(InvitationRequest);
        return control.invite({ ttlMs: seconds * 1_000 });
      },
    },
    {
      method: 'GET',
      url: '/api/v1/invitations',
      handle: (): InvitationsAnswer => ({ invitations: [...control.invitations()] }),
    },
    {
      method: 'DELETE',
      url: '/api/v1/invitations/:id',
      async handle(exchange): Promise<InvitationCancelled> {
        await control.cancelInvitation(exchange.parameter('id'));
        return { cancelled: true };
      },
    },
    {
      method: 'POST',
      url: '/api/v1/join',
      async handle(exchange) {
        const { ticket } = await exchange.readJson(JoinRequest);
        return control.join(ticket);
      },
    },
    {
      method: 'POST',
      url: '/api/v1/members/revoke',
      async handle(exchange) {
        const { member, reason = '' } = await exchange.readJson(RevokeRequest);
        return { revoked: await control.revoke(member, reason) };
      },
    },
  ];
}

function models({ control }: ControlComponents): readonly Endpoint[] {
  return [
    // Ids have a slash in them, which clients escape or don't.
    { method: 'GET', url: '/api/v1/models/*', handle: ({ wildcard: name }) => control.model(name) },
    {
      method: 'POST',
      url: '/api/v1/models/load',
      async handle(exchange) {
        const { model, pin = false } = await exchange.readJson(LoadRequest);
        return control.load(model, { pin, signal: exchange.signal });
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/unload',
      async handle(exchange) {
        const { model } = await exchange.readJson(ModelRequest);
        return control.unload(model);
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/remove',
      async handle(exchange) {
        const { model } = await exchange.readJson(ModelRequest);
        return control.remove(model);
      },
    },
  ];
}

function operation({ control }: ControlComponents): readonly Endpoint[] {
  return [
    { method: 'GET', url: '/api/v1/config', handle: () => control.config() },
    {
      method: 'PATCH',
      url: '/api/v1/config',
      async handle(exchange) {
        return control.configure(await exchange.readJson(ConfigRequest)).catch(refusedSetting);
      },
    },
    { method: 'GET', url: '/api/v1/sharing', handle: () => control.sharing() },
    {
      method: 'POST',
      url: '/api/v1/sharing',
      async handle(exchange) {
        return control.setSharing(await exchange.readJson(SharingRequest));
      },
    },
    { method: 'GET', url: '/api/v1/doctor', handle: ({ signal }) => control.doctor(signal) },
    {
      method: 'POST',
      url: '/api/v1/key',
      async handle(exchange) {
        await exchange.readJson(EmptyRequest);
        return control.newKey().catch(refusedSetting);
      },
    },
    {
      method: 'POST',
      url: '/api/v1/stop',
      async handle(exchange): Promise<StopAnswer> {
        await exchange.readJson(EmptyRequest);
        // Only once the answer is out: the stop closes every connection.
        void exchange.closed.then(() => control.stop());
        return { stopping: true };
      },
    },
    {
      method: 'POST',
      url: '/api/v1/restart',
      async handle(exchange): Promise<RestartAnswer> {
        await exchange.readJson(EmptyRequest);
        void exchange.closed.then(() => control.restart());
        return { restarting: true };
      },
    },
  ];
}

/** @throws WeftError `not_found` */
export function keptRequest(control: Pick<NodeControl, 'request'>, id: RequestId): TraceRecord {
  const record = control.request(id);
  if (record !== undefined) return record;
  throw new WeftError({
    code: 'not_found',
    message: 'No request of this id is kept here.',
    remedy: 'Ask the node whose API got the request, soon after: only the last ones are kept.',
  });
}

/** A setting that the caller got wrong is no failure of the node, as it is at a start. */
export function refusedSetting(error: unknown): never {
  if (!(error instanceof WeftError) || error.code !== 'config_invalid') throw error;
  const { code, message, remedy, facts } = error;
  const named = facts.setting === undefined ? facts : { ...facts, param: facts.setting };
  throw new HttpError(400, { code, message, remedy, facts: named }, { cause: error });
}

/** A request in a list: its spans and plans are shown by its id. */
export function requestSummary({
  spans: _spans,
  plans,
  failures,
  ...record
}: TraceRecord): RequestsAnswer['requests'][number] {
  const plan = plans.at(-1);
  return {
    ...record,
    ...(plan === undefined ? {} : { plan: plan.kind, predictedMs: rounded(plan.price.totalMs) }),
    nodes: plan === undefined ? [] : [...planNodes(plan)],
    failures: failures.length,
  };
}
