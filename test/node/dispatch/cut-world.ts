// A graph that is nothing but its table of cuts: every tensor's value follows from those that its segment uses, so that parts
// on whatever nodes must give what the whole gives.
import type { CutTables } from '../../../node/core/cut-tables.ts';
import type { CutTable, ObservedPart } from '../../../protocol/cut-table.ts';
import type { RunRequest } from '../../../protocol/infer.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { SMOL } from '../scheduler/builders.ts';

/** Four segments: x → a → b → c → y, where s goes from the first to the last but one, and m comes from outside to the third. */
export const TABLE: CutTable = {
  model: SMOL,
  shapes: 'm:float32[1];x:float32[1]',
  segments: [0.1, 0.3, 0.3, 0.3].map((share) => ({ share, weightBytes: 10e6, nodes: 3 })),
  shared: [],
  tensors: [
    { name: 'x', type: 'float32', dims: [1], bytes: 4, from: -1, to: [0] },
    { name: 'm', type: 'float32', dims: [1], bytes: 4, from: -1, to: [2] },
    { name: 'a', type: 'float32', dims: [1], bytes: 4, from: 0, to: [1] },
    { name: 's', type: 'float32', dims: [1], bytes: 4, from: 0, to: [2] },
    { name: 'b', type: 'float32', dims: [1], bytes: 4, from: 1, to: [2] },
    { name: 'c', type: 'float32', dims: [1], bytes: 4, from: 2, to: [3] },
    { name: 'y', type: 'float32', dims: [1], bytes: 4, from: 3, to: [], output: true },
  ],
  wholeMs: 400,
  partFixedMs: 1,
  partMsPerMb: 1,
  device: 'cpu',
  version: '0',
  measuredAtMs: 0,
};

export const tensorOf = (name: string, value: number): NamedTensor => ({
  name,
  type: 'float32',
  dims: [1],
  data: new Uint8Array(Float32Array.of(value).buffer),
});

export const numberOf = ({ data }: NamedTensor): number =>
  new Float32Array(data.buffer, data.byteOffset, 1)[0] ?? Number.NaN;

export const RUN_X: RunRequest = { model: SMOL, inputs: [tensorOf('x', 3), tensorOf('m', 5)], outputs: [] };

/** What the graph, or a part of it, gives. */
export function compute({ inputs, part }: RunRequest): NamedTensor[] {
  const held = new Map(inputs.map((tensor) => [tensor.name, numberOf(tensor)]));
  const value = (name: string): number => {
    const known = held.get(name);
    if (known !== undefined) return known;
    const { from } = TABLE.tensors.find((tensor) => tensor.name === name) ?? { from: -1 };
    if (from < 0) throw new Error(`nothing gives ${name}`);
    const uses = TABLE.tensors.filter(({ to }) => to.includes(from)).map((tensor) => value(tensor.name));
    return (uses.reduce((sum, use) => sum * 7 + use, name.charCodeAt(0)) + from) % 10_007;
  };
  return (part?.outputs ?? ['y']).map((name) => tensorOf(name, value(name)));
}

export interface FakeTables extends CutTables {
  /** Measurements that were asked for. */
  measured: number;
  /** Parts that ran here. */
  readonly ran: ObservedPart[];
}

/** @param known whether it was measured before */
export function tables(known: boolean, table = TABLE): FakeTables {
  const made: FakeTables = {
    measured: 0,
    ran: [],
    observed: (_table, part) => made.ran.push(part),
    known: () => (known ? table : undefined),
    measure: async () => {
      made.measured++;
      return table;
    },
  };
  return made;
}
