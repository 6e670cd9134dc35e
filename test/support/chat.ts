// A chat answer as a client sees it, token by token, for tests that do something to the mesh in the middle of one.
import OpenAI from 'openai';
import type { Daemon } from './daemon.ts';

/** The official client, pointed at a daemon of the tests. It never retries: what happens once is what is tested. */
export function clientOf(daemon: Pick<Daemon, 'url' | 'key'>): OpenAI {
  return new OpenAI({ baseURL: `${daemon.url}/v1`, apiKey: daemon.key, maxRetries: 0, timeout: 120_000 });
}

/** One prompt that makes SmolLM2 talk for long. */
export const LONG_ANSWER = [
  { role: 'user' as const, content: 'Write a short story about a robot who learns to paint.' },
];

/** One whose next token is never in doubt: its text is the same however sequences share runs. */
export const SURE_ANSWER = [{ role: 'user' as const, content: 'Count from 1 to 30.' }];

export interface StreamedAnswer {
  readonly text: string;
  /** Pieces in the order in which they came. */
  readonly pieces: readonly string[];
  readonly completionTokens: number;
  readonly promptTokens: number;
  readonly finish: string | null;
  /** Every node that worked on it. */
  readonly nodes: readonly string[];
}

export interface StreamInit {
  readonly maxTokens: number;
  readonly seed?: number;
  readonly temperature?: number;
  readonly signal?: AbortSignal;
  readonly messages?: OpenAI.ChatCompletionMessageParam[];
  /** After each piece of text: how many have come, and the node named in the answer's header. */
  readonly onPiece?: (count: number, node: string) => void;
}

/** Streams one chat answer from a daemon and collects it. @throws what the client throws, mid-stream errors included */
export async function streamChat(daemon: Pick<Daemon, 'url' | 'key'>, init: StreamInit): Promise<StreamedAnswer> {
  const { data: stream, response } = await clientOf(daemon)
    .chat.completions.create(
      {
        model: 'smollm2',
        messages: init.messages ?? LONG_ANSWER,
        max_tokens: init.maxTokens,
        temperature: init.temperature ?? 0,
        seed: init.seed ?? 1,
        stream: true,
        stream_options: { include_usage: true },
      },
      { signal: init.signal ?? null },
    )
    .withResponse();
  const node = response.headers.get('x-weft-node') ?? '';
  const pieces: string[] = [];
  let usage: OpenAI.CompletionUsage | undefined;
  let finish: string | null = null;
  let nodes: readonly string[] = [node];
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    if (choice?.delta.content) {
      pieces.push(choice.delta.content);
      init.onPiece?.(pieces.length, node);
    }
    finish = choice?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
    const extension = (chunk as { weft?: { nodes?: string[] } }).weft;
    if (extension?.nodes !== undefined) nodes = extension.nodes;
  }
  return {
    text: pieces.join(''),
    pieces,
    completionTokens: usage?.completion_tokens ?? -1,
    promptTokens: usage?.prompt_tokens ?? -1,
    finish,
    nodes,
  };
}
