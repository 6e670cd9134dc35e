// What it costs to hold an answer to a JSON schema, token by token: SmolLM2 through the node's engine, greedy, the same
// number of tokens at the same positions with a constraint and without.

import { Grammars } from '../../node/engine/runner/grammar/grammars.ts';
import type { Constraint, GenerateRequest } from '../../protocol/infer.ts';
import { MODEL, schemaConstraint, VOCABULARY } from '../node/engine/grammar/sampler.ts';
import { type Benchmark, interleave, median } from './harness.ts';
import { offered, startBenchNodes } from './nodes.ts';

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;

/** Objects with texts, numbers and words of a list: longer than the answer, so that it never ends early. */
const SCHEMA = {
  type: 'array',
  minItems: 64,
  items: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 4, maxLength: 40 },
      kind: { enum: ['river', 'mountain', 'city'] },
      height: { type: 'integer', minimum: 0, maximum: 9_000 },
      tags: { type: 'array', items: { type: 'string', maxLength: 12 }, maxItems: 4 },
    },
    required: ['name', 'kind', 'height', 'tags'],
    additionalProperties: false,
  },
};
const CONSTRAINT: Constraint = schemaConstraint(SCHEMA);

const options = () => ({ signal: new AbortController().signal, requestId: 'req_bench' });

/** Milliseconds for the library's part alone, in its worker: a new schema, and each token's mask. */
async function library(rounds: number): Promise<{ readonly compileMs: number[]; readonly maskMs: number[] }> {
  const grammars = new Grammars();
  const compileMs: number[] = [];
  const maskMs: number[] = [];
  const logits = new Float32Array(VOCABULARY);
  for (let round = 0; round <= rounds; round++) {
    const constraint = schemaConstraint({ ...SCHEMA, minItems: 64 + round });
    const begun = performance.now();
    const session = await grammars.open(MODEL, { constraint, stopIds: [] }, new AbortController().signal);
    // The first one waits for the library and the vocabulary.
    if (round > 0) compileMs.push(performance.now() - begun);
    for (let token = 0; token < NEW_TOKENS; token++) {
      logits.fill(0);
      await session.mask(logits);
      maskMs.push(session.microseconds / 1000);
      const fits = [...logits.keys()].filter((id) => logits[id] === 0);
      session.accept(fits[(token * 7_919) % fits.length] as number);
    }
    session.close();
  }
  await grammars.stop();
  return { compileMs, maskMs };
}

export const grammar: Benchmark = {
  name: 'grammar',
  summary: 'SmolLM2 held to a JSON schema, against the same without it',
  async run({ rounds, threads, say }) {
    const nodes = await startBenchNodes(threads);
    try {
      const { engine } = nodes.here.node;
      const { model } = offered(nodes.entry, 'text-generation').offer;
      const request: GenerateRequest = {
        model,
        ids: Int32Array.from({ length: PROMPT_TOKENS }, (_, index) => 400 + ((index * 131) % 20_000)),
        promptLength: PROMPT_TOKENS,
        maxNewTokens: NEW_TOKENS,
        stopIds: [],
        sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
      };
      /** Tokens per second behind the first one, and when that came. */
      const timed = async (constraint?: Constraint): Promise<{ rate: number; ttftMs: number }> => {
        const start = performance.now();
        let first = 0;
        let tokens = 0;
        const onTokens = (_first: number, drawn: readonly number[]): void => {
          if (tokens === 0) first = performance.now();
          tokens += drawn.length;
        };
        await engine.generate({ ...request, ...(constraint === undefined ? {} : { constraint }) }, options(), onTokens);
        if (tokens !== NEW_TOKENS) throw new Error(`${tokens} tokens came.`);
        return { rate: ((tokens - 1) * 1000) / (performance.now() - first), ttftMs: first - start };
      };
      say('  warming up');
      await timed();
      const firstUseMs = (await timed(CONSTRAINT)).ttftMs;
      await timed(CONSTRAINT);
      say(`  ${rounds} rounds`);
      const ttft: Record<string, number[]> = { free: [], constrained: [], fresh: [] };
      let fresh = 0;
      const contender = (who: string, constraint: () => Constraint | undefined) => async () => {
        const { rate, ttftMs } = await timed(constraint());
        ttft[who]?.push(ttftMs);
        return [rate];
      };
      const series = await interleave(rounds, {
        free_tokens_per_s: contender('free', () => undefined),
        constrained_tokens_per_s: contender('constrained', () => CONSTRAINT),
        // A schema that was never seen is compiled while the prompt waits.
        fresh_tokens_per_s: contender('fresh', () => schemaConstraint({ ...SCHEMA, minItems: 65 + fresh++ })),
      });
      const flat = (name: string): number[] => (series[name] ?? []).flat();
      const ratio = (name: string): number =>
        median(flat(name).map((value, index) => value / (flat('free_tokens_per_s')[index] as number)));
      const { free = [], constrained = [], fresh: compiled = [] } = ttft;
      const { compileMs, maskMs } = await library(rounds);
      return {
        figures: {
          constrained_decode_ratio: ratio('constrained_tokens_per_s'),
          fresh_decode_ratio: ratio('fresh_tokens_per_s'),
          known_schema_ttft_ms_p50: median(constrained) - median(free),
          new_schema_ttft_ms_p50: median(compiled) - median(free),
          first_use_ms: firstUseMs - median(free),
          compile_ms_p50: median(compileMs),
          mask_ms_p50: median(maskMs),
        },
        samples: {
          ...Object.fromEntries(Object.entries(series).map(([name, list]) => [name, list.flat()])),
          free_ttft_ms: free,
          constrained_ttft_ms: constrained,
          fresh_ttft_ms: compiled,
          compile_ms: compileMs,
        },
      };
    } finally {
      await nodes.stop();
    }
  },
};
