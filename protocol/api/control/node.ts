// The node and its peers, as the control API shows them.
import { z } from 'zod';
import { WITHHELD } from '../../capability.ts';

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
    batch: z.array(z.object({ size: z.number(), ms: z.number() })).optional(),
  }),
  aliases: z.array(z.string()),
  precision: z.string().optional(),
});

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
  load: Load,
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
      /** It computes nothing for other members: its owner lends it to nobody, or has paused sharing. */
      withheld: z.enum(WITHHELD).optional(),
      /** `/api/v1/nodes/{node}/…` answers for it, where it can be reached. Left out by nodes of before there was this. */
      manageable: z.boolean().optional(),
    }),
  ),
});
export type PeersAnswer = z.infer<typeof PeersAnswer>;
