// Models: what the mesh can run, what is installed here, what is in memory.
import { z } from 'zod';
import { MODEL_NAME_LENGTH_MAX, ModelName } from '../shared-fields.ts';

const ModelNodes = z.array(z.object({ node: z.string(), name: z.string(), state: z.string(), self: z.boolean() }));

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
      nodes: ModelNodes,
      /** How the weights are stored, such as `q4`; left out where its nodes don't tell. */
      precision: z.string().optional(),
      /** Where there are several of this id with other weights: all of them, asked for by `ID:FORM`. This one is first. */
      forms: z.array(z.object({ form: z.string(), sizeBytes: z.number(), nodes: ModelNodes })).optional(),
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
      /** Of several forms of one id more than one may be loaded. */
      digest: z.string(),
      /** It is a part of a model's graph: of which, and the tensors that it takes and gives. Absent of a whole one. */
      part: z.object({ model: z.string(), inputs: z.array(z.string()), outputs: z.array(z.string()) }).optional(),
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
  model: ModelName,
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

/** `POST /api/v1/models/pull`: hub id, `hf.co/owner/name[:file or quantisation][@revision]`, short name, folder or file. */
export const PullRequest = z.strictObject({
  model: z.string('must be the name of a model').min(1, 'must be the name of a model').max(4_096),
});
export type PullRequest = z.infer<typeof PullRequest>;

/** Who signed a manifest. */
const Signer = z.object({
  key: z.string(),
  name: z.string().optional(),
  /** `listed`: named by the setting `signers`. */
  standing: z.enum(['member', 'listed', 'unknown']),
});

/** The answer of `POST /api/v1/models/pull`: the model is here, verified, and offered. Sizes in bytes. */
export const PullAnswer = z.object({
  id: z.string(),
  digest: z.string(),
  wasHere: z.boolean(),
  sizeBytes: z.number(),
  hereBytes: z.number(),
  peerBytes: z.number(),
  hubBytes: z.number(),
  durationMs: z.number(),
  chosen: z.array(z.string()),
  signers: z.array(Signer),
  warnings: z.array(z.string()),
});
export type PullAnswer = z.infer<typeof PullAnswer>;

/** A pull, an import or a repair: the `transfer` events, and `GET /api/v1/transfers`. */
export const TransferState = z.object({
  id: z.string(),
  kind: z.enum(['pull', 'import', 'repair']),
  model: z.string(),
  phase: z.enum(['resolving', 'fetching', 'checking', 'installing', 'done', 'failed', 'cancelled']),
  chosen: z.array(z.string()),
  totalBytes: z.number(),
  doneBytes: z.number(),
  /** Of them, here before it began. */
  hereBytes: z.number(),
  bytesPerSecond: z.number(),
  etaSeconds: z.number().optional(),
  sources: z.array(
    z.object({
      kind: z.enum(['peer', 'hub']),
      /** Node id, or the hub's host. */
      name: z.string(),
      bytes: z.number(),
      bytesPerSecond: z.number(),
      state: z.enum(['active', 'idle', 'failed', 'blamed']),
      reason: z.string().optional(),
    }),
  ),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
});
export type TransferState = z.infer<typeof TransferState>;

/** `GET /api/v1/transfers`: those that run, and the last few that ended; newest first. */
export const TransfersAnswer = z.object({ transfers: z.array(TransferState) });
export type TransfersAnswer = z.infer<typeof TransfersAnswer>;

/** `POST /api/v1/transfers/cancel`: one of them, whoever asked for it. */
export const CancelRequest = z.strictObject({
  id: z.string('must be the id of a transfer').min(1, 'must be the id of a transfer').max(128),
});
export type CancelRequest = z.infer<typeof CancelRequest>;

/** Its answer: false for one that had ended before. */
export const CancelAnswer = z.object({ id: z.string(), cancelled: z.boolean() });
export type CancelAnswer = z.infer<typeof CancelAnswer>;

/** `GET /api/v1/catalogue`: models that have a short name, in the order in which people should see them. */
export const CatalogueAnswer = z.object({
  models: z.array(
    z.object({
      /** Short name, such as `smollm2`. */
      name: z.string(),
      /** Hub id. */
      id: z.string(),
      task: z.string(),
      /** One line for people. */
      description: z.string(),
    }),
  ),
});
export type CatalogueAnswer = z.infer<typeof CatalogueAnswer>;

/** `POST /api/v1/models/import`: files on the node's own disk. */
export const ImportRequest = z.strictObject({
  path: z.string('must be an absolute path').min(1, 'must be an absolute path').max(4_096),
  id: z.string().max(MODEL_NAME_LENGTH_MAX).optional(),
  task: z.string().max(64).optional(),
  licence: z.string().max(64).optional(),
});
export type ImportRequest = z.infer<typeof ImportRequest>;

/** The answer of `POST /api/v1/models/import`. */
export const ImportAnswer = z.object({
  id: z.string(),
  digest: z.string(),
  task: z.string(),
  /** Why this task. */
  reason: z.string(),
  sizeBytes: z.number(),
  wasHere: z.boolean(),
  warnings: z.array(z.string()),
});
export type ImportAnswer = z.infer<typeof ImportAnswer>;

/** `POST /api/v1/models/verify`: one model, or all that are installed here. */
export const VerifyRequest = z.strictObject({
  model: ModelName.optional(),
  /** Bring bad chunks anew. @default true */
  repair: z.boolean('must be true or false').optional(),
});
export type VerifyRequest = z.infer<typeof VerifyRequest>;

/** The answer of `POST /api/v1/models/verify`. */
export const VerifyAnswer = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      digest: z.string(),
      sizeBytes: z.number(),
      damaged: z.array(z.object({ path: z.string(), chunks: z.number(), bytes: z.number() })),
      repaired: z.boolean(),
      reason: z.string().optional(),
      signers: z.array(Signer),
    }),
  ),
});
export type VerifyAnswer = z.infer<typeof VerifyAnswer>;

/** `POST /api/v1/models/gc`: deletes what nothing needs. */
export const CleanUpRequest = z.strictObject({
  /** Tell only. @default false */
  dryRun: z.boolean('must be true or false').optional(),
  /** Pulls that were interrupted lately, too. @default false */
  partial: z.boolean('must be true or false').optional(),
});
export type CleanUpRequest = z.infer<typeof CleanUpRequest>;

/** The answer of `POST /api/v1/models/gc`. */
export const CleanUpAnswer = z.object({
  freedBytes: z.number(),
  removed: z.array(z.object({ what: z.string(), bytes: z.number() })),
  storage: z.object({ usedBytes: z.number(), quotaBytes: z.number().optional(), freeBytes: z.number() }),
});
export type CleanUpAnswer = z.infer<typeof CleanUpAnswer>;

/** `GET /api/v1/models/mesh`: every model that a node of the mesh has files of, and how much of it lies where. */
export const MeshModelsAnswer = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      digest: z.string(),
      sizeBytes: z.number(),
      nodes: z.array(
        z.object({
          node: z.string(),
          name: z.string(),
          self: z.boolean(),
          /** sizeBytes = all of it. */
          heldBytes: z.number(),
          /** Left out where the files only lie there. */
          state: z.string().optional(),
        }),
      ),
    }),
  ),
});
export type MeshModelsAnswer = z.infer<typeof MeshModelsAnswer>;
