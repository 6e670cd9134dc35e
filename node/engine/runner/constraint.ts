// What the token loop asks of a grammar: which tokens may come next. Made by the grammar part of the runner, one for each
// generation.

export interface TokenConstraint {
  /**
   * Sets the logits of tokens that may not come next to -Infinity. The mask was begun when the last token was accepted,
   * so that it is ready, or nearly so, when the graph's run ends.
   * @param logits float32 [vocabulary]
   * @throws WeftError `bad_request` when nothing may come next
   */
  mask(logits: Float32Array): Promise<void>;
  /** The token that was drawn, or one that another node had drawn before. @throws WeftError `bad_request` when it breaks the grammar */
  accept(id: number): void;
  close(): void;
}
