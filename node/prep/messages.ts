// What node and prep process say to each other, by fork's channel with structured cloning. One request at a time.
import type {
  Inspected,
  InspectRequest,
  PartFile,
  PartFileRequest,
  PartNeeds,
  PartRequest,
  SoundSpec,
  Spectrogram,
  Tokenized,
} from '../core/prep.ts';

export interface TokenizeTask {
  readonly kind: 'tokenize';
  /** Holds tokenizer.json and tokenizer_config.json. */
  readonly tokenizerFolder: string;
  readonly text: string;
  readonly tokensMax: number;
  readonly specialTokens: boolean;
}

export interface ListenTask {
  readonly kind: 'listen';
  readonly file: Uint8Array;
  readonly spec: SoundSpec;
}

export interface InspectTask {
  readonly kind: 'inspect';
  readonly request: InspectRequest;
}

export interface PartTask {
  readonly kind: 'part';
  readonly request: PartRequest;
}

export interface PartModelsTask {
  readonly kind: 'part models';
  readonly request: PartFileRequest;
}

export type PrepTask = TokenizeTask | ListenTask | InspectTask | PartTask | PartModelsTask;

export interface PrepRequest {
  readonly id: number;
  readonly task: PrepTask;
}

/** A WeftError as fields. */
export interface PrepFault {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly facts: Readonly<Record<string, string>>;
}

/** The last word on a spectrogram: its values came in parts before. */
export type Heard = Omit<Spectrogram, 'data'>;

export type PrepResult = Tokenized | Heard | Inspected | PartNeeds | readonly PartFile[];

export type PrepReply =
  | { readonly id: number; readonly part: Float32Array }
  /** Bytes that were hashed since the last of these. */
  | { readonly id: number; readonly bytes: number }
  | { readonly id: number; readonly result: PrepResult }
  | { readonly id: number; readonly fault: PrepFault };
