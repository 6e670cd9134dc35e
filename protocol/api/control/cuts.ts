// Cuts of graphs: where one can be cut, and what its parts take on this node.
import { z } from 'zod';
import { DType, ModelName } from '../shared-fields.ts';

/** The query of `GET /api/v1/cuts`. */
export const CutsQuery = z.strictObject({
  model: ModelName,
  /** Measure anew what is kept. @default false */
  again: z.enum(['true', 'false'], 'must be "true" or "false"').optional(),
});
export type CutsQuery = z.infer<typeof CutsQuery>;

/** Its answer: segments in the order in which they run; cut point n lies in front of segment n, from 1 on. */
export const CutsAnswer = z.object({
  model: z.object({ id: z.string(), digest: z.string() }),
  /** Inputs that it was measured with. */
  shapes: z.string(),
  segments: z.array(
    z.object({
      /** Of the whole graph's computing time. */
      share: z.number(),
      /** Of weights that no other segment uses. */
      weightBytes: z.number(),
      /** Nodes of the graph. */
      nodes: z.number(),
    }),
  ),
  /** Weights that several segments use: a part holds them once. */
  shared: z.array(z.object({ bytes: z.number(), segments: z.array(z.number()) })),
  /** Those that may cross, and inputs and outputs of the graph. */
  tensors: z.array(
    z.object({
      name: z.string(),
      type: DType,
      /** A number for a dimension that is the same in every run, a name for one that a run decides. */
      dims: z.array(z.union([z.number(), z.string()])).optional(),
      bytes: z.number(),
      /** The segment that makes it; -1 for an input of the graph. */
      from: z.number(),
      /** Segments that use it. */
      to: z.array(z.number()),
      output: z.literal(true).optional(),
    }),
  ),
  wholeMs: z.number(),
  /** What every part costs beside its share of the whole. */
  partFixedMs: z.number(),
  /** And for each 1e6 bytes that it takes or gives. */
  partMsPerMb: z.number(),
  device: z.string(),
  version: z.string(),
  measuredAtMs: z.number(),
  /** The node that measured it. @default the one that answers */
  node: z.string().optional(),
  /** Inputs that as few segments as possible read. */
  raw: z.array(z.string()).optional(),
  /** Why there is one segment only, or fewer than expected. */
  reason: z.string().optional(),
});
export type CutsAnswer = z.infer<typeof CutsAnswer>;
