// Inputs that come in parts, joined before a run.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partName } from '../../../../node/engine/run-parts.ts';
import { joinParts } from '../../../../node/engine/runner/run-batch.ts';
import { encodeFrames, FrameReader, TensorAssembler } from '../../../../protocol/frame.ts';
import { int32Elements, type NamedTensor, tensorOf } from '../../../../protocol/tensor.ts';
import { runs } from '../../../support/property.ts';

const part = (name: string, rows: number, width: number, first: number): NamedTensor =>
  tensorOf(
    name,
    'int32',
    [rows, width],
    Int32Array.from({ length: rows * width }, (_, index) => first + index),
  );

/** As a runner gets them. */
function received(tensors: readonly NamedTensor[]): NamedTensor[] {
  const call = { method: 10, version: 1, budgetMs: 1, requestId: '', traceParent: '', payload: new Uint8Array(0) };
  const frames = encodeFrames(1, { case: 'call', value: { ...call, withinMs: 0, priority: 0 } }, tensors);
  let assembler: TensorAssembler | undefined;
  const reader = new FrameReader({
    header: (header) => {
      assembler ??= new TensorAssembler(header.tensors);
    },
    body: (piece) => assembler?.write(piece),
  });
  for (const frame of frames) for (const piece of frame) reader.push(piece);
  return assembler?.finish() ?? [];
}

describe('joinParts', () => {
  it('leaves inputs that come whole as they are', () => {
    const inputs = [part('x', 2, 3, 0), part('y', 1, 3, 0)];
    expect(joinParts(inputs)).toBe(inputs);
  });

  it('joins parts behind one another without a copy, as they come from a link', () => {
    const inputs = received([
      part('x', 2, 4, 0),
      part(partName('x', 1), 3, 4, 8),
      part('y', 2, 1, 50),
      part(partName('y', 1), 3, 1, 52),
    ]);
    const [x, y] = joinParts(inputs);
    expect([x?.name, x?.dims, y?.name, y?.dims]).toEqual(['x', [5, 4], 'y', [5, 1]]);
    expect([...int32Elements(x as NamedTensor)]).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect([...int32Elements(y as NamedTensor)]).toEqual([50, 51, 52, 53, 54]);
    expect(x?.data.buffer).toBe(inputs[0]?.data.buffer);
  });

  it('gives the same rows whatever the sizes of the parts', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), (rows, width) => {
        let first = 0;
        const parts = rows.map((count, index) => {
          const tensor = part(partName('x', index), count, width, first);
          first += count * width;
          return tensor;
        });
        const [x] = joinParts(received(parts));
        expect(x?.dims).toEqual([rows.reduce((a, b) => a + b, 0), width]);
        expect([...int32Elements(x as NamedTensor)]).toEqual(Array.from({ length: first }, (_, index) => index));
      }),
      runs(100),
    );
  });

  it.each<[string, NamedTensor[]]>([
    ['another width', [part('x', 1, 2, 0), part(partName('x', 1), 1, 3, 0)]],
    ['another type', [part('x', 1, 1, 0), tensorOf(partName('x', 1), 'float32', [1, 1], Float32Array.of(1))]],
    [
      'no rows to join by',
      [tensorOf('x', 'int32', [], Int32Array.of(1)), tensorOf(partName('x', 1), 'int32', [], Int32Array.of(1))],
    ],
    ['a part that is missing', [part('x', 1, 2, 0), part(partName('x', 2), 1, 2, 0)]],
    ['a part without its input', [part(partName('x', 1), 1, 2, 0)]],
  ])('refuses %s', (_what, inputs) => {
    expect(() => joinParts(inputs)).toThrow(expect.objectContaining({ code: 'tensor_invalid' }));
  });
});
