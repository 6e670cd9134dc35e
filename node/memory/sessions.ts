// Remembers the token ids of every generation under way, so that dispatch can let another node go on where one was lost.
// Also the one place that decides what a token stream is: index by index, none missing, none twice.
import { WeftError } from '../../protocol/errors.ts';
import type { RequestId } from '../../protocol/ids.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';
import { assert } from '../core/assert.ts';
import type { Memory, Session } from '../core/memory.ts';
import { SESSION_TOKENS_MAX, SESSIONS_MAX } from './limits.ts';

export interface SessionMemoryInit {
  /** @default SESSIONS_MAX */
  readonly sessionsMax?: number;
  /** Tokens that all sessions together may come to hold. @default SESSION_TOKENS_MAX */
  readonly tokensMax?: number;
}

/** Sessions in this process's memory, each until it is closed. */
export class SessionMemory implements Memory {
  readonly #sessionsMax: number;
  readonly #tokensMax: number;
  #sessions = 0;
  /** Prompt and everything that may still be generated, over all sessions. */
  #tokensReserved = 0;

  constructor(init: SessionMemoryInit = {}) {
    this.#sessionsMax = init.sessionsMax ?? SESSIONS_MAX;
    this.#tokensMax = init.tokensMax ?? SESSION_TOKENS_MAX;
  }

  get sessions(): number {
    return this.#sessions;
  }

  open(requestId: RequestId, request: GenerateRequest): Session {
    const tokens = request.promptLength + request.maxNewTokens;
    if (this.#sessions >= this.#sessionsMax || this.#tokensReserved + tokens > this.#tokensMax) {
      throw new WeftError({
        code: 'overloaded',
        message: 'Too many generations are under way on this node.',
        facts: { sessions: String(this.#sessions) },
      });
    }
    this.#sessions++;
    this.#tokensReserved += tokens;
    return new TokenSession(requestId, request, () => {
      this.#sessions--;
      this.#tokensReserved -= tokens;
    });
  }
}

class TokenSession implements Session {
  readonly requestId: RequestId;
  readonly #request: GenerateRequest;
  /** Behind the prompt, tokens that the request was resumed with included. */
  readonly #generated: number[];
  #release: (() => void) | undefined;

  constructor(requestId: RequestId, request: GenerateRequest, release: () => void) {
    assert(request.ids.length >= request.promptLength, 'the ids begin with the whole prompt');
    this.requestId = requestId;
    this.#request = request;
    this.#generated = [...request.ids.subarray(request.promptLength)];
    this.#release = release;
  }

  get generated(): number {
    return this.#generated.length;
  }

  append(firstIndex: number, ids: readonly number[]): readonly number[] {
    assert(this.#release !== undefined, 'nothing is appended to a closed session');
    const expected = this.#generated.length;
    if (!Number.isSafeInteger(firstIndex) || firstIndex < 0 || firstIndex > expected) {
      throw new WeftError({ code: 'internal', message: `Token ${expected} is missing: ${firstIndex} came instead.` });
    }
    const fresh = ids.slice(expected - firstIndex);
    if (expected + fresh.length > this.#request.maxNewTokens) {
      throw new WeftError({ code: 'internal', message: `More than ${this.#request.maxNewTokens} tokens came.` });
    }
    this.#generated.push(...fresh);
    return fresh;
  }

  resume(): GenerateRequest {
    const { ids, promptLength } = this.#request;
    const known = new Int32Array(promptLength + this.#generated.length);
    known.set(ids.subarray(0, promptLength));
    known.set(this.#generated, promptLength);
    return { ...this.#request, ids: known };
  }

  close(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
