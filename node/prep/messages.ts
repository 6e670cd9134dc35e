// What node and prep process say to each other, by fork's channel with structured cloning. One request at a time.
import type { Tokenized } from '../core/prep.ts';

export interface PrepRequest {
  readonly id: number;
  /** Holds tokenizer.json and tokenizer_config.json. */
  readonly tokenizerFolder: string;
  readonly text: string;
  readonly tokensMax: number;
  readonly specialTokens: boolean;
}

/** A WeftError as fields. */
export interface PrepFault {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly facts: Readonly<Record<string, string>>;
}

export type PrepReply =
  | { readonly id: number; readonly result: Tokenized }
  | { readonly id: number; readonly fault: PrepFault };
