// What one node may ask another to do as its owner would: the closed table of `/api/v1/nodes/{node}/…`. Both ends keep to
// it: the gateway that asks, the peer method `manage` that carries it, and the node that does it.
import { z } from 'zod';
import { CutsAnswer, CutsQuery } from './cuts.ts';
import {
  CancelAnswer,
  CancelRequest,
  LoadAnswer,
  LoadRequest,
  ModelAnswer,
  ModelRequest,
  ModelsAnswer,
  PsAnswer,
  PullAnswer,
  PullRequest,
  RemoveAnswer,
  TransfersAnswer,
  UnloadAnswer,
  VerifyAnswer,
  VerifyRequest,
} from './models.ts';
import { StatusAnswer } from './node.ts';
import {
  ConfigAnswer,
  ConfigRequest,
  DoctorAnswer,
  EmptyRequest,
  LogsAnswer,
  LogsQuery,
  RestartAnswer,
} from './operation.ts';
import { RequestAnswer, RequestsAnswer, RequestsQuery } from './requests.ts';

/** One operation: how it is asked for over HTTP, and what it may take. */
export interface ManagedRow<Request extends z.ZodObject | typeof ConfigRequest, Answer extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Behind `/api/v1/nodes/{node}/`; a name in braces stands for the rest, and goes into the request under that name. */
  readonly path: string;
  /** Body, or the query of a `GET`. */
  readonly request: Request;
  readonly answer: Answer;
  /** Until the whole answer must be there, the way included. */
  readonly timeoutMs: number;
  /** Its answer is a list that is cut to what one node takes from another: the field, and where its newest stands. */
  readonly list?: { readonly field: string; readonly newest: 'first' | 'last' };
  /** It changes the node: what it is asked is written to that node's log, these fields of the request included. */
  readonly changes?: readonly string[];
  /** It may last for hours: answered by {@link AcceptedAnswer} where it isn't done in a moment. */
  readonly lasting?: true;
}

function row<Request extends z.ZodObject | typeof ConfigRequest, Answer extends z.ZodType>(
  spec: ManagedRow<Request, Answer>,
): ManagedRow<Request, Answer> {
  return spec;
}

/** It goes on by itself: `GET …/transfers` tells how far it is. */
export const AcceptedAnswer = z.object({ accepted: z.literal(true) });
export type AcceptedAnswer = z.infer<typeof AcceptedAnswer>;

/** `GET …/models/{model}`. */
const ModelName = z.strictObject({ model: z.string().min(1, 'must be the name of a model').max(512) });

/** `GET …/requests/{id}`. */
const RequestName = z.strictObject({ id: z.string().min(1, 'must be the id of a request').max(256) });

// Answered from memory, or after a write of a small file: whoever takes longer hangs.
const SOON_MS = 10_000;
/** Requests under way are waited for. */
const ENDING_MS = 120_000;
/** Gigabytes may have to be hashed, or a graph measured, first. */
const LONG_MS = 600_000;

/** Every operation, by its name on the wire. Names and meanings never change; a new one is a new row. */
export const MANAGED_OPERATIONS = {
  status: row({ method: 'GET', path: 'status', request: EmptyRequest, answer: StatusAnswer, timeoutMs: SOON_MS }),
  ps: row({ method: 'GET', path: 'ps', request: EmptyRequest, answer: PsAnswer, timeoutMs: SOON_MS }),
  config: row({ method: 'GET', path: 'config', request: EmptyRequest, answer: ConfigAnswer, timeoutMs: SOON_MS }),
  configure: row({
    method: 'PATCH',
    path: 'config',
    request: ConfigRequest,
    answer: ConfigAnswer,
    timeoutMs: SOON_MS,
    changes: [],
  }),
  models: row({ method: 'GET', path: 'models', request: EmptyRequest, answer: ModelsAnswer, timeoutMs: SOON_MS }),
  model: row({ method: 'GET', path: 'models/{model}', request: ModelName, answer: ModelAnswer, timeoutMs: SOON_MS }),
  pull: row({
    method: 'POST',
    path: 'models/pull',
    request: PullRequest,
    answer: PullAnswer,
    timeoutMs: SOON_MS,
    changes: ['model'],
    lasting: true,
  }),
  load: row({
    method: 'POST',
    path: 'models/load',
    request: LoadRequest,
    answer: LoadAnswer,
    timeoutMs: LONG_MS,
    changes: ['model', 'pin'],
  }),
  unload: row({
    method: 'POST',
    path: 'models/unload',
    request: ModelRequest,
    answer: UnloadAnswer,
    timeoutMs: ENDING_MS,
    changes: ['model'],
  }),
  remove: row({
    method: 'POST',
    path: 'models/remove',
    request: ModelRequest,
    answer: RemoveAnswer,
    timeoutMs: ENDING_MS,
    changes: ['model'],
  }),
  verify: row({
    method: 'POST',
    path: 'models/verify',
    request: VerifyRequest,
    answer: VerifyAnswer,
    timeoutMs: SOON_MS,
    changes: ['model', 'repair'],
    lasting: true,
  }),
  transfers: row({
    method: 'GET',
    path: 'transfers',
    request: EmptyRequest,
    answer: TransfersAnswer,
    timeoutMs: SOON_MS,
    list: { field: 'transfers', newest: 'first' },
  }),
  cancel: row({
    method: 'POST',
    path: 'transfers/cancel',
    request: CancelRequest,
    answer: CancelAnswer,
    timeoutMs: SOON_MS,
    changes: ['id'],
  }),
  logs: row({
    method: 'GET',
    path: 'logs',
    request: LogsQuery,
    answer: LogsAnswer,
    timeoutMs: SOON_MS,
    list: { field: 'lines', newest: 'last' },
  }),
  doctor: row({ method: 'GET', path: 'doctor', request: EmptyRequest, answer: DoctorAnswer, timeoutMs: 60_000 }),
  requests: row({
    method: 'GET',
    path: 'requests',
    request: RequestsQuery,
    answer: RequestsAnswer,
    timeoutMs: SOON_MS,
    list: { field: 'requests', newest: 'first' },
  }),
  request: row({
    method: 'GET',
    path: 'requests/{id}',
    request: RequestName,
    answer: RequestAnswer,
    timeoutMs: SOON_MS,
  }),
  cuts: row({ method: 'GET', path: 'cuts', request: CutsQuery, answer: CutsAnswer, timeoutMs: LONG_MS }),
  restart: row({
    method: 'POST',
    path: 'restart',
    request: EmptyRequest,
    answer: RestartAnswer,
    timeoutMs: SOON_MS,
    changes: [],
  }),
} as const;

export type ManagedOperation = keyof typeof MANAGED_OPERATIONS;

/** Any row, where the types of its messages don't matter. */
export type AnyManagedRow = ManagedRow<z.ZodObject | typeof ConfigRequest, z.ZodType>;

/** The row of a name that came from elsewhere; undefined = there is none. */
export function managedOperation(name: string): ManagedOperation | undefined {
  return Object.hasOwn(MANAGED_OPERATIONS, name) ? (name as ManagedOperation) : undefined;
}
