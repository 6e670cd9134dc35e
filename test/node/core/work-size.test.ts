import { describe, expect, it } from 'vitest';
import { sizeOfEncode, sizeOfGenerate, sizeOfRun } from '../../../node/core/work-size.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { tensorOf } from '../../../protocol/tensor.ts';

const model = { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` };
const sampling = { temperature: 0, topP: 1, topK: 0, seed: 5n };

describe('what work weighs', () => {
  it('of any graph: the bytes of its tensors, there and back', () => {
    const inputs = [
      tensorOf('x', 'float32', [2], Float32Array.of(1, 2)),
      tensorOf('y', 'uint8', [3], Uint8Array.of(1, 2, 3)),
    ];
    expect(sizeOfRun({ model, inputs, outputs: [] })).toEqual({
      inputTokens: 1,
      outputTokens: 0,
      requestBytes: 11,
      answerBytes: 11,
      answerRows: 0,
    });
  });

  it('of a part of a graph: the bytes that its answer is known to have', () => {
    const inputs = [tensorOf('x', 'uint8', [3], Uint8Array.of(1, 2, 3))];
    expect(sizeOfRun({ model, inputs, outputs: [] }, 40)).toMatchObject({ requestBytes: 3, answerBytes: 40 });
  });

  it('of texts: their tokens, and a row each', () => {
    const request = { model, ids: Int32Array.of(1, 2, 3), lengths: Int32Array.of(2, 1) };
    const size = { inputTokens: 3, outputTokens: 0, requestBytes: 20, answerBytes: 0, answerRows: 2 };
    expect(sizeOfEncode({ ...request, pooling: 'mean', normalize: false })).toEqual(size);
    const pairs = { ...request, pooling: 'logits' as const, normalize: false, firstLengths: Int32Array.of(1, 1) };
    expect(sizeOfEncode(pairs)).toEqual({ ...size, requestBytes: 28 });
  });

  it('of a generation: its prompt, what is replayed, and what is expected of it within its bound', () => {
    const request: GenerateRequest = {
      model,
      ids: Int32Array.of(1, 2, 3, 4),
      promptLength: 3,
      maxNewTokens: 10,
      stopIds: [],
      sampling,
    };
    const size = { inputTokens: 3, requestBytes: 16, answerBytes: 0, answerRows: 0 };
    expect(sizeOfGenerate(request, 5)).toEqual({ ...size, outputTokens: 6 });
    expect(sizeOfGenerate(request, 500)).toEqual({ ...size, outputTokens: 10 });
    // More was drawn elsewhere than it may have.
    expect(sizeOfGenerate({ ...request, maxNewTokens: 0 }, 5)).toEqual({ ...size, outputTokens: 1 });
    const features = tensorOf('features', 'float32', [1, 1, 2], Float32Array.of(1, 2));
    expect(sizeOfGenerate({ ...request, features }, 0)).toEqual({ ...size, outputTokens: 1, requestBytes: 24 });
  });
});
