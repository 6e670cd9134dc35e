// Any graph by tensors: its inputs filled by shape, from files or as JSON; where it is cut and what stays here; and what comes out.
import { type ReactNode, useState } from 'react';
import type { InferAnswer } from '../../../../protocol/api/control/infer.ts';
import { CUT_HEADER, formatRaw, parseCut, RAW_HEADER } from '../../../../protocol/api/locality.ts';
import { Button } from '../../components/button.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, Input } from '../../components/field.tsx';
import { Switch } from '../../components/switch.tsx';
import { text } from '../../text/en.ts';
import { duration, safeName } from '../../text/format.ts';
import { type Called, call } from './call.ts';
import { InputRow } from './input-row.tsx';
import { InputProblem, inputsOf, openDims, type Port, type RequestInput, type Source, usualDim } from './inputs.ts';
import { INPUTS_SHOWN, SNIPPET_ELEMENTS_MAX } from './limits.ts';
import { keep, keepRun, useKept, useRunState } from './memory.ts';
import { OutputView } from './output-view.tsx';
import { Bench, Facts, ModelField, useModelChoice } from './parts.tsx';
import { IDLE } from './runner.ts';
import { formOf, freshForm, type TensorForm } from './tensor-form.ts';
import { usePorts } from './use-ports.ts';

const PATH = '/api/v1/infer';

const kept = keep(freshForm(''));
const runner = keepRun<Called<InferAnswer>>();

/** Begins anew with a model. */
function begin(model: string): void {
  runner.clear();
  kept.set(freshForm(model));
}

export function TensorTab(): ReactNode {
  const { models, model } = useModelChoice(undefined, useKept(kept).model);
  return <TensorBench key={model} models={models} model={model} />;
}

function TensorBench({
  models,
  model,
}: {
  readonly models: ReturnType<typeof useModelChoice>['models'];
  readonly model: string;
}): ReactNode {
  const { open, sources, cut, stays, leaves, all, readElsewhere } = formOf(useKept(kept), model);
  const { ports, elsewhere, error, busy, readAgain } = usePorts(model, readElsewhere);
  const [problem, setProblem] = useState<InputProblem>();
  const runState = useRunState(runner);
  const state = kept.value.model === model ? runState : IDLE;
  /** The first change, or the first run, makes the form this model's. */
  const change = (part: Partial<TensorForm>): void => {
    if (kept.value.model !== model) begin(model);
    kept.change(part);
  };
  const dims = openDims(ports ?? []);
  const wrongCut = parseCut(cut.trim()) === undefined;
  const names = (ports ?? []).map(({ name }) => name);
  const staying = names.filter((name) => !leaves.includes(name));
  const headers = {
    ...(cut.trim() === 'auto' || wrongCut ? {} : { [CUT_HEADER]: cut.trim() }),
    ...(stays && staying.length > 0 ? { [RAW_HEADER]: formatRaw(leaves.length === 0 ? true : staying) } : {}),
  };
  const wrongDim = dims.some((dim) => !/^\d{1,7}$/.test(open[dim] ?? '0'));
  const shapes = Object.fromEntries(Object.entries(open).map(([dim, value]) => [dim, Number(value)]));
  const run = (): void => {
    setProblem(undefined);
    let inputs: RequestInput[];
    try {
      inputs = inputsOf(ports ?? [], sources, shapes);
    } catch (cause) {
      if (!(cause instanceof InputProblem)) throw cause;
      setProblem(cause);
      change({ all: true });
      return;
    }
    change({});
    runner.start((signal) => call<InferAnswer>(PATH, { model, inputs, encoding: 'base64' }, { signal, headers }));
  };
  const shown = all ? (ports ?? []) : (ports ?? []).slice(0, INPUTS_SHOWN);
  const hidden = (ports?.length ?? 0) - shown.length;
  return (
    <Bench
      state={state}
      idle={text.try.tensorIdle}
      canRun={ports !== undefined && ports.length > 0 && !wrongCut && !wrongDim}
      onRun={run}
      onStop={() => runner.stop()}
      snippet={
        ports === undefined ? undefined : { path: PATH, headers, body: snippetBody(model, ports, sources, shapes) }
      }
      form={
        <>
          <ModelField models={models} value={model} onChange={begin} />
          {elsewhere && ports === undefined && (
            <div className="flex flex-col items-start gap-2">
              <p className="text-muted text-sm">{text.try.portsElsewhere}</p>
              <Button busy={busy} onClick={() => (readElsewhere ? readAgain() : change({ readElsewhere: true }))}>
                {text.try.readPorts}
              </Button>
            </div>
          )}
          {error !== undefined && <Failed compact error={error} />}
          {dims.length > 0 && (
            <fieldset className="flex flex-col gap-2">
              <legend className="kicker mb-1">{text.try.dims}</legend>
              <div className="grid grid-cols-2 gap-3">
                {dims.map((dim) => (
                  <Field
                    key={dim}
                    label={
                      <bdi title={safeName(dim)} className="block truncate font-mono text-xs">
                        {safeName(dim)}
                      </bdi>
                    }
                    error={/^\d{1,7}$/.test(open[dim] ?? '0') ? undefined : text.try.wrongNumber}
                  >
                    <Input
                      inputMode="numeric"
                      value={open[dim] ?? String(usualDim(dim))}
                      onChange={({ target }) => change({ open: { ...open, [dim]: target.value } })}
                    />
                  </Field>
                ))}
              </div>
            </fieldset>
          )}
          {shown.length > 0 && (
            <fieldset className="flex min-w-0 flex-col">
              <legend className="kicker mb-1">{text.try.inputs}</legend>
              {shown.map((port) => (
                <InputRow
                  key={port.name}
                  port={port}
                  open={shapes}
                  source={sources[port.name]}
                  problem={problem?.input === port.name ? problem.message : undefined}
                  onChange={(source) =>
                    change({ sources: { ...formOf(kept.value, model).sources, [port.name]: source } })
                  }
                />
              ))}
              {hidden > 0 && (
                <Button kind="quiet" size="small" className="mt-2 self-start" onClick={() => change({ all: true })}>
                  {text.try.moreInputs(hidden)}
                </Button>
              )}
            </fieldset>
          )}
          <fieldset className="flex flex-col gap-3">
            <legend className="kicker mb-1">{text.try.where}</legend>
            <Field label={text.try.cut} hint={text.try.cutHint} error={wrongCut ? text.try.cutHint : undefined}>
              <Input
                list="weft-try-cuts"
                value={cut}
                onChange={({ target }) => change({ cut: target.value })}
                className="font-mono"
              />
            </Field>
            <datalist id="weft-try-cuts">
              <option value="auto" />
              <option value="never" />
            </datalist>
            <div className="flex items-start gap-3">
              <Switch label={text.try.raw} checked={stays} onChange={(checked) => change({ stays: checked })} />
              <span className="text-sm">
                <span className="font-medium">{text.try.raw}</span>
                <span className="block text-muted text-xs">{text.try.rawHint}</span>
              </span>
            </div>
            {stays && names.length > 1 && names.length <= INPUTS_SHOWN && (
              <ul className="flex flex-wrap gap-x-4 gap-y-1 pl-12">
                {names.map((name) => (
                  <li key={name}>
                    <label className="flex cursor-pointer items-center gap-1.5 font-mono text-xs">
                      <input
                        type="checkbox"
                        className="accent-accent"
                        checked={!leaves.includes(name)}
                        onChange={({ target }) =>
                          change({
                            leaves: target.checked ? leaves.filter((other) => other !== name) : [...leaves, name],
                          })
                        }
                      />
                      <bdi>{safeName(name)}</bdi>
                    </label>
                  </li>
                ))}
              </ul>
            )}
          </fieldset>
        </>
      }
    >
      {({ answer, requestId, wallMs }) => (
        <>
          {answer.outputs.map((output) => (
            <OutputView key={output.name} output={output} />
          ))}
          <Facts
            nodes={answer.nodes}
            requestId={requestId}
            facts={[
              [text.try.facts.time, duration(wallMs)],
              [text.try.facts.queue, duration(answer.timing.queueMs)],
              answer.timing.loadMs === 0 ? undefined : [text.try.facts.load, duration(answer.timing.loadMs)],
              [text.try.facts.compute, duration(answer.timing.computeMs)],
              [text.try.facts.plan, text.try.facts.planOf(answer.plan.kind, duration(answer.plan.predictedMs))],
            ]}
          />
        </>
      )}
    </Bench>
  );
}

/** Large inputs are left to the reader: what they would be takes their place. */
function snippetBody(
  model: string,
  ports: readonly Port[],
  sources: Readonly<Record<string, Source>>,
  shapes: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const inputs = ports.map((port) => {
    const [input] = attempt(() => inputsOf([port], sources, shapes)) ?? [];
    if (input === undefined) return { name: port.name, dtype: port.type, shape: [], data: [] };
    const count = input.shape.reduce((product, dim) => product * dim, 1);
    return count <= SNIPPET_ELEMENTS_MAX ? input : { ...input, data: '<base64 of the little-endian bytes>' };
  });
  return { model, inputs };
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined; // the form says what is wrong when it is run
  }
}
