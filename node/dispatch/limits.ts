// Bounds and times of dispatch.
import type { ErrorCode } from '../../protocol/errors.ts';

/** Requests placed from here that are not finished: what one process can hold without swapping its memory away. */
export const REQUESTS_IN_FLIGHT_MAX = 512;

/** Nodes that one request is tried on. A mesh in which this many fail in a row has another trouble. */
export const ATTEMPTS_MAX = 8;

/** For a request that names no budget: as long as the methods of work allow. */
export const BUDGET_DEFAULT_MS = 600_000;

/** Answers are shorter than their bound more often than not; this many tokens are priced at most. */
export const OUTPUT_TOKENS_EXPECTED_MAX = 128;

/** Share of requests that try a node which was never measured: at 1 of 16 it costs little, and is found out soon. */
export const EXPLORE_SHARE = 1 / 16;

/** Nodes whose failures are remembered; beyond it the oldest is forgotten. */
export const FAILED_NODES_MAX = 1024;

/** How long a node that failed is asked only when no other is left, where its code isn't named below. */
export const AVOID_DEFAULT_MS = 1_000;

/** A peer that went silent is back within a few seconds, or its link is closed by then; a full one much sooner. */
export const AVOID_MS: Partial<Record<ErrorCode, number>> = {
  peer_lost: 3_000,
  peer_timeout: 5_000,
  peer_unreachable: 5_000,
  stopping: 5_000,
  overloaded: 250,
  quota_exceeded: 250,
};
