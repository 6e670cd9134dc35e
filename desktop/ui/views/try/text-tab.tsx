// Text in, text out: one chat message, or a text that is gone on with, with the probabilities of its tokens where they are asked for.
import type { ReactNode } from 'react';
import { Field, Input, Select, TextArea } from '../../components/field.tsx';
import { Segments } from '../../components/segments.tsx';
import { text } from '../../text/en.ts';
import { count, duration, safeText } from '../../text/format.ts';
import { type Called, callStreamed, type WeftFacts } from './call.ts';
import { keep, keepRun, useKept, useRunState } from './memory.ts';
import { Bench, Facts, ModelField, useModelChoice } from './parts.tsx';
import { TokenChips } from './token-chips.tsx';
import { type ChatLogprobs, type TextLogprobs, type Token, tokensOf } from './tokens.ts';

interface TextResult {
  /** What is gone on with; '' in a chat. */
  readonly before: string;
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly finish: string | undefined;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | undefined;
  readonly weft: WeftFacts | undefined;
  readonly called: Called<undefined> | undefined;
}

/** A chunk of either endpoint, as far as it is shown. */
interface Chunk {
  readonly choices: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly text?: string;
    readonly logprobs?: ChatLogprobs | TextLogprobs | null;
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: TextResult['usage'] | null;
  readonly weft?: WeftFacts;
}

const EMPTY: TextResult = {
  before: '',
  text: '',
  tokens: [],
  finish: undefined,
  usage: undefined,
  weft: undefined,
  called: undefined,
};

const TASKS = ['text-generation'];

interface TextForm {
  readonly kind: 'chat' | 'complete';
  readonly chosen: string;
  readonly prompts: { readonly chat: string; readonly complete: string };
  readonly system: string;
  readonly settings: Readonly<Record<keyof typeof NAMES, string>>;
  readonly logprobs: string;
}

const form = keep<TextForm>({
  kind: 'chat',
  chosen: '',
  prompts: { chat: text.try.chatPrompt, complete: text.try.completePrompt },
  system: '',
  settings: { max_tokens: '64', temperature: '', top_p: '', seed: '' },
  logprobs: '0',
});
const runner = keepRun<TextResult>();

export function TextTab(): ReactNode {
  const { kind, chosen, prompts, system, settings, logprobs } = useKept(form);
  const { models, model } = useModelChoice(TASKS, chosen);
  const state = useRunState(runner);
  const prompt = prompts[kind];
  const wrong = Object.values(settings).some((value) => value.trim() !== '' && !Number.isFinite(Number(value)));
  const path = kind === 'chat' ? '/v1/chat/completions' : '/v1/completions';
  const likeliest = Number(logprobs);
  const body = {
    model,
    ...(kind === 'chat'
      ? {
          messages: [
            ...(system.trim() === '' ? [] : [{ role: 'system', content: system }]),
            { role: 'user', content: prompt },
          ],
        }
      : { prompt }),
    ...Object.fromEntries(
      Object.entries(settings).flatMap(([name, value]) => (value.trim() === '' ? [] : [[name, Number(value)]])),
    ),
    ...(likeliest === 0 ? {} : kind === 'chat' ? { logprobs: true, top_logprobs: likeliest } : { logprobs: likeliest }),
  };
  const run = (): void =>
    runner.start(async (signal, show) => {
      let result: TextResult = { ...EMPTY, before: kind === 'complete' ? prompt : '' };
      const called = await callStreamed<Chunk>(
        path,
        { ...body, stream: true, stream_options: { include_usage: true } },
        {
          signal,
          onChunk(chunk) {
            result = withChunk(result, chunk);
            show(result);
          },
        },
      );
      return { ...result, called };
    });
  return (
    <Bench
      state={state}
      idle={text.try.textIdle}
      canRun={model !== '' && prompt.trim() !== '' && !wrong}
      onRun={run}
      onStop={() => runner.stop()}
      snippet={model === '' ? undefined : { path, body }}
      form={
        <>
          <Segments
            size="medium"
            label={text.try.kind}
            value={kind}
            onChange={(next) => form.change({ kind: next })}
            options={[
              { value: 'chat', label: text.try.chat },
              { value: 'complete', label: text.try.complete },
            ]}
          />
          <ModelField models={models} value={model} onChange={(next) => form.change({ chosen: next })} />
          {kind === 'chat' && (
            <Field label={text.try.system}>
              <Input spellCheck value={system} onChange={({ target }) => form.change({ system: target.value })} />
            </Field>
          )}
          <Field label={text.try.prompt} hint={kind === 'chat' ? text.try.chatHint : text.try.completeHint}>
            <TextArea
              rows={4}
              value={prompt}
              onChange={({ target }) => form.change({ prompts: { ...prompts, [kind]: target.value } })}
            />
          </Field>
          <div className="grid grid-cols-2 gap-3 sm:grid-cols-3">
            {(['max_tokens', 'temperature', 'top_p', 'seed'] as const).map((name) => (
              <Field
                key={name}
                label={NAMES[name]}
                error={Number.isFinite(Number(settings[name])) ? undefined : text.try.wrongNumber}
              >
                <Input
                  inputMode="decimal"
                  placeholder={text.try.unset}
                  value={settings[name]}
                  onChange={({ target }) => form.change({ settings: { ...settings, [name]: target.value } })}
                />
              </Field>
            ))}
            <Field label={text.try.logprobs}>
              <Select
                value={logprobs}
                onChange={(next) => form.change({ logprobs: next })}
                options={[
                  { value: '0', label: text.try.logprobsOff },
                  ...[1, 3, 5].map((n) => ({ value: String(n), label: text.try.logprobsOf(n) })),
                ]}
              />
            </Field>
          </div>
        </>
      }
    >
      {(result) => <TextAnswer result={result} ended={state.at === 'done'} />}
    </Bench>
  );
}

const NAMES = {
  max_tokens: text.try.maxTokens,
  temperature: text.try.temperature,
  top_p: text.try.topP,
  seed: text.try.seed,
} as const;

function withChunk(result: TextResult, { choices, usage, weft }: Chunk): TextResult {
  const [choice] = choices;
  return {
    ...result,
    text: result.text + (choice?.delta?.content ?? choice?.text ?? ''),
    tokens: choice?.logprobs ? [...result.tokens, ...tokensOf(choice.logprobs)] : result.tokens,
    finish: choice?.finish_reason ?? result.finish,
    usage: usage ?? result.usage,
    weft: weft ?? result.weft,
  };
}

function TextAnswer({ result, ended }: { readonly result: TextResult; readonly ended: boolean }): ReactNode {
  const { usage, weft, finish, called, tokens } = result;
  const { facts } = text.try;
  return (
    <>
      <p data-answer className="whitespace-pre-wrap break-words text-[0.9375rem] leading-relaxed">
        {result.before !== '' && <span className="text-faint">{safeText(result.before)}</span>}
        <bdi>{safeText(result.text)}</bdi>
      </p>
      {tokens.length > 0 && <TokenChips tokens={tokens} />}
      {ended && finish !== undefined && <p className="text-faint text-xs">{text.try.finish[finish] ?? finish}</p>}
      {ended && (
        <Facts
          nodes={weft?.nodes ?? []}
          requestId={called?.requestId}
          facts={[
            called === undefined ? undefined : [facts.time, duration(called.wallMs)],
            weft?.ttft_ms === undefined ? undefined : [facts.first, duration(weft.ttft_ms)],
            weft?.tokens_per_second === undefined
              ? undefined
              : [facts.speed, `${Math.round(weft.tokens_per_second)} ${facts.perSecond}`],
            usage === undefined
              ? undefined
              : [facts.tokens, facts.tokensOf(count(usage.prompt_tokens), count(usage.completion_tokens))],
            weft === undefined
              ? undefined
              : [facts.plan, facts.planOf(weft.plan.kind, duration(weft.plan.predicted_ms))],
          ]}
        />
      )}
    </>
  );
}
