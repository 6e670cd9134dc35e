// The setting `rawLocal` in front of dispatch: no request of these models gets past it.
import { describe, expect, it } from 'vitest';
import { RawLocalDispatcher } from '../../../node/app/raw-local.ts';
import type { AvailableModel, Dispatcher, PlacedOptions } from '../../../node/core/dispatcher.ts';
import type { EncodeRequest, GenerateRequest, RunRequest } from '../../../protocol/infer.ts';

const MODEL = { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', digest: 'sha256:1' };
const OTHER = { id: 'owner/other', digest: 'sha256:2' };
const { signal } = new AbortController();

/** Remembers what dispatch is told to keep here. */
function make(names: readonly string[]) {
  const told: PlacedOptions['rawLocal'][] = [];
  const note = async (_request: unknown, { rawLocal }: Pick<PlacedOptions, 'rawLocal'>) => {
    told.push(rawLocal);
    return undefined as never;
  };
  const inner: Dispatcher = {
    run: note,
    encode: note,
    generate: note,
    planCut: note,
    plan: (_kind, _request, options = {}) => {
      told.push(options.rawLocal);
      return undefined as never;
    },
    models: () => [{ offer: { model: OTHER, aliases: ['short'] } } as unknown as AvailableModel],
    inFlight: () => 7,
  };
  return { told, dispatcher: new RawLocalDispatcher({ dispatcher: inner, names: () => names }) };
}

const options = { signal, requestId: 'r' };

describe('a model that the setting names', () => {
  it.each([
    'HuggingFaceTB/SmolLM2-135M-Instruct',
    'huggingfacetb/smollm2-135m-instruct',
    'smollm2',
    'SmolLM2-135M-Instruct',
  ])('keeps what its requests bring, as %s', async (name) => {
    const { told, dispatcher } = make(['other', name]);
    await dispatcher.run({ model: MODEL } as RunRequest, options);
    await dispatcher.encode({ model: MODEL } as EncodeRequest, options);
    await dispatcher.generate({ model: MODEL } as GenerateRequest, options, () => undefined);
    await dispatcher.planCut({ model: MODEL } as RunRequest, { signal });
    dispatcher.plan('run', { model: MODEL } as RunRequest);
    expect(told).toEqual([true, true, true, true, true]);
  });

  it('keeps all of it where a request names some inputs only', async () => {
    const { told, dispatcher } = make([MODEL.id]);
    await dispatcher.run({ model: MODEL } as RunRequest, { ...options, rawLocal: ['mask'] });
    expect(told).toEqual([true]);
  });

  it('is known by what its nodes call it', async () => {
    const { told, dispatcher } = make(['short']);
    await dispatcher.run({ model: OTHER } as RunRequest, options);
    expect(told).toEqual([true]);
  });
});

describe('any other model', () => {
  it('is left to its requests', async () => {
    const { told, dispatcher } = make(['smollm', 'owner/else']);
    await dispatcher.run({ model: MODEL } as RunRequest, options);
    await dispatcher.run({ model: OTHER } as RunRequest, { ...options, rawLocal: ['x'] });
    expect(told).toEqual([undefined, ['x']]);
    expect(dispatcher.inFlight()).toBe(7);
  });
});
