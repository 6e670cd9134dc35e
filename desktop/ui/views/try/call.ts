// A request with what its answer's headers tell: the trace, and how long it took as seen from here.
import { api } from '../../data/client.ts';
import { SseParser } from '../../data/sse.ts';

export interface Called<Answer> {
  readonly answer: Answer;
  readonly requestId: string | undefined;
  /** From here and back, in milliseconds. */
  readonly wallMs: number;
}

/** What Weft adds to answers of OpenAI's API. */
export interface WeftFacts {
  readonly nodes: readonly string[];
  readonly ttft_ms?: number;
  readonly tokens_per_second?: number;
  readonly plan: { readonly kind: string; readonly predicted_ms: number };
}

interface CallInit {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

const post = (path: string, body: unknown, { signal, headers = {} }: CallInit): Promise<Response> =>
  api.raw('POST', path, {
    signal,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** @throws ApiError */
export async function call<Answer>(path: string, body: unknown, init: CallInit): Promise<Called<Answer>> {
  const startMs = performance.now();
  const response = await post(path, body, init);
  const answer = (await response.json()) as Answer;
  return { answer, requestId: idOf(response), wallMs: performance.now() - startMs };
}

/**
 * Reads the events of a streamed answer; each chunk is handed on as it comes.
 * @throws ApiError, also with what an `error` event tells
 */
export async function callStreamed<Chunk>(
  path: string,
  body: unknown,
  init: CallInit & { readonly onChunk: (chunk: Chunk) => void },
): Promise<Called<undefined>> {
  const startMs = performance.now();
  const response = await post(path, body, init);
  const parser = new SseParser();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done = true, value = '' } = (await reader?.read()) ?? {};
    for (const { data } of parser.push(value)) {
      if (data === '[DONE]') continue;
      const chunk = JSON.parse(data) as Chunk & { readonly error?: { readonly message: string } };
      if (chunk.error !== undefined) throw new Error(chunk.error.message);
      init.onChunk(chunk);
    }
    if (done) return { answer: undefined, requestId: idOf(response), wallMs: performance.now() - startMs };
  }
}

const idOf = (response: Response): string | undefined => response.headers.get('x-request-id') ?? undefined;
