// The event stream: what happens on a node while it happens, as server-sent events.
import { z } from 'zod';
import { TransferState } from './models.ts';
import { LogLine } from './operation.ts';
import { Pulse } from './pulse.ts';

/** Kinds of events. */
export const EVENT_TYPES = [
  'node',
  'model',
  'request',
  'transfer',
  'conversation',
  'settings',
  'log',
  'pulse',
] as const;

/** Those that are sent where none are named: a pulse comes every second, and is worth something to plots alone. */
export const USUAL_EVENT_TYPES = EVENT_TYPES.filter((type) => type !== 'pulse');

/** Those that a node tells admins elsewhere: conversations are of whoever is at it. */
export const WATCHED_EVENT_TYPES = EVENT_TYPES.filter((type) => type !== 'conversation');

/** Characters of an event's id on the wire. */
export const EVENT_ID_LENGTH_MAX = 64;

const TYPES_TEXT = `must be a list of ${EVENT_TYPES.join(', ')}, with commas`;

/** The query of `GET /api/v1/events`. */
export const EventsQuery = z.strictObject({
  /** Id of the last event that was seen, as the header `Last-Event-ID`, which comes first. `0` asks for all that is kept. */
  since: z.string('must be the id of an event').max(EVENT_ID_LENGTH_MAX, 'must be the id of an event').optional(),
  /** Such as `request,log`. @default all but `pulse` */
  types: z
    .string(TYPES_TEXT)
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(EVENT_TYPES, TYPES_TEXT)))
    .optional(),
});
export type EventsQuery = z.infer<typeof EventsQuery>;

/** A member has come, gone or changed. */
const NodeChange = z.object({
  node: z.string(),
  name: z.string(),
  /** `removed`: no member any more. */
  state: z.enum(['connected', 'suspect', 'gone', 'removed']),
  role: z.string().optional(),
  version: z.string().optional(),
  /** Whom it lets manage it: `admins` or `none`. */
  managed: z.string().optional(),
  /** Why it computes nothing for others: `unlent` or `paused`. */
  withheld: z.string().optional(),
  /** What it offers. */
  models: z.array(z.object({ id: z.string(), state: z.string() })),
});
export type NodeChange = z.infer<typeof NodeChange>;

/** A model of this node is being loaded, has been loaded, unloaded or quarantined, or its files have been deleted. */
const ModelChange = z.object({
  id: z.string(),
  state: z.enum(['loading', 'loaded', 'quarantined', 'unloaded', 'removed']),
  /** While it loads: `room`, `start`, `verify`, `load`, `check` or `warm`. */
  phase: z.string().optional(),
  /** Of the phase, 0 to 1; left out where it isn't known. */
  fraction: z.number().optional(),
  reason: z.string().optional(),
  /** It stays in memory until it is unloaded. */
  pinned: z.literal(true).optional(),
});
export type ModelChange = z.infer<typeof ModelChange>;

/** A request has begun, was placed (again after a loss), has some of its many items done, or has ended. */
const RequestChange = z.object({
  requestId: z.string(),
  /** 32 hex digits: those of the client's `traceparent`, where it sent one. */
  traceId: z.string().optional(),
  phase: z.enum(['begun', 'placed', 'progress', 'ended']),
  name: z.string(),
  caller: z.string().optional(),
  model: z.string().optional(),
  plan: z.string().optional(),
  nodes: z.array(z.string()).optional(),
  predictedMs: z.number().optional(),
  /** Items that are done, of how many; of a request that is done in pieces, or on several nodes. */
  done: z.number().optional(),
  total: z.number().optional(),
  /** Those that are done by node id, where that is known of all. */
  doneByNode: z.record(z.string(), z.number()).optional(),
  status: z.enum(['ok', 'error', 'cancelled']).optional(),
  code: z.string().optional(),
  durationMs: z.number().optional(),
  promptTokens: z.number().optional(),
  completionTokens: z.number().optional(),
  /** Until the first token. */
  ttftMs: z.number().optional(),
});
export type RequestChange = z.infer<typeof RequestChange>;

/** A conversation has begun, has more in it or is called otherwise, or is gone. Texts under way have a stream of their own. */
const ConversationChange = z.object({
  id: z.string(),
  change: z.enum(['created', 'changed', 'deleted']),
});
export type ConversationChange = z.infer<typeof ConversationChange>;

/** A setting of this node is another, or what it does for others. */
const SettingsChange = z.object({
  /** It computes for other members. */
  lends: z.boolean(),
});
export type SettingsChange = z.infer<typeof SettingsChange>;

const event = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.object({
    /** To come back behind. */
    id: z.string(),
    type: z.literal(type),
    /** Milliseconds since 1970. */
    atMs: z.number(),
    data,
  });

/** The `data:` of one event. `reset` says that events were missed: what is shown must be read anew. */
export const ControlEvent = z.discriminatedUnion('type', [
  event('node', NodeChange),
  event('model', ModelChange),
  event('request', RequestChange),
  event('transfer', TransferState),
  event('conversation', ConversationChange),
  event('settings', SettingsChange),
  event('log', LogLine),
  event('pulse', Pulse),
  event('reset', z.object({})),
]);
export type ControlEvent = z.infer<typeof ControlEvent>;
