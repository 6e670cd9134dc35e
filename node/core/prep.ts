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
  stop(): Promise<void>;
}
