// What the runner's main thread and its grammar worker say to one another: orders as messages, masks in shared memory.
import type { ErrorCode } from '../../../../protocol/errors.ts';
import type { Constraint } from '../../../../protocol/infer.ts';

/** Words of a session's shared memory, each 32 bits, before the mask itself. */
export const STATE = {
  /** 1 + how many tokens the mask stands behind; 0 = none yet. Written last, and notified. */
  ready: 0,
  /** A value of {@link MASK}. */
  outcome: 1,
  /** Microseconds that the worker took for it. */
  microseconds: 2,
  words: 3,
} as const;

/** What became of a mask. */
export const MASK = {
  /** Every allowed token has its bit set. */
  some: 0,
  /** No token may come next. */
  none: 1,
  /** A token that was accepted breaks the form. */
  broken: 2,
  /** The grammar could not be made; a message says why. */
  failed: 3,
} as const;

/** Words of the memory by which the worker says what it is at. */
export const BUSY = {
  /** The session that is worked on; 0 = none. */
  session: 0,
  /** Since when: milliseconds of the monotonic clock, 32 bits of them. */
  since: 1,
  /** 1 while a vocabulary is read, which is no schema's fault. */
  reading: 2,
  /** 1 once the library is loaded. */
  up: 3,
  words: 4,
} as const;

/** The same clock in every thread, in milliseconds, wrapped to 31 bits. */
export const ticks = (): number => Number((process.hrtime.bigint() / 1_000_000n) & 0x7fffffffn);

/** The model whose tokens are constrained. */
export interface GrammarModel {
  readonly digest: string;
  /** Where its tokenizer.json lies, verified. */
  readonly folder: string;
  /** Width of its logits. */
  readonly vocabularySize: number;
}

/** Begins a session. */
export interface OpenOrder {
  readonly kind: 'open';
  readonly session: number;
  readonly model: GrammarModel;
  readonly constraint: Constraint;
  readonly stopIds: readonly number[];
  /** Tokens that were accepted already, by a worker that is gone. */
  readonly ids: readonly number[];
  readonly state: SharedArrayBuffer;
}

export type GrammarOrder =
  | OpenOrder
  | { readonly kind: 'accept'; readonly session: number; readonly id: number }
  | { readonly kind: 'close'; readonly session: number };

/** A grammar that could not be made, for a reason that the request can be told. */
export interface GrammarFailure {
  readonly session: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly facts: Readonly<Record<string, string>>;
}

export interface GrammarWorkerData {
  readonly busy: SharedArrayBuffer;
  readonly wasmBytesMax: number;
}
