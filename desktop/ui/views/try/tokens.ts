// Tokens with their probabilities, from either form of OpenAI's API. Pure.

export interface Token {
  readonly text: string;
  readonly logprob: number;
  /** What else was likely there, likeliest first. */
  readonly others: readonly { readonly text: string; readonly logprob: number }[];
}

/** `logprobs` of a choice of `/v1/chat/completions`. */
export interface ChatLogprobs {
  readonly content: readonly {
    readonly token: string;
    readonly logprob: number;
    readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
  }[];
}

/** `logprobs` of a choice of `/v1/completions`. */
export interface TextLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
}

export function tokensOf(logprobs: ChatLogprobs | TextLogprobs | null | undefined): readonly Token[] {
  if (logprobs === null || logprobs === undefined) return [];
  if ('content' in logprobs) {
    return logprobs.content.map(({ token, logprob, top_logprobs: top }) => ({
      text: token,
      logprob,
      others: top.map((other) => ({ text: other.token, logprob: other.logprob })),
    }));
  }
  return logprobs.tokens.map((token, at) => ({
    text: token,
    logprob: logprobs.token_logprobs[at] ?? 0,
    others: Object.entries(logprobs.top_logprobs[at] ?? {})
      .map(([text, logprob]) => ({ text, logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }));
}

/** 0 to 1. */
export const probability = (logprob: number): number => Math.min(1, Math.exp(logprob));

/** Spaces and line ends are part of tokens, and can be seen. */
export const visibleToken = (token: string): string =>
  token.replace(/ /g, '␣').replace(/\n/g, '⏎').replace(/\t/g, '⇥') || '∅';
