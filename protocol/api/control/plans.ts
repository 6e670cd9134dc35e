// Plans: where a request would go now, and what another policy would have made of an earlier one.
import { z } from 'zod';
import { TENSORS_MAX } from '../../limits.ts';
import { DType, ModelName, TensorName, TensorShape } from '../shared-fields.ts';

/** Texts of one dry run: as many as one request for embeddings holds. */
export const PLAN_TEXTS_MAX = 2_048;

/** Longest name of a routing policy that is looked up. */
export const POLICY_NAME_LENGTH_MAX = 64;

const TEXT_TEXT = 'must be a text that is not empty';
const TOKENS_TEXT = 'must be a whole number of 1 or more';

const text = z.string(TEXT_TEXT).min(1, TEXT_TEXT);

/** `POST /api/v1/plan`: either `input` or `inputs`. */
export const PlanRequest = z.strictObject({
  model: ModelName,
  /** A prompt, the texts of an embedding, or the documents that a reranker compares with `query`. */
  input: z
    .union(
      [
        text,
        z
          .array(text, TEXT_TEXT)
          .min(1, 'must hold a text at least')
          .max(PLAN_TEXTS_MAX, `must hold at most ${PLAN_TEXTS_MAX} texts`),
      ],
      'must be a text, or an array of texts',
    )
    .optional(),
  /** Of a reranker's documents. */
  query: text.optional(),
  /** Tokens of the answer at most. @default as many as the context holds */
  max_tokens: z.int(TOKENS_TEXT).min(1, TOKENS_TEXT).optional(),
  /** Tensors by type and shape: their elements change nothing. */
  inputs: z
    .array(
      z.strictObject(
        {
          name: TensorName,
          dtype: DType,
          shape: TensorShape,
        },
        'must be a tensor by name, dtype and shape',
      ),
      'must be an array of tensors',
    )
    .max(TENSORS_MAX, `must hold at most ${TENSORS_MAX} tensors`)
    .optional(),
});
export type PlanRequest = z.infer<typeof PlanRequest>;

/** Predicted milliseconds, by part. */
export const Price = z.object({
  queueMs: z.number(),
  loadMs: z.number(),
  upMs: z.number(),
  computeMs: z.number(),
  downMs: z.number(),
  totalMs: z.number(),
});

const PlanBase = z.object({
  price: Price,
  /** Measured requests behind the chosen node's compute time; 0 = a guess. */
  samples: z.number().optional(),
  /** What measurements multiply the chosen node's compute time by; 1 = as predicted. */
  correction: z.number().optional(),
  /** The node was to decline past this. */
  withinMs: z.number().optional(),
  /** Name of the policy that chose; Weft's own where there is none. */
  policy: z.string().optional(),
  others: z.array(z.object({ node: z.string(), price: Price, samples: z.number(), correction: z.number().optional() })),
  rejected: z.array(z.object({ node: z.string(), reason: z.string() })),
});

const Parts = z.array(z.object({ node: z.string(), from: z.number(), to: z.number(), price: Price }));

/** Who does what, what it should cost, and what it was better than. */
export const Plan = z.discriminatedUnion('kind', [
  PlanBase.extend({ kind: z.literal('local'), node: z.string() }),
  PlanBase.extend({ kind: z.literal('remote'), node: z.string() }),
  PlanBase.extend({ kind: z.literal('cut'), parts: Parts }),
  PlanBase.extend({ kind: z.literal('scatter'), parts: Parts }),
  PlanBase.extend({ kind: z.literal('stages'), parts: Parts }),
  PlanBase.extend({ kind: z.literal('hedged'), nodes: z.array(z.string()), afterMs: z.number() }),
]);

/** Measured milliseconds by part; parts that took no time are left out. */
const Measured = z.object({
  upMs: z.number().optional(),
  queueMs: z.number().optional(),
  loadMs: z.number().optional(),
  computeMs: z.number().optional(),
  downMs: z.number().optional(),
});

const Crossing = z.object({ name: z.string(), bytes: z.number() });

/** What was considered where a plan was asked for with a cut or with `raw`. */
export const ConsideredCut = z.object({
  chosen: z.enum(['whole', 'cut']),
  /** Who is to run it; none where it is refused. */
  nodes: z.array(z.string()),
  /** Of a cut, in the order in which they run: segments [from, to), and what crosses for them. */
  parts: z.array(
    z.object({
      node: z.string(),
      from: z.number(),
      to: z.number(),
      price: Price,
      /** To the node, and back; none for parts on this node. */
      up: z.array(Crossing),
      down: z.array(Crossing),
    }),
  ),
  /** Absent where it is refused. */
  totalMs: z.number().optional(),
  /** What else was possible, best first, and by how much it lost. */
  lostBy: z.array(
    z.object({
      what: z.enum(['whole', 'cut', 'balance']),
      nodes: z.array(z.string()),
      totalMs: z.number(),
      /** Below 0: what was asked for goes before what is sooner. */
      byMs: z.number(),
    }),
  ),
  /** Nodes that can't, or may not, do the whole, and why. */
  rejected: z.array(z.object({ node: z.string(), reason: z.string() })),
  /** Why nothing can run as asked. */
  refused: z.string().optional(),
  /** What was measured here; `GET /api/v1/cuts` has all of it. */
  table: z.object({
    segments: z.number(),
    wholeMs: z.number(),
    shapes: z.string(),
    device: z.string(),
    measuredAtMs: z.number(),
    reason: z.string().optional(),
  }),
});
export type ConsideredCut = z.infer<typeof ConsideredCut>;

/** The answer of a dry run. */
export const PlanAnswer = z.object({
  model: z.string(),
  work: z.enum(['run', 'encode', 'generate']),
  /** Tokens that go in; 0 for tensors. */
  inputTokens: z.number(),
  /** Pieces of work that the request would be sent in; the plan is that of the first. */
  requests: z.number(),
  plan: Plan,
  /** The plan in words. */
  explanation: z.array(z.string()),
  /** Where the request's headers, or a setting, say something of cuts or of what must stay here. */
  cut: ConsideredCut.optional(),
  /** Where the request has one: whether it would be taken, and if not, what it would be refused with. */
  deadline: z
    .object({
      deadlineMs: z.number(),
      meetable: z.boolean(),
      quotedMs: z.number().optional(),
      retryAfterMs: z.number().optional(),
    })
    .optional(),
});
export type PlanAnswer = z.infer<typeof PlanAnswer>;

const POLICY_TEXT = `must be a name of 1 to ${POLICY_NAME_LENGTH_MAX} characters`;

/** The query of `GET /api/v1/requests/{id}/replay`. */
export const ReplayQuery = z.strictObject({
  /** Name of a routing policy. @default 'weft' */
  policy: z.string(POLICY_TEXT).min(1, POLICY_TEXT).max(POLICY_NAME_LENGTH_MAX, POLICY_TEXT).optional(),
});
export type ReplayQuery = z.infer<typeof ReplayQuery>;

/** Its answer: the decisions of the request, in order, each made again on what was known then. */
export const ReplayAnswer = z.object({
  requestId: z.string(),
  model: z.string().optional(),
  status: z.enum(['running', 'ok', 'error', 'cancelled']),
  durationMs: z.number(),
  policy: z.string(),
  placements: z.array(
    z.object({
      /** Since the request began. */
      atMs: z.number(),
      /** What was done then. */
      old: Plan,
      measured: Measured,
      /** What the policy chooses; absent with a `reason`. */
      new: Plan.optional(),
      reason: z.string().optional(),
      /** The new choice in words. */
      explanation: z.array(z.string()),
    }),
  ),
});
export type ReplayAnswer = z.infer<typeof ReplayAnswer>;
