// Deadline and priority on their way from a request to its placements.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placedOptions } from '../../../node/coordinator/placed-options.ts';
import type { PlacedOptions } from '../../../node/core/dispatcher.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { TIMING } from '../dispatch/fakes.ts';
import { bundledStore, encoding, fakeCoordinator, generating, planOn, recordingEvents } from './fakes.ts';

let store: Awaited<ReturnType<typeof bundledStore>>;
beforeAll(async () => {
  store = await bundledStore();
});
afterAll(() => store[Symbol.asyncDispose]());

/** Options of a request with 1,000 ms that lose one whenever they are asked for. */
function request() {
  let left = 1_000;
  const { signal } = new AbortController();
  return { signal, requestId: 'req', priority: 'batch' as const, leftMs: () => left-- };
}

describe('the options of a placement', () => {
  it('hold what is left of the deadline by now, and at least an instant', () => {
    const { signal } = new AbortController();
    expect(placedOptions({ signal, requestId: 'a' })).toEqual({ signal, requestId: 'a' });
    expect(placedOptions({ signal, requestId: 'a', leftMs: () => 12.5 }).deadlineMs).toBe(12.5);
    expect(placedOptions({ signal, requestId: 'a', leftMs: () => -3 }).deadlineMs).toBe(1);
    expect(placedOptions({ signal, requestId: 'a', priority: 'batch' }, { requestId: 'a.1' })).toEqual({
      signal,
      requestId: 'a.1',
      priority: 'batch',
    });
  });

  it('are those of every kind of work, and of each part of it', async () => {
    const seen: PlacedOptions[] = [];
    const generate = generating([19556, 17]);
    const { coordinator } = fakeCoordinator({
      store,
      generate: (work, options, onTokens) => {
        seen.push(options);
        return generate(work, options, onTokens);
      },
      encode: (work, options) => {
        seen.push(options);
        return encoding(work, options);
      },
      run: async (_work, options) => {
        seen.push(options);
        return { outputs: [], node: 'self', timing: TIMING, plan: planOn('self'), nodes: ['self'] };
      },
    });
    const settings = { temperature: 0, topP: 1, stop: [], maxTokens: 2 };
    const { events } = recordingEvents();
    const messages = [{ role: 'user', content: 'Hi' }];
    await coordinator.chat({ ...settings, model: 'smollm2', messages, n: 2 }, request(), events);
    await coordinator.complete({ ...settings, model: 'smollm2', prompts: ['Hi'] }, request(), events);
    await coordinator.embed({ model: 'minilm', inputs: ['Hi'] }, request());
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
      tensorOf(name, 'int64', [1, 2], new BigInt64Array(2)),
    );
    await coordinator.run({ model: 'minilm', inputs, outputs: [] }, request());
    expect(seen.map(({ priority }) => priority)).toEqual(Array(5).fill('batch'));
    expect(seen.map(({ deadlineMs }) => deadlineMs)).toEqual([1_000, 999, 1_000, 1_000, 1_000]);
  });
});
