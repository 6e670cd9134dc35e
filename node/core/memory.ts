// What is remembered of a generation, so that another node can go on with it. Bounded; kept while the request runs.
import type { RequestId } from '../../protocol/ids.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';

/** One generation under way. */
export interface Session {
  readonly requestId: RequestId;
  /** Tokens behind the prompt so far. */
  readonly generated: number;
  /** Takes tokens in; repeated ones are dropped. @throws WeftError `internal` when one is missing between */
  append(firstIndex: number, ids: readonly number[]): readonly number[];
  /** The request that goes on where this one stands. */
  resume(): GenerateRequest;
  close(): void;
}

export interface Memory {
  /** @throws WeftError `overloaded` when too many generations are remembered */
  open(requestId: RequestId, request: GenerateRequest): Session;
  readonly sessions: number;
}
