// POST /v1/completions, whole and streamed: prompts that are gone on with as they stand.
import { type Completion, CompletionRequest } from '../../protocol/api/openai.ts';
import type { AnswerResult, Choice, CompletionRequest as CompletionWork, TokenReport } from '../core/coordinator.ts';
import {
  type AnswersComponents,
  type AnswerWriter,
  answerSettings,
  collector,
  extension,
  fingerprint,
  given,
  secondsNow,
  streamAnswer,
  usageOf,
} from './answers.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { newId } from './ids.ts';
import { placementHeaders } from './placement.ts';
import type { EventStream } from './sse.ts';

type Logprobs = NonNullable<Completion['choices'][number]['logprobs']>;

interface Identity {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
}

/** The endpoint. */
export function completions(components: AnswersComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/completions',
    traced: true,
    async handle(exchange) {
      const body = await exchange.readParameters(CompletionRequest);
      const { clock, random, coordinator } = components;
      const identity: Identity = { id: newId(random, 'cmpl-'), object: 'text_completion', created: secondsNow(clock) };
      if (body.stream !== true) return whole(components, exchange, body, identity);
      const ask = coordinator.complete.bind(coordinator, toWork(body), exchange);
      const version = components.version();
      return streamAnswer(components, exchange, body.model, ask, (stream) =>
        writer(stream, { identity, version, includeUsage: body.stream_options?.include_usage === true }),
      );
    },
  };
}

async function whole(
  components: AnswersComponents,
  exchange: Exchange,
  body: CompletionRequest,
  identity: Identity,
): Promise<Completion> {
  const { events, choice } = collector();
  const result = await components.coordinator.complete(toWork(body), exchange, events);
  const node = result.nodes.at(-1);
  exchange.reply.headers(placementHeaders(node, components.nameOf));
  return {
    ...identity,
    model: result.model,
    system_fingerprint: fingerprint(components.version(), result.model, node),
    choices: result.choices.map((ended, index) => {
      const { text, logprobs } = choice(index);
      return {
        index,
        text,
        logprobs: body.logprobs === undefined ? null : toLogprobs(logprobs, new Offsets()),
        finish_reason: finishOf(ended),
      };
    }),
    usage: usageOf(result),
    weft: extension(result),
  };
}

interface WriterInit {
  readonly identity: Identity;
  readonly version: string;
  readonly includeUsage: boolean;
}

function writer(stream: EventStream, { identity, version, includeUsage }: WriterInit): AnswerWriter {
  const offsets = new Map<number, Offsets>();
  let common: Omit<Completion, 'choices'>;
  const send = (choice: Completion['choices'][number], weft?: Completion['weft']): void =>
    stream.send({
      ...common,
      choices: [choice],
      ...(includeUsage ? { usage: null } : {}),
      ...(weft === undefined ? {} : { weft }),
    } satisfies Completion);
  return {
    begin({ node, model }): void {
      common = { ...identity, model, system_fingerprint: fingerprint(version, model, node) };
    },
    delta({ choice: index, text, logprobs }): void {
      const known = offsets.get(index) ?? new Offsets();
      offsets.set(index, known);
      const reported = logprobs === undefined ? null : toLogprobs(logprobs, known);
      send({ index, text, logprobs: reported, finish_reason: null });
    },
    end(result: AnswerResult): void {
      for (const [index, ended] of result.choices.entries()) {
        const last = index === result.choices.length - 1;
        const choice = { index, text: '', logprobs: null, finish_reason: finishOf(ended) };
        send(choice, last ? extension(result) : undefined);
      }
      if (includeUsage) stream.send({ ...common, choices: [], usage: usageOf(result) } satisfies Completion);
      stream.done();
    },
    fail: (body) => stream.fail(body),
  };
}

function toWork(body: CompletionRequest): CompletionWork {
  return {
    ...answerSettings(body),
    model: body.model,
    prompts: body.prompt,
    ...given({ maxTokens: body.max_tokens ?? MAX_TOKENS, logprobs: body.logprobs }),
  };
}

/** OpenAI's default here: clients that want more say so. */
const MAX_TOKENS = 16;

/** There are no tools here. */
function finishOf({ finish }: Choice): 'stop' | 'length' {
  return finish === 'length' ? 'length' : 'stop';
}

/** Where each token's text begins, in code points, although a token may end within a character. */
class Offsets {
  readonly #decoder = new TextDecoder();
  #characters = 0;

  next(bytes: readonly number[]): number {
    const at = this.#characters;
    for (const _character of this.#decoder.decode(Uint8Array.from(bytes), { stream: true })) this.#characters += 1;
    return at;
  }
}

function toLogprobs(reports: readonly TokenReport[], offsets: Offsets): Logprobs {
  return {
    tokens: reports.map(({ token }) => token),
    token_logprobs: reports.map(({ logprob }) => logprob),
    // Defines each token as a name of its own, `__proto__` too.
    top_logprobs: reports.map(({ top }) => Object.fromEntries(top.map(({ token, logprob }) => [token, logprob]))),
    text_offset: reports.map(({ bytes }) => offsets.next(bytes)),
  };
}
