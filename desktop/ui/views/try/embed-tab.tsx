// Texts as vectors, and how alike they are: each against each, and the nearest pairs.
import type { ReactNode } from 'react';
import { Field, TextArea } from '../../components/field.tsx';
import { text } from '../../text/en.ts';
import { count, duration, safeText } from '../../text/format.ts';
import { type Called, call, type WeftFacts } from './call.ts';
import { PAIRS_SHOWN, TEXTS_MAX } from './limits.ts';
import { keep, keepRun, useKept, useRunState } from './memory.ts';
import { Bench, Facts, ModelField, useModelChoice } from './parts.tsx';
import { nearestPairs, similarities, textsOf } from './similarity.ts';

interface EmbeddingsAnswer {
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number };
  readonly weft?: WeftFacts;
}

interface EmbedResult {
  readonly texts: readonly string[];
  readonly called: Called<EmbeddingsAnswer>;
  readonly matrix: readonly (readonly number[])[];
}

const PATH = '/v1/embeddings';
const TASKS = ['feature-extraction', 'sentence-similarity'];

const form = keep<{ readonly lines: string; readonly chosen: string }>({ lines: text.try.someTexts, chosen: '' });
const runner = keepRun<EmbedResult>();

export function EmbedTab(): ReactNode {
  const { lines, chosen } = useKept(form);
  const { models, model } = useModelChoice(TASKS, chosen);
  const state = useRunState(runner);
  const texts = textsOf(lines);
  const wrong = texts.length < 2 || texts.length > TEXTS_MAX;
  const body = { model, input: texts };
  const run = (): void =>
    runner.start(async (signal) => {
      const called = await call<EmbeddingsAnswer>(PATH, body, { signal });
      const vectors = called.answer.data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
      return { texts, called, matrix: similarities(vectors) };
    });
  return (
    <Bench
      state={state}
      idle={text.try.embedIdle}
      canRun={model !== '' && !wrong}
      onRun={run}
      onStop={() => runner.stop()}
      snippet={model === '' ? undefined : { path: PATH, body }}
      form={
        <>
          <ModelField models={models} value={model} onChange={(model) => form.change({ chosen: model })} />
          <Field
            label={text.try.texts}
            hint={text.try.textsHint(TEXTS_MAX)}
            error={wrong ? text.try.textsWrong(TEXTS_MAX) : undefined}
          >
            <TextArea rows={8} value={lines} onChange={({ target }) => form.change({ lines: target.value })} />
          </Field>
        </>
      }
    >
      {(result) => <EmbedAnswer result={result} />}
    </Bench>
  );
}

function EmbedAnswer({ result: { texts, called, matrix } }: { readonly result: EmbedResult }): ReactNode {
  const { answer, requestId, wallMs } = called;
  const { facts } = text.try;
  return (
    <>
      <Matrix texts={texts} matrix={matrix} />
      <section aria-label={text.try.pairs} className="flex flex-col gap-1">
        <h3 className="kicker">{text.try.pairs}</h3>
        <ol className="flex flex-col">
          {nearestPairs(matrix, PAIRS_SHOWN).map(({ first, second, similarity }) => (
            <li
              key={`${first}-${second}`}
              className="flex min-w-0 items-baseline gap-3 border-line border-b py-1.5 text-sm last:border-b-0"
            >
              <span className="tabular w-10 shrink-0 font-semibold">{cosine(similarity)}</span>
              <span className="min-w-0">
                <bdi className="block truncate">{safeText(texts[first] ?? '')}</bdi>
                <bdi className="block truncate text-muted">{safeText(texts[second] ?? '')}</bdi>
              </span>
            </li>
          ))}
        </ol>
      </section>
      <Facts
        nodes={answer.weft?.nodes ?? []}
        requestId={requestId}
        facts={[
          [facts.dimension, count(answer.data[0]?.embedding.length ?? 0)],
          [facts.time, duration(wallMs)],
          [facts.tokens, facts.inTokens(count(answer.usage.prompt_tokens))],
          answer.weft === undefined
            ? undefined
            : [facts.plan, facts.planOf(answer.weft.plan.kind, duration(answer.weft.plan.predicted_ms))],
        ]}
      />
    </>
  );
}

function Matrix({
  texts,
  matrix,
}: {
  readonly texts: readonly string[];
  readonly matrix: readonly (readonly number[])[];
}): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables are scrolled by keyboard, too
    <section aria-label={text.try.matrix} tabIndex={0} className="min-w-0 overflow-x-auto">
      <table aria-label={text.try.matrix} className="border-separate border-spacing-0.5 text-xs">
        <thead>
          <tr>
            <td />
            {texts.map((own, at) => (
              <th
                // biome-ignore lint/suspicious/noArrayIndexKey: texts may be alike
                key={at}
                scope="col"
                title={safeText(own)}
                className="tabular min-w-10 font-medium text-faint"
              >
                {at + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {matrix.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: texts may be alike
            <tr key={at}>
              <th scope="row" className="max-w-56 truncate pr-2 text-left font-normal max-sm:max-w-28">
                <span className="tabular mr-1.5 text-faint">{at + 1}</span>
                <bdi>{safeText(texts[at] ?? '')}</bdi>
              </th>
              {row.map((similarity, column) => (
                <td
                  // biome-ignore lint/suspicious/noArrayIndexKey: columns are texts, which may be alike
                  key={column}
                  style={at === column ? undefined : { backgroundColor: shade(similarity) }}
                  className={at === column ? 'h-8 text-center text-faint' : 'tabular h-8 rounded-[2px] text-center'}
                >
                  {at === column ? '·' : cosine(similarity)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const cosine = (similarity: number): string => similarity.toFixed(2).replace('-', '−');

/** What is unlike stays without colour. */
const shade = (similarity: number): string =>
  `color-mix(in oklch, var(--accent) ${Math.round(Math.max(0, similarity) ** 1.5 * 42)}%, var(--sunken))`;
