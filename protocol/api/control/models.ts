// Models: what the mesh can run, what is installed here, what is in memory.
import { z } from 'zod';

/** Names longer than this belong to no model. */
const NAME_LENGTH_MAX = 256;

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

/** `rewritten`: sequences share steps; `plain`: the graph as it was exported. */
const Decoder = z.enum(['rewritten', 'plain']);

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
      /** Why it isn't the provider that was asked for. */
      fallbackReason: z.string().optional(),
      /** It is never unloaded by itself. */
      pinned: z.boolean(),
      /** Of text generators that are loaded. */
      generation: z
        .object({
          decoder: Decoder,
          decoderReason: z.string().optional(),
          sequences: z.number(),
          sequencesMax: z.number(),
          waiting: z.number(),
          /** Of all sequences together, over the last seconds. */
          tokensPerS: z.number(),
          kvBytes: z.number(),
          prefixBytes: z.number(),
          kvBytesMax: z.number(),
          kvBytesPerToken: z.number(),
          /** Since it was loaded, as all that follow. */
          promptTokens: z.number(),
          cachedTokens: z.number(),
          draftedTokens: z.number(),
          acceptedTokens: z.number(),
        })
        .optional(),
      /** Of other models that are loaded: whether requests share runs, and why not. */
      batching: z.object({ batching: z.enum(['rows', 'none']), reason: z.string().optional() }).optional(),
    }),
  ),
});
export type PsAnswer = z.infer<typeof PsAnswer>;

const Port = z.object({
  name: z.string(),
  type: z.string(),
  /** A number, or the name of a dimension that each request chooses. */
  dims: z.array(z.union([z.number(), z.string()])),
});

const BatchCurve = z.array(z.object({ size: z.number(), ms: z.number() }));

/** A model's speed on this node: measured while nothing else ran, seen in real requests, and told to peers. */
const ProfileReport = z.object({
  /** What it is until real requests correct it. Left out while the model was never measured. */
  claim: z
    .object({
      device: z.string(),
      machine: z.string(),
      version: z.string(),
      measuredAtMs: z.number(),
      work: z.array(z.object({ tokens: z.number(), ms: z.number() })),
      /** Per token, behind so many tokens of context. */
      decode: z.array(z.object({ context: z.number(), ms: z.number() })),
      /** One step of so many sequences, or one run of so many rows. */
      batch: BatchCurve,
      loadMs: z.number(),
      decoder: Decoder.optional(),
      decoderReason: z.string().optional(),
    })
    .optional(),
  observed: z.object({
    samples: z.number(),
    answers: z.number(),
    fixedMs: z.number(),
    perTokenMs: z.number(),
    decodeMs: z.number(),
    loadMs: z.number(),
    /** Real times over claimed ones; 1 while there are too few to tell. */
    workRatio: z.number(),
    decodeRatio: z.number(),
  }),
  offered: z.object({
    fixedMs: z.number(),
    perTokenMs: z.number(),
    decodeMs: z.number(),
    loadMs: z.number(),
    samples: z.number(),
    batch: BatchCurve.optional(),
  }),
});
export type ProfileReport = z.infer<typeof ProfileReport>;

/** `GET /api/v1/models/{name}`: a model that is installed on this node. */
export const ModelAnswer = z.object({
  id: z.string(),
  digest: z.string(),
  aliases: z.array(z.string()),
  task: z.string(),
  licence: z.string().optional(),
  contextLength: z.number(),
  dimensions: z.number(),
  sizeBytes: z.number(),
  bundled: z.boolean(),
  offered: z.boolean(),
  files: z.array(z.object({ path: z.string(), sizeBytes: z.number(), sha256: z.string() })),
  inputs: z.array(Port),
  outputs: z.array(Port),
  /** Of text generators, once they have been loaded. */
  decoder: Decoder.optional(),
  /** Why it is `plain`. */
  decoderReason: z.string().optional(),
  /** Where this node offers it. */
  profile: ProfileReport.optional(),
});
export type ModelAnswer = z.infer<typeof ModelAnswer>;

/** `POST /api/v1/models/unload` and `POST /api/v1/models/remove`: hub id or short name. */
export const ModelRequest = z.strictObject({
  model: z
    .string('must be the name of a model')
    .min(1, 'must be the name of a model')
    .max(NAME_LENGTH_MAX, `must have at most ${NAME_LENGTH_MAX} characters`),
});
export type ModelRequest = z.infer<typeof ModelRequest>;

/** `POST /api/v1/models/load`. */
export const LoadRequest = ModelRequest.extend({
  /** It stays in memory until it is unloaded, or the node ends. @default false */
  pin: z.boolean('must be true or false').optional(),
});
export type LoadRequest = z.infer<typeof LoadRequest>;

/** The answer of `POST /api/v1/models/load`: the model is in memory. */
export const LoadAnswer = z.object({
  id: z.string(),
  /** It was there before. */
  wasLoaded: z.boolean(),
  pinned: z.boolean(),
  provider: z.string(),
  /** All that is reserved for it. */
  residentBytes: z.number(),
});
export type LoadAnswer = z.infer<typeof LoadAnswer>;

/** The answer of `POST /api/v1/models/unload`. */
export const UnloadAnswer = z.object({ id: z.string(), wasLoaded: z.boolean() });
export type UnloadAnswer = z.infer<typeof UnloadAnswer>;

/** The answer of `POST /api/v1/models/remove`. */
export const RemoveAnswer = z.object({ id: z.string(), freedBytes: z.number() });
export type RemoveAnswer = z.infer<typeof RemoveAnswer>;
