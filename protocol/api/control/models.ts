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

const Port = z.object({
  name: z.string(),
  type: z.string(),
  /** A number, or the name of a dimension that each request chooses. */
  dims: z.array(z.union([z.number(), z.string()])),
});

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

/** The answer of `POST /api/v1/models/unload`. */
export const UnloadAnswer = z.object({ id: z.string(), wasLoaded: z.boolean() });
export type UnloadAnswer = z.infer<typeof UnloadAnswer>;

/** The answer of `POST /api/v1/models/remove`. */
export const RemoveAnswer = z.object({ id: z.string(), freedBytes: z.number() });
export type RemoveAnswer = z.infer<typeof RemoveAnswer>;
