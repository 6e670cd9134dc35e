// Hostile ONNX files, cases 14 to 17: each is refused, and its twin, with the one guard left out, gets through.
import { readFileSync } from 'node:fs';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locationProblem } from '../../../models/onnx/check/external.ts';
import { checkOnnx, checkOnnxFile, ONNX_CHECKS, type OnnxCheck, type OnnxChecked } from '../../../models/onnx/check.ts';
import { type ByteSource, memorySource } from '../../../models/onnx/protobuf.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { MINILM, SMOLLM2 } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { externalTensor, type Field, message, model, port, tinyGraph, varint } from './onnx-bytes.ts';

const FLOAT = 1;
const INT64 = 7;
const OUTPUT: Field = [12, port('y', FLOAT, [1])];
const BESIDE_BYTES = 1000;

/** Checks bytes beside which there is one file, `w.bin`. */
function check(bytes: Uint8Array, checks: ReadonlySet<OnnxCheck> = ONNX_CHECKS): OnnxChecked {
  return checkOnnx(memorySource(bytes), () => BESIDE_BYTES, { checks });
}

const without = (off: OnnxCheck): ReadonlySet<OnnxCheck> => new Set([...ONNX_CHECKS].filter((one) => one !== off));

const corrupt = (pattern: RegExp) =>
  expect.objectContaining({ code: 'model_corrupt', message: expect.stringMatching(pattern) });

function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

interface NodeInit {
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: readonly (readonly Field[])[];
}

function node(op: string, inputs: readonly string[], outputs: readonly string[], init: NodeInit = {}): Field {
  return [
    1,
    [
      ...inputs.map((name): Field => [1, name]),
      ...outputs.map((name): Field => [2, name]),
      ...(init.name === undefined ? [] : [[3, init.name] as Field]),
      [4, op],
      ...(init.attributes ?? []).map((fields): Field => [5, fields]),
      ...(init.domain === undefined ? [] : [[7, init.domain] as Field]),
    ],
  ];
}

const bigInts = (values: readonly (number | bigint)[]): Uint8Array =>
  new Uint8Array(BigInt64Array.from(values, BigInt).buffer);

/** An initializer of int64. */
const ints = (name: string, ...values: (number | bigint)[]): Field => [
  5,
  [
    [1, values.length],
    [2, INT64],
    [8, name],
    [9, bigInts(values)],
  ],
];

/** A float32 initializer of these dimensions and that many bytes. */
const floats = (dims: readonly (number | bigint)[], bytes: number, more: readonly Field[] = []): Field => [
  5,
  [...dims.map((dim): Field => [1, dim]), [2, FLOAT], [8, 'w'], [9, new Uint8Array(bytes)], ...more],
];

/** A tensor in w.bin, with these entries beside its location. */
const external = (dims: readonly number[], entries: Readonly<Record<string, string>>): Field[] => [
  ...dims.map((dim): Field => [1, dim]),
  [2, FLOAT],
  [8, 'w'],
  ...Object.entries({ location: 'w.bin', ...entries }).map(
    ([key, value]): Field => [
      13,
      [
        [1, key],
        [2, value],
      ],
    ],
  ),
  [14, 1],
];

describe('a file that is what it says', () => {
  it('passes, with its weights inside and beside it', () => {
    const smol = checkOnnxFile(join(SMOLLM2, 'onnx', 'model_q4.onnx'));
    expect(smol.externalFiles).toHaveLength(3);
    expect(smol.externalFiles[0]).toEqual({ location: 'model_q4.onnx_data', sizeBytes: 34_414_592 });
    expect([smol.nodes, smol.warnings]).toEqual([549, []]);
    const mini = checkOnnxFile(join(MINILM, 'onnx', 'model_int8.onnx'));
    expect([mini.nodes, mini.tensors, mini.externalFiles, mini.warnings]).toEqual([385, 160, [], []]);
    expect(mini.inputs.map(({ name }) => name)).toContain('input_ids');
  });

  it.each<[string, Field[]]>([
    [
      'a scalar',
      [
        [2, FLOAT],
        [8, 'w'],
        [9, new Uint8Array(4)],
      ],
    ],
    [
      'nothing at all',
      [
        [1, 0],
        [2, FLOAT],
        [8, 'w'],
      ],
    ],
    [
      'half bytes',
      [
        [1, 5],
        [2, 22],
        [8, 'w'],
        [9, new Uint8Array(3)],
      ],
    ],
    [
      'half bytes as a list',
      [
        [1, 5],
        [2, 22],
        [8, 'w'],
        [5, Uint8Array.of(1, 2, 3)],
      ],
    ],
    [
      'packed floats',
      [
        [1, 2],
        [2, FLOAT],
        [8, 'w'],
        [4, new Uint8Array(8)],
      ],
    ],
    [
      'complex numbers',
      [
        [1, 2],
        [2, 14],
        [8, 'w'],
        [4, new Uint8Array(16)],
      ],
    ],
    [
      'numbers one by one',
      [
        [1, 2],
        [2, INT64],
        [8, 'w'],
        [7, 5],
        [7, 6],
      ],
    ],
    [
      'texts',
      [
        [1, 2],
        [2, 8],
        [8, 'w'],
        [6, 'one'],
        [6, 'two'],
      ],
    ],
    [
      'packed dimensions',
      [
        [1, Uint8Array.of(2, 3)],
        [2, 3],
        [8, 'w'],
        [9, new Uint8Array(6)],
      ],
    ],
    ['a part of another file', external([100], { offset: '600', length: '400' })],
    ['another file without a length', external([100], {})],
  ])('may hold %s', (_what, tensor) => {
    expect(check(model([[5, tensor], OUTPUT])).tensors).toBe(1);
  });

  it('may have functions of its own, in a domain of its own', () => {
    const bytes = message([
      [7, [node('Twice', ['x'], ['y'], { domain: 'mine' }), OUTPUT]],
      [
        8,
        [
          [1, 'mine'],
          [2, 1],
        ],
      ],
      [25, [[1, 'Twice'], [4, 'a'], [5, 'b'], node7('Add', ['a', 'a'], ['b']), [10, 'mine']]],
    ]);
    expect(check(bytes).warnings).toEqual([]);
  });

  it('is warned of what only a run decides', () => {
    const body: Field[] = [node('Identity', ['going'], ['on'])];
    const loop = node('Loop', ['', 'true', 'x'], ['y'], {
      attributes: [
        [
          [1, 'body'],
          [6, body],
          [20, 5],
        ],
      ],
    });
    expect(check(model([loop, OUTPUT])).warnings).toEqual([expect.stringContaining('loop')]);
    const bounded = node('Loop', ['trips', 'true', 'x'], ['y'], {
      attributes: [
        [
          [1, 'body'],
          [6, body],
          [20, 5],
        ],
      ],
    });
    expect(check(model([bounded, ints('trips', 9), OUTPUT])).warnings).toEqual([]);
    expect(check(model([bounded, ints('trips', 1n << 60n), OUTPUT])).warnings).toHaveLength(1);
    const imports = message([
      [7, [OUTPUT]],
      [
        8,
        [
          [1, 'com.example'],
          [2, 1],
        ],
      ],
      [20, [[1, [node('Relu', ['x'], ['z'])]]]],
    ]);
    expect(check(imports).warnings).toEqual([
      expect.stringContaining('training'),
      expect.stringContaining('"com.example"'),
    ]);
  });
});

/** A node within a function. */
const node7 = (...init: Parameters<typeof node>): Field => [7, node(...init)[1]];

/** A function of the domain `mine` that consists of these nodes. */
const functionOf = (name: string, ...nodes: Field[]): Field => [25, [[1, name], ...nodes, [10, 'mine']]];

/** f0 is one operator, each of the others ten calls of the one before. */
function laughs(levels: number): Uint8Array {
  const call = (level: number): Field => node7(`f${level}`, ['x'], [], { domain: 'mine' });
  return message([
    [7, [node(`f${levels}`, ['x'], ['y'], { domain: 'mine' }), OUTPUT]],
    functionOf('f0', node7('Relu', ['x'], [])),
    ...Array.from({ length: levels }, (_, level) =>
      functionOf(`f${level + 1}`, ...Array.from({ length: 10 }, () => call(level))),
    ),
  ]);
}

describe('case 14: a tensor that lies', () => {
  it.each<[string, Field, RegExp]>([
    ['about its bytes', floats([1 << 20], 16), /takes 4194304 bytes, and has 16/],
    ['about its bytes, which are more', floats([2], 16), /takes 8 bytes, and has 16/],
    ['with a negative dimension', floats([-1], 4), /negative dimension/],
    ['with 2^31 elements', floats([1 << 16, 1 << 15], 16), /2\^31 elements/],
    ['with dimensions whose product overflows to 4', floats([1n << 62n, 4n, 1n << 62n], 16), /2\^31 elements/],
    ['with a huge shape that has a zero in it', floats([0, 1n << 40n], 0), /2\^31 elements/],
    [
      'with a type that ONNX lacks',
      [
        5,
        [
          [1, 1],
          [2, 99],
          [8, 'w'],
          [9, new Uint8Array(4)],
        ],
      ],
      /element type 99/,
    ],
    [
      'with a type of 2^32 + 1',
      [
        5,
        [
          [1, 1],
          [2, (1n << 32n) + 1n],
          [8, 'w'],
          [9, new Uint8Array(4)],
        ],
      ],
      /element type/,
    ],
    ['with its bytes in two places', floats([1], 4, [[4, new Uint8Array(4)]]), /two places/],
    [
      'with bytes inside and outside',
      floats([1], 4, [
        [
          13,
          [
            [1, 'location'],
            [2, 'w.bin'],
          ],
        ],
        [14, 1],
      ]),
      /two places/,
    ],
    ['that is outside, and says otherwise', [5, external([1], {}).slice(0, -1)], /does not say clearly/],
    ['that is outside, and says it in a strange way', [5, [...external([1], {}).slice(0, -1), [14, 257]]], /clearly/],
    [
      'that lists numbers of another type',
      [
        5,
        [
          [1, 1],
          [2, INT64],
          [8, 'w'],
          [4, new Uint8Array(4)],
        ],
      ],
      /another type/,
    ],
    [
      'that lists too few',
      [
        5,
        [
          [1, 9],
          [2, INT64],
          [8, 'w'],
          [7, Uint8Array.of(1, 2)],
        ],
      ],
      /should list 9/,
    ],
    [
      'that lists too few, as half bytes',
      [
        5,
        [
          [1, 9],
          [2, 22],
          [8, 'w'],
          [5, Uint8Array.of(1, 2)],
        ],
      ],
      /should list 5/,
    ],
    [
      'that could not list as many',
      [
        5,
        [
          [1, 1 << 20],
          [2, 6],
          [8, 'w'],
          [5, new Uint8Array(1 << 17)],
        ],
      ],
      /should list/,
    ],
    [
      'of texts that are raw bytes',
      [
        5,
        [
          [1, 1],
          [2, 8],
          [8, 'w'],
          [9, 'text'],
        ],
      ],
      /takes no bytes/,
    ],
    ['that is sparse, with a value outside of its shape', sparse([4, 4], 1, [16]), /outside of its shape/],
    ['that is sparse, with a value before its shape', sparse([4, 4], 1, [-1]), /outside of its shape/],
    ['that is sparse and as a whole huge', sparse([1 << 16, 1 << 16], 1, [0]), /2\^31 elements/],
    ['that is sparse, with more values than places', sparse([4, 4], 2, [1]), /more values or places/],
  ])('%s', (_what, tensor, pattern) => {
    const bytes = model([tensor, OUTPUT]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(pattern));
    expect(check(bytes, without('elements')).tensors).toBeGreaterThan(0);
  });

  it.each<[string, Field[], RegExp]>([
    ['twice, of which protobuf takes the last', [...(floats([1], 4)[1] as Field[]), [9, new Uint8Array(400)]], /twice/],
    ['in a rank of 17', [...Array(17).fill([1, 1]), [2, FLOAT], [8, 'w'], [9, new Uint8Array(4)]], /too many/],
    [
      'in packed dimensions without end',
      [
        [1, new Uint8Array(1 << 16).fill(1)],
        [2, FLOAT],
      ],
      /too many numbers/,
    ],
    [
      'in segments',
      [
        [1, 1],
        [2, FLOAT],
        [3, [[1, 0]]],
        [9, new Uint8Array(4)],
      ],
      /segments/,
    ],
  ])('%s, which nothing lets through', (_what, tensor, pattern) => {
    expect(errorOf(() => check(model([[5, tensor], OUTPUT]), new Set()))).toEqual(corrupt(pattern));
  });

  it('is found in attributes, graphs within graphs, functions and training too', () => {
    const [, lie] = floats([5], 4);
    const places: Uint8Array[] = [
      model([
        node('Constant', [], ['c'], {
          attributes: [
            [
              [1, 'value'],
              [5, lie],
              [20, 4],
            ],
          ],
        }),
        OUTPUT,
      ]),
      model([
        node('X', [], ['c'], {
          attributes: [
            [
              [1, 'values'],
              [10, lie],
              [20, 9],
            ],
          ],
        }),
        OUTPUT,
      ]),
      model([
        node('If', ['c'], ['z'], {
          attributes: [
            [
              [1, 'then_branch'],
              [6, [[5, lie]]],
              [20, 5],
            ],
          ],
        }),
        OUTPUT,
      ]),
      model([
        node('If', ['c'], ['z'], {
          attributes: [
            [
              [1, 'graphs'],
              [11, [[5, lie]]],
              [20, 10],
            ],
          ],
        }),
        OUTPUT,
      ]),
      model([node('Constant', [], ['c'], { attributes: [[[22, [[1, lie]]]]] }), OUTPUT]),
      model([
        node('Constant', [], ['c'], {
          attributes: [
            [
              [
                23,
                [
                  [2, lie],
                  [1, lie],
                ],
              ],
            ],
          ],
        }),
        OUTPUT,
      ]),
      message([
        [7, [OUTPUT]],
        [
          25,
          [
            [1, 'f'],
            node7('C', [], [], {
              attributes: [
                [
                  [1, 'v'],
                  [5, lie],
                ],
              ],
            }),
            [10, 'm'],
          ],
        ],
      ]),
      message([
        [7, [OUTPUT]],
        [
          25,
          [
            [1, 'f'],
            [
              11,
              [
                [1, 'v'],
                [5, lie],
              ],
            ],
            [10, 'm'],
          ],
        ],
      ]),
      message([
        [7, [OUTPUT]],
        [20, [[1, [[5, lie]]]]],
      ]),
      message([
        [7, [OUTPUT]],
        [20, [[2, [[5, lie]]]]],
      ]),
    ];
    for (const bytes of places) expect(errorOf(() => check(bytes))).toEqual(corrupt(/takes 20 bytes, and has 4/));
  });

  it('is refused without a look at its bytes, and without memory for them', () => {
    // 2^31 - 1 bytes are claimed, and none is there.
    const tail = message([OUTPUT]);
    const tensor = Buffer.concat([
      message([
        [1, 1 << 20],
        [2, FLOAT],
      ]),
      Uint8Array.from([(9 << 3) | 2, ...varint(2 ** 31 - 1)]),
    ]);
    const bytes = Buffer.concat([
      Uint8Array.from([(7 << 3) | 2, ...varint(tensor.length + tail.length + 2), (5 << 3) | 2, tensor.length]),
      tensor,
      tail,
    ]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(/beyond the end/));
  });
});

/** A sparse initializer of float32 values at these places. */
function sparse(dims: readonly number[], values: number, places: readonly number[]): Field {
  return [
    15,
    [
      [
        1,
        [
          [1, values],
          [2, FLOAT],
          [8, 's'],
          [9, new Uint8Array(4 * values)],
        ],
      ],
      [
        2,
        [
          [1, places.length],
          [2, INT64],
          [9, bigInts(places)],
        ],
      ],
      ...dims.map((dim): Field => [3, dim]),
    ],
  ];
}

describe('case 15: external data', () => {
  it.each([
    ['../secret'],
    ['a/../../secret'],
    ['/etc/passwd'],
    ['\\\\server\\share'],
    ['C:secret'],
    ['c:/secret'],
    ['a\\..\\..\\secret'],
    ['a\0b'],
    ['a:stream'],
    ['./secret'],
    ['.hidden'],
    ['a//b'],
    ['a/'],
    [''],
    ['.. /secret'],
    ['.../secret'],
    ['a./secret'],
    ['nul'],
    ['a/COM1.bin'],
    ['*/_ORT_MEM_ADDR_/*'],
    ['x'.repeat(600)],
  ])('at %j is no place that any platform may look at', (location) => {
    expect(locationProblem(location)).toEqual(expect.any(String));
  });

  it('in plain names is', () => {
    for (const location of ['model.onnx_data', 'weights/layer 1.bin', 'a.b/c-d_e', 'Gewichte-ä.bin', 'comb', 'x..y'])
      expect(locationProblem(location)).toBeUndefined();
  });

  /** FOLDER/model with graph and weights, and beside it what must not be touched. */
  async function folderWith(location: string): Promise<{ readonly graph: string; readonly folder: string }> {
    const root = await temporaryFolder();
    const folder = join(root, 'model');
    await mkdir(join(folder, 'below'), { recursive: true });
    await writeFile(join(root, 'canary'), new Uint8Array(64));
    await writeFile(join(folder, 'w.bin'), new Uint8Array(64));
    await symlink(join(root, 'canary'), join(folder, 'link.bin'));
    await symlink(root, join(folder, 'below', 'up'));
    await writeFile(join(folder, 'model.onnx'), tinyGraph(location));
    return { graph: join(folder, 'model.onnx'), folder };
  }

  it.each<[string, OnnxCheck, RegExp]>([
    ['../canary', 'places', /outside/],
    ['below/../../canary', 'places', /outside/],
    ['link.bin', 'links', /a link/],
    ['below/up/canary', 'links', /behind one/],
  ])('at %j is refused, and would be taken without that guard', async (location, off, pattern) => {
    const { graph } = await folderWith(location);
    expect(errorOf(() => checkOnnxFile(graph))).toEqual(corrupt(pattern));
    expect(checkOnnxFile(graph, { checks: without(off) }).externalFiles).toEqual([{ location, sizeBytes: 64 }]);
  });

  it('that is missing, or a folder, is no weights', async () => {
    const missing = await folderWith('gone.bin');
    expect(errorOf(() => checkOnnxFile(missing.graph))).toEqual(
      expect.objectContaining({ message: expect.stringMatching(/"gone.bin" are missing/) }),
    );
    const below = await folderWith('below');
    expect(errorOf(() => checkOnnxFile(below.graph))).toEqual(corrupt(/no plain file/));
  });

  it('of a graph that is itself a link is not even looked for', async () => {
    const { graph, folder } = await folderWith('w.bin');
    await symlink(graph, join(folder, 'other.onnx'));
    expect(() => checkOnnxFile(join(folder, 'other.onnx'))).toThrow(/ELOOP/);
    expect(checkOnnxFile(graph).externalFiles).toHaveLength(1);
  });

  it.each<[string, Field[], RegExp]>([
    ['beyond the end of its file', external([100], { offset: '700' }), /beyond the end/],
    ['of another length than the tensor', external([100], { length: '404' }), /takes 400 bytes, and .* 404 long/],
    ['at a negative offset', external([100], { offset: '-8' }), /the offset "-8"/],
    ['at an offset of 2^64', external([100], { offset: '18446744073709551616' }), /the offset/],
    ['at an offset that is no number', external([100], { offset: '0x10' }), /the offset/],
    ['of a length that overflows', external([100], { offset: '999', length: '9007199254740991' }), /long|beyond/],
  ])('%s', (_what, tensor, pattern) => {
    const bytes = model([[5, tensor], OUTPUT]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(pattern));
    expect(check(bytes, without('extents')).externalFiles).toHaveLength(1);
  });

  it.each<[string, Field[], RegExp]>([
    ['without a location', external([1], {}).filter(([number]) => number !== 13), /does not say clearly/],
    [
      'with two locations',
      [
        ...external([1], {}),
        [
          13,
          [
            [1, 'location'],
            [2, '../x'],
          ],
        ],
      ],
      /"location" twice/,
    ],
    ['with a folder of its own', external([1], { basepath: '/etc' }), /unknown key "basepath"/],
    [
      'with a key twice in one entry',
      [
        [1, 1],
        [2, 1],
        [
          13,
          [
            [1, 'a'],
            [1, 'location'],
            [2, 'x'],
          ],
        ],
        [14, 1],
      ],
      /twice/,
    ],
    ['for texts', [[1, 1], [2, 8], ...external([], {}).slice(2)], /could hold/],
  ])('%s', (_what, tensor, pattern) => {
    expect(errorOf(() => check(model([[5, tensor], OUTPUT])))).toEqual(corrupt(pattern));
  });

  it('hidden anywhere is looked at', () => {
    const hidden = externalTensor('h', 'hidden.bin');
    const seen = (bytes: Uint8Array): readonly string[] => {
      const asked: string[] = [];
      checkOnnx(memorySource(bytes), (location) => {
        asked.push(location);
        return 64;
      });
      return [...new Set(asked)];
    };
    const places: Uint8Array[] = [
      model([[5, hidden], OUTPUT]),
      model([[15, [[1, hidden]]], OUTPUT].map((field) => field as Field)),
      model([node('X', [], [], { attributes: [[[5, hidden]]] }), OUTPUT]),
      model([node('X', [], [], { attributes: [[[10, hidden]]] }), OUTPUT]),
      model([
        node('If', [], [], { attributes: [[[6, [node('X', [], [], { attributes: [[[5, hidden]]] })]]]] }),
        OUTPUT,
      ]),
      message([
        [7, [OUTPUT]],
        [25, [[1, 'f'], [10, 'm'], node7('X', [], [], { attributes: [[[5, hidden]]] })]],
      ]),
      message([
        [7, [OUTPUT]],
        [20, [[1, [[5, hidden]]]]],
      ]),
    ];
    for (const [index, bytes] of places.entries()) {
      const checks = index === 1 ? without('elements') : ONNX_CHECKS;
      if (index === 1)
        expect(check(bytes, checks).externalFiles).toEqual([{ location: 'hidden.bin', sizeBytes: 1000 }]);
      else expect(seen(bytes)).toEqual(['hidden.bin']);
    }
  });
});

describe('case 16: a bomb', () => {
  it.each<[string, Field[]]>([
    ['ConstantOfShape', [node('ConstantOfShape', ['shape'], ['y']), ints('shape', 1 << 20, 1 << 20)]],
    ['Expand', [node('Expand', ['x', 'shape'], ['y']), ints('shape', 1 << 30)]],
    ['Tile', [node('Tile', ['x', 'shape'], ['y']), ints('shape', 1 << 15, 1 << 15)]],
    ['Resize', [node('Resize', ['x', '', '', 'shape'], ['y']), ints('shape', 1, 1, 1 << 16, 1 << 16)]],
    ['OneHot', [node('OneHot', ['x', 'shape', 'v'], ['y']), ints('shape', 1 << 30)]],
    ['Pad', [node('Pad', ['x', 'shape'], ['y']), ints('shape', 1 << 20, 1 << 20, 0, 0)]],
    [
      'RandomNormal',
      [
        node('RandomNormal', [], ['y'], {
          attributes: [
            [
              [1, 'shape'],
              [8, 1 << 30],
              [20, 7],
            ],
          ],
        }),
      ],
    ],
    [
      'RandomUniform',
      [
        node('RandomUniform', [], ['y'], {
          attributes: [
            [
              [1, 'shape'],
              [8, packed(1 << 20, 999)],
              [20, 7],
            ],
          ],
        }),
      ],
    ],
    ['Range', [node('Range', ['a', 'b', 'c'], ['y']), scalar('a', 0), scalar('b', 1 << 30), scalar('c', 1)]],
    ['Range', [node('Range', ['a', 'b', 'c'], ['y']), scalar('a', 0), scalar('b', 9), scalar('c', 0)]],
    [
      'ConstantOfShape',
      [
        node('Constant', [], ['shape'], {
          attributes: [
            [
              [1, 'value_ints'],
              [8, 1 << 20],
              [8, 1 << 20],
              [20, 7],
            ],
          ],
        }),
        node('ConstantOfShape', ['shape'], ['y']),
      ],
    ],
    [
      'ConstantOfShape',
      [
        node('If', ['c'], ['y'], {
          attributes: [
            [
              [1, 'then_branch'],
              [6, [node('ConstantOfShape', ['shape'], ['z'])]],
              [20, 5],
            ],
          ],
        }),
        ints('shape', 1 << 20, 1 << 20),
      ],
    ],
  ])('made by %s is refused where the file says how large it is', (op, fields) => {
    const bytes = model([...fields, OUTPUT]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(new RegExp(`operator ${op} makes a tensor`)));
    expect(check(bytes, without('made')).nodes).toBeGreaterThan(0);
  });

  it('is not what makes a mask of usual size', () => {
    expect(check(model([node('ConstantOfShape', ['s'], ['y']), ints('s', 1, 1, 8192, 8192), OUTPUT])).nodes).toBe(1);
  });

  it('of functions that multiply is refused, and one that stays small is not', () => {
    expect(check(laughs(3)).nodes).toBe(32);
    expect(errorOf(() => check(laughs(40)))).toEqual(corrupt(/become more nodes/));
    expect(check(laughs(40), without('calls')).nodes).toBe(402);
  });

  it('of functions that call themselves is refused', () => {
    const bytes = message([
      [7, [node('a', ['x'], ['y'], { domain: 'mine' }), OUTPUT]],
      functionOf('a', node7('b', ['x'], [], { domain: 'mine' })),
      functionOf('b', node7('a', ['x'], [], { domain: 'mine' })),
    ]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(/calls itself/));
    expect(check(bytes, without('calls')).nodes).toBe(3);
  });

  it('of nesting is refused, in graphs and in types', () => {
    let graph: Field[] = [OUTPUT];
    for (let level = 0; level < 200; level++) graph = [node('If', [], [], { attributes: [[[6, graph]]] }), OUTPUT];
    expect(errorOf(() => check(model(graph)))).toEqual(corrupt(/nested too deeply/));
    let type: Field[] = [[1, [[1, 1]]]];
    for (let level = 0; level < 40; level++) type = [[4, [[1, type]]]];
    const value: Field = [
      13,
      [
        [1, 'v'],
        [2, type],
      ],
    ];
    expect(errorOf(() => check(model([value, OUTPUT])))).toEqual(corrupt(/nested too deeply/));
  });

  it('of empty nodes is refused for their number', () => {
    const body = new Uint8Array(2 * ((1 << 20) + 1));
    for (let index = 0; index < body.length; index += 2) body[index] = 0x0a;
    const tail = message([OUTPUT]);
    const bytes = Buffer.concat([Uint8Array.from([0x3a, ...varint(body.length + tail.length)]), body, tail]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(/too many nodes/));
  });

  it('of names is refused for the memory that they take', () => {
    const names: Field[] = Array.from({ length: 500 }, (_, index) => [2, `${index}`.padEnd(500, 'n')]);
    const nodes: Field[] = Array.from({ length: 1000 }, (): Field => [1, names]);
    expect(errorOf(() => check(model([...nodes, OUTPUT]), without('names')))).toEqual(corrupt(/too much in it/));
  });
});

/** Packed varints. */
const packed = (...values: readonly number[]): Uint8Array => Uint8Array.from(values.flatMap((value) => varint(value)));

/** An int64 scalar. */
const scalar = (name: string, value: number): Field => [
  5,
  [
    [2, INT64],
    [8, name],
    [9, bigInts([value])],
  ],
];

describe('case 17: operators of somebody else', () => {
  it.each(['com.example', 'ai.onnx.contrib', 'com.microsoft.extensions', 'org.pytorch.aten', 'AI.ONNX', 'ai.onnx.ml2'])(
    'in the domain %s are refused by name',
    (domain) => {
      const bytes = model([node('Steal', ['x'], ['y'], { domain }), OUTPUT]);
      const name = `${domain}:Steal`.replaceAll('.', '\\.');
      expect(errorOf(() => check(bytes))).toEqual(corrupt(new RegExp(`"${name}" of a library`)));
      expect(check(bytes, without('domains')).nodes).toBe(1);
    },
  );

  it('in graphs within graphs and in functions too', () => {
    const steal = node('Steal', [], [], { domain: 'evil' });
    const inner = model([node('If', ['c'], [], { attributes: [[[6, [steal]]]] }), OUTPUT]);
    expect(errorOf(() => check(inner))).toEqual(corrupt(/"evil:Steal"/));
    const within = message([[7, [OUTPUT]], functionOf('f', node7('Steal', [], [], { domain: 'evil' }))]);
    expect(errorOf(() => check(within))).toEqual(corrupt(/"evil:Steal"/));
    // A function of that domain does not allow what it doesn't define.
    const other = message([
      [7, [node('Other', [], ['y'], { domain: 'mine' }), OUTPUT]],
      functionOf('f', node7('Relu', [], [])),
    ]);
    expect(errorOf(() => check(other))).toEqual(corrupt(/"mine:Other"/));
  });

  it.each(['EPContext', 'PythonOp', 'TritonOp'])('of the runtime that name files or programs: %s', (op) => {
    const bytes = model([node(op, ['x'], ['y'], { domain: 'com.microsoft' }), OUTPUT]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(/names a file, a library or a program/));
    expect(check(bytes, without('outside')).nodes).toBe(1);
  });

  it('are shown in one line of plain letters', () => {
    const bytes = model([node('\u001b[2JSteal\n', ['x'], ['y'], { domain: 'evil\u202e' }), OUTPUT]);
    const error = errorOf(() => check(bytes)) as WeftError;
    expect(error.message).toMatch(/^[\x20-\x7e]+$/);
  });
});

describe('names', () => {
  it.each<[string, Field[]]>([
    ['two initializers', [ints('w', 1), ints('w', 2)]],
    ['two outputs of nodes', [node('Relu', ['x'], ['z']), node('Relu', ['x'], ['z'])]],
    ['an initializer and an output', [ints('w', 1), node('Relu', ['x'], ['w'])]],
    ['an input and an output', [[11, port('x', 1, [1])], node('Relu', ['x'], ['x'])]],
    ['two nodes', [node('Relu', ['x'], ['a'], { name: 'n' }), node('Relu', ['x'], ['b'], { name: 'n' })]],
    [
      'two inputs',
      [
        [11, port('x', 1, [1])],
        [11, port('x', 1, [1])],
      ],
    ],
  ])('of %s may not be the same', (_what, fields) => {
    const bytes = model([...fields, OUTPUT]);
    expect(errorOf(() => check(bytes))).toEqual(corrupt(/two things are called|two sources/));
    expect(check(bytes, without('names')).outputs).toHaveLength(1);
  });

  it('may be the same in two branches, and an initializer may be an input', () => {
    const branch = (name: string): Field[] => [
      [1, name],
      [6, [node('Relu', ['x'], ['z'])]],
      [20, 5],
    ];
    const both = node('If', ['c'], ['y'], { attributes: [branch('then_branch'), branch('else_branch')] });
    expect(check(model([both, [11, port('w', 7, [1])], ints('w', 1), OUTPUT])).nodes).toBe(3);
  });
});

describe('a file of any size', () => {
  it('is read but for its weights', () => {
    const path = join(MINILM, 'onnx', 'model_int8.onnx');
    const inner = memorySource(readFileSync(path));
    let looked = 0;
    const source: ByteSource = {
      sizeBytes: inner.sizeBytes,
      view(offset, length) {
        looked += length;
        return inner.view(offset, length);
      },
    };
    checkOnnx(source, () => 0);
    expect(inner.sizeBytes).toBeGreaterThan(22_000_000);
    expect(looked).toBeLessThan(1_000_000);
  });

  it('opens when it has 2 GB and more', async () => {
    const path = join(await temporaryFolder(), 'large.onnx');
    const weights = 2 ** 31 + 4096;
    const parts = 4;
    const head = message([[1, 10]]);
    const tensorHead = message([
      [1, weights / parts / 4],
      [2, FLOAT],
    ]);
    const tail = message([OUTPUT]);
    const rawTag = Uint8Array.from([(9 << 3) | 2, ...varint(weights / parts)]);
    const tensors = Array.from({ length: parts }, (_, index) => {
      const name = message([[8, `w${index}`]]);
      const bytes = tensorHead.length + name.length + rawTag.length + weights / parts;
      return Buffer.concat([Uint8Array.from([(5 << 3) | 2, ...varint(bytes)]), tensorHead, name, rawTag]);
    });
    const graphBytes = tensors.reduce((sum, part) => sum + part.length + weights / parts, 0) + tail.length;
    await using handle = await open(path, 'w');
    let at = 0;
    const put = async (bytes: Uint8Array): Promise<void> => {
      await handle.write(bytes, 0, bytes.length, at);
      at += bytes.length;
    };
    await put(Buffer.concat([head, Uint8Array.from([(7 << 3) | 2, ...varint(graphBytes)])]));
    for (const part of tensors) {
      await put(part);
      at += weights / parts;
    }
    await put(tail);
    const before = process.memoryUsage().rss;
    const checked = checkOnnxFile(path);
    expect([checked.tensors, checked.initializers]).toEqual([4, ['w0', 'w1', 'w2', 'w3']]);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
  });

  it('that was damaged in any way passes or is refused, and nothing else happens', () => {
    const smol = readFileSync(join(SMOLLM2, 'onnx', 'model_q4.onnx'));
    const good = [
      tinyGraph('w.bin'),
      laughs(3),
      model([
        floats([2, 2], 16),
        sparse([4, 4], 2, [1, 7]),
        ints('s', 4),
        node('ConstantOfShape', ['s'], ['y']),
        OUTPUT,
      ]),
      smol,
    ];
    const change = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), at: fc.nat(), byte: fc.nat(255) }),
      fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), byte: fc.nat(64) }),
      fc.record({ kind: fc.constant('double' as const), at: fc.nat(), byte: fc.nat(64) }),
    );
    const damaged = fc
      .tuple(fc.constantFrom(...good), fc.array(change, { minLength: 1, maxLength: 6 }))
      .map(([bytes, changes]) => {
        let changed = Buffer.from(bytes);
        for (const { kind, at, byte } of changes) {
          const index = at % changed.length;
          if (kind === 'set') changed[index] = byte;
          else if (kind === 'cut')
            changed = Buffer.concat([changed.subarray(0, index), changed.subarray(index + byte)]);
          else changed = Buffer.concat([changed.subarray(0, index + byte), changed.subarray(index)]);
          if (changed.length === 0) changed = Buffer.of(0);
        }
        return changed;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        try {
          check(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WeftError);
          expect((error as WeftError).code).toBe('model_corrupt');
        }
      }),
      runs(300),
    );
  });
});
