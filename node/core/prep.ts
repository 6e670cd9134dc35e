// Heavy work on input, away from the thread that answers peers. Implemented by node/prep in a process of its own.

/** What becomes of a text. */
export interface Tokenized {
  readonly ids: Int32Array;
  /** True when the text went on after `tokensMax`. */
  readonly truncated: boolean;
}

/** How a model hears. */
export interface SoundSpec {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Samples of one spectrum. */
  readonly fftSize: number;
  /** Samples from one spectrum to the next. */
  readonly hopLength: number;
  readonly melBins: number;
}

/** A sound as a speech model takes it: log-mel spectra, one after the other. */
export interface Spectrogram {
  /** float32 [frames, melBins] */
  readonly data: Float32Array;
  readonly frames: number;
  readonly melBins: number;
  /** Whole hops of the sound: where it ends. A few frames behind that still hear its last samples. */
  readonly contentFrames: number;
  /** Every value of the frames that would follow. */
  readonly silence: number;
}

/** Files that are to become a model. */
export interface InspectRequest {
  /** An .onnx file, or a folder: one in the hub's layout, or any that holds one graph. Absolute. */
  readonly path: string;
  /** `owner/name`. @default `local/` and the name of the file or folder */
  readonly id?: string;
  /** The graph, relative to the folder. @default the only one there is */
  readonly graph?: string;
  /** @default guessed from inputs, outputs and config */
  readonly task?: string;
  /** SPDX identifier. @default read from a licence file or a model card, else `LicenseRef-unknown` */
  readonly licence?: string;
}

/** What became of them. */
export interface Inspected {
  /** In canonical form, so that its SHA-256 is the model's digest. */
  readonly manifestJson: string;
  /** Every file of the manifest by its path there, and where it lies now: absolute. */
  readonly sources: readonly { readonly path: string; readonly from: string }[];
  /** Why this task, in one sentence. */
  readonly reason: string;
  /** What a person should know, such as a licence that could not be told. */
  readonly warnings: readonly string[];
}

export interface Prep {
  /**
   * Token ids of a long text. Work and memory stay bounded by `tokensMax`, however long the text is.
   * @param tokenizerFolder holds tokenizer.json and tokenizer_config.json
   * @param options.tokensMax stop after this many ids (special tokens included where added)
   * @throws WeftError `deadline_exceeded` or `cancelled`
   */
  tokenize(
    tokenizerFolder: string,
    text: string,
    options: { readonly tokensMax: number; readonly specialTokens: boolean; readonly signal: AbortSignal },
  ): Promise<Tokenized>;
  /**
   * Decodes a sound file (WAV, MP3, FLAC, Ogg Vorbis, Ogg Opus), mixes its channels, and gives its spectra.
   * @throws WeftError `bad_request` for what is no sound, too long, or of no known kind; `deadline_exceeded`, `cancelled`
   */
  listen(file: Uint8Array, spec: SoundSpec, options: { readonly signal: AbortSignal }): Promise<Spectrogram>;
  /**
   * Checks files that are to become a model, hashes them and makes their manifest. Changes nothing on disk.
   * @param options.onBytes told of bytes as they are hashed, each once
   * @throws WeftError `model_corrupt` for what is damaged, hostile or no model; `deadline_exceeded`, `cancelled`
   */
  inspect(
    request: InspectRequest,
    options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Inspected>;
  stop(): Promise<void>;
}
