// What is read out of the runtime's profile.
import { describe, expect, it } from 'vitest';
import { readTrace } from '../../../../models/onnx/cost/trace.ts';

const run = (ts: number, dur: number) => ({ cat: 'Session', name: 'model_run', ts, dur, args: {} });
const kernel = (name: string, ts: number, dur: number, op = 'Conv', shapes: unknown[] = []) => ({
  cat: 'Node',
  name: `${name}_kernel_time`,
  ts,
  dur,
  args: { op_name: op, output_type_shape: shapes },
});

describe('readTrace', () => {
  it('gives milliseconds of every kernel, run by run', () => {
    const events = [run(0, 100), kernel('a', 10, 30), kernel('b', 50, 20), run(200, 90), kernel('a', 210, 40)];
    const runs = readTrace(JSON.stringify(events.toReversed()));
    expect(runs.map(({ ms }) => [...ms])).toEqual([
      [
        ['a', 0.03],
        ['b', 0.02],
      ],
      [['a', 0.04]],
    ]);
  });

  it('counts what runs within a loop or a branch with the node that runs it', () => {
    const events = [
      run(0, 1000),
      kernel('before', 10, 30),
      kernel('loop', 50, 400, 'Loop'),
      kernel('inner', 60, 100),
      kernel('branch', 200, 100, 'If'),
      kernel('innermost', 210, 50),
      kernel('behind', 450, 20),
    ];
    const [only] = readTrace(JSON.stringify(events));
    expect([...(only?.ms ?? [])]).toEqual([
      ['before', 0.03],
      ['loop', 0.4],
      ['behind', 0.02],
    ]);
  });

  it('leaves out kernels of no run', () => {
    const events = [kernel('folded', 1, 3), run(10, 50), kernel('a', 20, 5)];
    expect(readTrace(JSON.stringify(events)).map(({ ms }) => [...ms.keys()])).toEqual([['a']]);
  });

  it('tells type, shape and bytes of what each kernel made', () => {
    const shapes = [{ float: [2, 3] }, { int64: [] }, { bool: [7] }];
    const [only] = readTrace(JSON.stringify([run(0, 50), kernel('a', 1, 3, 'Split', shapes)]));
    expect(only?.made.get('a')).toEqual([
      { type: 'float32', dims: [2, 3], bytes: 24 },
      { type: 'int64', dims: [], bytes: 8 },
      { type: 'bool', dims: [7], bytes: 7 },
    ]);
  });

  it.each([[{ string: [3] }], [{ 'seq(tensor)': [3] }], [{ float: [-1] }], [{}]])('says nothing of %j', (shape) => {
    const [only] = readTrace(JSON.stringify([run(0, 50), kernel('a', 1, 3, 'Split', [{ float: [1] }, shape])]));
    expect(only?.made.has('a')).toBe(false);
    expect(only?.ms.get('a')).toBe(0.003);
  });

  it.each(['', '{', '{}', 'null', '3'])('refuses %j', (text) => {
    expect(() => readTrace(text)).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('passes over entries that are none', () => {
    expect(readTrace(JSON.stringify([null, 3, {}, run(0, 5)]))).toHaveLength(1);
  });
});
