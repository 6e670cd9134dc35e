import { describe, expect, it } from 'vitest';
import { loadFeatureExtraction } from '../../../models/tasks/feature-extraction.ts';
import { MINILM, manifestOf, SMOLLM2 } from '../paths.ts';

const task = await loadFeatureExtraction(MINILM, manifestOf(MINILM));

describe('texts for MiniLM', () => {
  it('become ids with [CLS] and [SEP] around them', () => {
    expect(task.encode('Hello world!')).toEqual({ ids: Int32Array.of(101, 7592, 2088, 999, 102), truncated: false });
    expect([...task.encode('').ids]).toEqual([101, 102]);
  });

  it("are cut to the graph's 512 positions, not to the 128 of tokenizer.json", () => {
    const { ids, truncated } = task.encode('word '.repeat(600));
    expect([ids.length, ids[0], ids[510], ids[511], truncated]).toEqual([512, 101, 2773, 102, true]);
    const fitting = task.encode('word '.repeat(510));
    expect([fitting.ids.length, fitting.truncated]).toEqual([512, false]);
  });

  it('can be cut shorter, never longer', () => {
    expect([...task.encode('Hello world!', 4).ids]).toEqual([101, 7592, 2088, 102]);
    expect(task.encode('word '.repeat(600), 10_000).ids).toHaveLength(512);
  });

  it('are not taken by a model of another kind', async () => {
    await expect(loadFeatureExtraction(SMOLLM2, manifestOf(SMOLLM2))).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('tell how vectors are made', () => {
    expect(task.encoding).toEqual({ dimensions: 384, pooling: 'mean', normalize: true, padId: 0 });
  });
});
