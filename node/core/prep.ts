// Heavy work on input, away from the thread that answers peers. Implemented by node/prep in a process of its own.

/** What becomes of a text. */
export interface Tokenized {
  readonly ids: Int32Array;
  /** True when the text went on after `tokensMax`. */
  readonly truncated: boolean;
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
  stop(): Promise<void>;
}
