// A second form for runs of many rows: when it is opened, what it may take, and SmolLM2 on it beside SmolLM2 without.
import type { InferenceSession } from 'onnxruntime-node';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type FloatFormComponents,
  openFloatForm,
  peakFromNow,
} from '../../../../../node/engine/runner/decoder/float-form.ts';
import type { FloatRows } from '../../../../../node/engine/runner/decoder/float-probe.ts';
import { KvBlock } from '../../../../../node/engine/runner/decoder/kv-block.ts';
import { RewrittenModel } from '../../../../../node/engine/runner/decoder/rewritten-model.ts';
import { LoadedModel } from '../../../../../node/engine/runner/loaded-model.ts';
import { Turns } from '../../../../../node/engine/runner/turns.ts';
import type { TokenLogprob } from '../../../../../protocol/infer.ts';
import { smollm } from '../../support.ts';
import { request } from './toy-loop.ts';

const never = new AbortController().signal;
const MIB = 2 ** 20;

/** Opens a form that takes so much; tells what was asked and whether it was ended. */
function forms(takes: number, overrides: Partial<FloatFormComponents> = {}) {
  const asked: string[] = [];
  let resident = 100 * MIB;
  const release = async (): Promise<void> => {
    asked.push('release');
  };
  const components: FloatFormComponents = {
    bytes: () => {
      asked.push('bytes');
      return new Uint8Array(1);
    },
    floatRows: async () => {
      asked.push('rows');
      return 48;
    },
    open: async () => {
      asked.push('open');
      resident += takes;
      return { release } as InferenceSession;
    },
    check: async () => {
      asked.push('check');
      return undefined;
    },
    residentBytes: () => resident,
    ...overrides,
  };
  return { asked, open: (spareBytes: number) => openFloatForm(components, spareBytes) };
}

describe('a second form', () => {
  it('is opened where it pays, and says what it takes', async () => {
    const { asked, open } = forms(10 * MIB);
    expect(await open(10 * MIB)).toMatchObject({ many: { rowsMin: 48 }, takenBytes: 10 * MIB });
    expect(asked).toEqual(['bytes', 'rows', 'open', 'check']);
    // In memory that was given back before: it is there all the same.
    expect(await forms(-MIB).open(10 * MIB)).toMatchObject({ takenBytes: 1 });
  });

  it('is not opened where nothing would change, or the machine is no faster so', async () => {
    const same = forms(MIB, { bytes: () => undefined });
    expect(await same.open(10 * MIB)).toBeUndefined();
    expect(same.asked).toEqual([]);
    const slow = forms(MIB, { floatRows: async () => undefined });
    expect(await slow.open(10 * MIB)).toBeUndefined();
    expect(slow.asked).toEqual(['bytes']);
  });

  it('is ended where it takes more than it may, or says something else', async () => {
    const large = forms(11 * MIB);
    expect(await large.open(10 * MIB)).toBeUndefined();
    expect(large.asked).toEqual(['bytes', 'rows', 'open', 'release']);
    const wrong = forms(MIB, { check: async () => 'its logits differ' });
    expect(await wrong.open(10 * MIB)).toBeUndefined();
    expect(wrong.asked.at(-1)).toBe('release');
  });

  it('that goes wrong anywhere is none, and no error', async () => {
    const fails = (): Promise<never> => Promise.reject(new Error('No.'));
    for (const part of ['open', 'floatRows', 'check'] as const) {
      const { asked, open } = forms(MIB, { [part]: fails });
      expect(await open(10 * MIB), part).toBeUndefined();
      expect(asked.includes('release'), part).toBe(part === 'check');
    }
    const unreadable = forms(MIB, {
      bytes: () => {
        throw new Error('No.');
      },
    });
    expect(await unreadable.open(10 * MIB)).toBeUndefined();
  });

  it('is not hidden in a peak that was there before', () => {
    const peak = peakFromNow();
    expect(peak()).toBeGreaterThanOrEqual(process.memoryUsage.rss() * 0.9);
    expect(peak()).toBeLessThanOrEqual(process.resourceUsage().maxRSS * 1024);
  });
});

describe('SmolLM2', () => {
  let model: Awaited<ReturnType<typeof smollm>>;
  beforeAll(async () => {
    model = await smollm();
  });

  async function open(
    spareBytes: number,
    { exact = false, floatRows = async () => 32 }: { exact?: boolean; floatRows?: FloatRows } = {},
  ): Promise<LoadedModel> {
    const { folder, manifest } = model;
    const settings = { threads: 1, shareCores: true, verifyLarge: false, sequencesMax: 2, decoderChecked: true };
    const init = { ...settings, folder, manifest, kvBytesMax: 64 * MIB, exact, spareBytes, floatRows };
    const opened = await LoadedModel.open(init, new Turns({ flushed: () => undefined }), never);
    onTestFinished(() => opened.release());
    expect(opened.decoder?.form).toBe('rewritten');
    return opened;
  }

  /** Greedy behind a prompt of 150 tokens. */
  async function answered({ decoder }: LoadedModel): Promise<{ ids: number[]; top: TokenLogprob[] }> {
    const ids: number[] = [];
    const top: TokenLogprob[] = [];
    const prompt = Array.from({ length: 150 }, (_, at) => 400 + ((at * 37) % 90));
    await decoder?.generate(request(prompt, 12, { logprobs: 2 }), {
      signal: never,
      item: (run) => {
        ids.push(...run.ids);
        top.push(...(run.logprobs ?? []));
        return undefined;
      },
    });
    return { ids, top };
  }

  it('answers a long prompt alike with a second form and without, where no two tokens are nearly as likely', async () => {
    const without = await open(0);
    expect(without.memory.spareBytes).toBe(0);
    const plain = await answered(without);
    const doubt = plain.top.findIndex(({ top }) => (top[0]?.logprob ?? 0) - (top[1]?.logprob ?? 0) < 0.5);
    const sure = doubt < 0 ? plain.ids.length : doubt;
    expect(sure).toBeGreaterThan(2);

    const both = await open(200 * MIB);
    expect(both.memory.spareBytes).toBeGreaterThan(0);
    expect(both.memory.spareBytes).toBeLessThanOrEqual(200 * MIB);
    expect(both.memory.peakBytes).toBeGreaterThan(0);
    const faster = await answered(both);
    expect(faster.ids.slice(0, sure)).toEqual(plain.ids.slice(0, sure));
    // Again, most of the prompt from what was kept: the rest is computed in the same form and by as many rows.
    const again = await answered(both);
    expect(again.top[0]).toEqual(faster.top[0]);
    expect(again.ids.slice(0, sure)).toEqual(faster.ids.slice(0, sure));
    // It was computed by other kernels.
    expect(faster.top[0]?.logprob).not.toBe(plain.top[0]?.logprob);
    expect(faster.top[0]?.logprob).toBeCloseTo(plain.top[0]?.logprob ?? 0, 0);
  });

  it('has one form where that is faster, where everything is exact, and where there is no room for two', async () => {
    for (const opened of [
      await open(200 * MIB, { floatRows: async () => undefined }),
      await open(200 * MIB, { exact: true, floatRows: () => Promise.reject(new Error('asked in vain')) }),
      await open(20 * MIB),
    ]) {
      expect(opened.memory.spareBytes).toBe(0);
    }
  });
});

describe('a model of two sessions', () => {
  it('gives steps of many rows to the second, whatever they are made of, and says from how many on', async () => {
    const layout = {
      layers: 1,
      kvHeads: 1,
      headSize: 1,
      group: 1,
      vocabularySize: 2,
      type: 'float32',
      windows: [0],
    } as const;
    const ran: string[] = [];
    const session = (name: string): InferenceSession =>
      ({
        run: async () => {
          ran.push(name);
          throw new Error('enough');
        },
      }) as unknown as InferenceSession;
    const model = new RewrittenModel(session('one'), layout, { session: session('many'), rowsMin: 32 });
    const block = new KvBlock(layout, 4, 64);
    const step = (sequences: number, tokens: number, prompt?: boolean) =>
      model
        .step({
          block,
          firstSlot: 0,
          lengths: new Array<number>(sequences).fill(0),
          ids: new Int32Array(sequences * tokens),
          wanted: [],
          ...(prompt !== undefined && { prompt }),
        })
        .catch(() => undefined);
    for (const [sequences, tokens] of [
      [1, 31],
      [1, 32],
      [4, 7],
      [4, 8],
    ] as const)
      await step(sequences, tokens);
    expect(ran).toEqual(['one', 'many', 'one', 'many']);
    // The rest of a prompt, however short: whether its beginning was kept must not decide how it is computed.
    await step(1, 3, true);
    expect(ran.at(-1)).toBe('many');
    expect(model.manyRowsMin).toBe(32);
    expect(new RewrittenModel(session('one'), layout).manyRowsMin).toBeUndefined();
    block.close();
  });
});
