// The control API: what the command line and the desktop ask of the node beside them, under /api/v1. Field names are
// those of the ports in node/core. Readers keep to these schemas and ignore what a newer node adds.
import { z } from 'zod';

const Device = z.object({ kind: z.string(), name: z.string(), memoryBytes: z.number() });

const Hardware = z.object({
  platform: z.string(),
  arch: z.string(),
  cpuModel: z.string(),
  cpuCount: z.number(),
  memoryBytes: z.number(),
  devices: z.array(Device),
});

const Load = z.object({
  requestsInFlight: z.number(),
  queuedMs: z.number(),
  latencyMs: z.number(),
  memoryFreeBytes: z.number(),
});

const ModelOffer = z.object({
  model: z.object({ id: z.string(), digest: z.string() }),
  task: z.string(),
  state: z.string(),
  contextLength: z.number(),
  dimensions: z.number(),
  sizeBytes: z.number(),
  profile: z.object({
    fixedMs: z.number(),
    perTokenMs: z.number(),
    decodeMs: z.number(),
    loadMs: z.number(),
    samples: z.number(),
  }),
  aliases: z.array(z.string()),
});

const Member = z.object({ node: z.string(), name: z.string(), role: z.string() });

/** `GET /api/v1/status`. */
export const StatusAnswer = z.object({
  node: z.string(),
  name: z.string(),
  version: z.string(),
  mesh: z.string(),
  role: z.string(),
  api: z.string(),
  addresses: z.array(z.string()),
  home: z.string(),
  offer: z.union([z.literal('all'), z.literal('none'), z.array(z.string())]),
  members: z.number(),
  peersConnected: z.number(),
  requestsInFlight: z.number(),
  uptimeSeconds: z.number(),
  hardware: Hardware,
});
export type StatusAnswer = z.infer<typeof StatusAnswer>;

/** `GET /api/v1/peers`: every member but the node itself. What is not known of one is left out. */
export const PeersAnswer = z.object({
  peers: z.array(
    z.object({
      node: z.string(),
      name: z.string(),
      state: z.enum(['connected', 'suspect', 'gone']),
      version: z.string(),
      hardware: Hardware.optional(),
      offers: z.array(ModelOffer),
      load: Load.optional(),
      link: z
        .object({
          rttMs: z.number().optional(),
          rttFloorMs: z.number().optional(),
          goodputBytesPerSecond: z.number().optional(),
          path: z.enum(['direct', 'relay']).optional(),
        })
        .optional(),
      heardAgoMs: z.number().optional(),
    }),
  ),
});
export type PeersAnswer = z.infer<typeof PeersAnswer>;

/** `GET /api/v1/members`. */
export const MembersAnswer = z.object({ members: z.array(Member) });
export type MembersAnswer = z.infer<typeof MembersAnswer>;

/** `GET /api/v1/models`: what the mesh can run, and where. */
export const ModelsAnswer = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      aliases: z.array(z.string()),
      task: z.string(),
      contextLength: z.number(),
      dimensions: z.number(),
      sizeBytes: z.number(),
      nodes: z.array(z.object({ node: z.string(), name: z.string(), state: z.string(), self: z.boolean() })),
    }),
  ),
});
export type ModelsAnswer = z.infer<typeof ModelsAnswer>;

/** `GET /api/v1/ps`: models that runners of this node hold, or may not hold any more. */
export const PsAnswer = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      state: z.enum(['loading', 'loaded', 'quarantined']),
      provider: z.string(),
      runnerPid: z.number().optional(),
      residentBytes: z.number(),
      requestsInFlight: z.number(),
      idleUntilMs: z.number().optional(),
      reason: z.string().optional(),
    }),
  ),
});
export type PsAnswer = z.infer<typeof PsAnswer>;

/** Invitations end: a day to send the ticket to a person, a week at the most. */
export const INVITATION_SECONDS = { min: 1, usual: 86_400, max: 604_800 } as const;

/** Tickets are one word of a few hundred characters, more with many addresses in them. */
export const TICKET_LENGTH_MAX = 16_384;

const TTL_TEXT = `must be an integer from ${INVITATION_SECONDS.min} to ${INVITATION_SECONDS.max}`;

/** `POST /api/v1/invitations`. */
export const InvitationRequest = z.strictObject({
  ttl_seconds: z.int(TTL_TEXT).min(INVITATION_SECONDS.min, TTL_TEXT).max(INVITATION_SECONDS.max, TTL_TEXT).optional(),
});
export type InvitationRequest = z.infer<typeof InvitationRequest>;

/** Its answer. */
export const InvitationAnswer = z.object({ ticket: z.string(), expiresAtMs: z.number() });
export type InvitationAnswer = z.infer<typeof InvitationAnswer>;

/** `POST /api/v1/join`. */
export const JoinRequest = z.strictObject({
  ticket: z
    .string('must be a ticket')
    .min(1, 'must be a ticket')
    .max(TICKET_LENGTH_MAX, `must have at most ${TICKET_LENGTH_MAX} characters`),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

/** Its answer. */
export const JoinAnswer = z.object({ mesh: z.string(), members: z.array(Member) });
export type JoinAnswer = z.infer<typeof JoinAnswer>;
