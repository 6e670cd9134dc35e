// Runs graphs and chains of their parts, and compares what they give.
import { create } from '@bufbuild/protobuf';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { type ModelProto, ModelProtoSchema, ValueInfoProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import type { CutChain } from '../../../../models/onnx/partition/plan-cuts.ts';
import { GraphSources } from '../../../../models/onnx/partition/sources.ts';
import type { NodeCosts } from '../../../../models/onnx/partition/step-graph.ts';
import { asBits } from '../../../../node/engine/runner/half-bits.ts';
import { partBetween } from '../../../../protocol/cut-table.ts';
import type { GraphPart } from '../../../../protocol/part.ts';
import type { DataTypeName } from '../../../../protocol/tensor.ts';

export type Tensors = Readonly<Record<string, Tensor>>;

/** Runs a model whose weights lie in that folder, if not in itself. */
export async function run(model: ModelProto, feeds: Tensors, folder?: string): Promise<Tensors> {
  const session = await open(writeModel(model), {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(folder !== undefined && {
      extra: { session: { model_external_initializers_file_folder_path: folder } },
    }),
  });
  try {
    const named = session.inputNames.map((name) => [name, asBits(feeds[name] as Tensor)]);
    return (await session.run(Object.fromEntries(named))) as unknown as Tensors;
  } finally {
    await session.release();
  }
}

/** The runtime's extended optimizer breaks some graphs, whole or not: it removes what only an If captures (1.30). */
function open(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
  return InferenceSession.create(bytes, options).catch((error: unknown) => {
    if (!String(error).includes('is not a graph input, initializer, or output of a previous node')) throw error;
    return InferenceSession.create(bytes, { ...options, graphOptimizationLevel: 'basic' });
  });
}

/** What a run makes of every tensor of the top graph that is one; sequences and the like are left out. */
export async function runAll(model: ModelProto, feeds: Tensors, folder?: string): Promise<Tensors> {
  const { graph } = model;
  if (graph === undefined) throw new Error('no graph');
  const own = new Set(graph.output.map(({ name }) => name));
  const inner = graph.node.flatMap(({ output }) => output).filter((name) => name !== '' && !own.has(name));
  const output = [...graph.output, ...inner.map((name) => create(ValueInfoProtoSchema, { name }))];
  const all = create(ModelProtoSchema, { ...fieldsOf(model), graph: { ...fieldsOf(graph), output } });
  return { ...feeds, ...(await run(all, feeds, folder)) };
}

const fieldsOf = <T extends { $typeName: string; $unknown?: unknown }>({
  $typeName: _,
  $unknown: __,
  ...fields
}: T): Omit<T, '$typeName' | '$unknown'> => fields;

/** Runs parts one after another, each on what those before it gave. */
export async function runParts(
  model: ModelProto,
  parts: readonly GraphPart[],
  feeds: Tensors,
  folder?: string,
): Promise<Tensors> {
  let tensors = feeds;
  for (const part of parts) tensors = { ...tensors, ...(await run(extractPart(model, part), tensors, folder)) };
  return tensors;
}

/** Equal exactly, or up to a ten-thousandth of the largest number. */
export function expectSame(actual: Tensors, expected: Tensors, exactly: boolean): void {
  for (const [name, wanted] of Object.entries(expected)) {
    const got = actual[name] as Tensor;
    expect([name, got.type, got.dims]).toEqual([name, wanted.type, wanted.dims]);
    if (exactly || !wanted.type.startsWith('float'))
      expect([name, [...plain(got)]]).toEqual([name, [...plain(wanted)]]);
    else expect(drift(got, wanted), name).toBeLessThan(1e-4);
  }
}

/** Largest difference, as a share of the largest number. */
export function drift(actual: Tensor, expected: Tensor): number {
  const [a, b] = [actual.data as Float32Array, expected.data as Float32Array];
  let [most, largest] = [0, 1e-6];
  for (const [index, value] of b.entries()) {
    // Infinities must stand in the same places.
    if (!Number.isFinite(value)) {
      if (!Object.is(a[index], value)) return Number.POSITIVE_INFINITY;
      continue;
    }
    most = Math.max(most, Math.abs((a[index] as number) - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return most / largest;
}

/** −0 and 0 are one number. */
const plain = ({ data }: Tensor): readonly unknown[] =>
  Array.from(data as ArrayLike<unknown>, (value) => (value === 0 ? 0 : value));

/** The parts of a graph between these places in the order of its nodes, as they stand in the file. */
export function partsAt(model: ModelProto, places: readonly number[], types: Tensors): GraphPart[] {
  const sources = new GraphSources(model);
  const { node, output, input } = sources.graph;
  const ends = [...places, node.length];
  const segmentOf = new Map<string, number>(input.map(({ name }) => [name, -1]));
  const taken = new Map<string, Set<number>>();
  const live = new Set(output.map(({ name }) => name));
  const chosen = [...node].reverse().filter((each) => {
    if (!each.output.some((name) => live.has(name))) return false;
    for (const name of sources.uses(each)) live.add(name);
    return true;
  });
  for (const each of chosen) {
    const segment = ends.findIndex((end) => node.indexOf(each) < end);
    for (const name of each.output) segmentOf.set(name, segment);
    for (const name of sources.uses(each)) taken.set(name, (taken.get(name) ?? new Set()).add(segment));
  }
  const outputs = new Set(output.map(({ name }) => name));
  return ends.flatMap((_, segment) => {
    const inputs = [...taken].filter(
      ([name, users]) => users.has(segment) && (segmentOf.get(name) ?? segment) < segment,
    );
    const gives = [...segmentOf].filter(
      ([name, made]) =>
        made === segment && (outputs.has(name) || [...(taken.get(name) ?? [])].some((user) => user > segment)),
    );
    if (gives.length === 0) return [];
    const types_ = inputs.map(([name]) => ({ name, type: types[name]?.type as DataTypeName }));
    return [{ inputs: types_, outputs: gives.map(([name]) => name) }];
  });
}

/** Costs of a graph by what a run made of it; times by names, in milliseconds. */
export function costsOf(tensors: Tensors, ms: (output: string) => number = () => 1): NodeCosts {
  return {
    ms,
    tensor: (name) => {
      const tensor = tensors[name];
      if (tensor === undefined) return undefined;
      const { type, dims, data } = tensor;
      const bytes = type === 'string' ? 8 * data.length : (data as Uint8Array).byteLength;
      return { type: type as DataTypeName, dims: dims.map((_, axis) => `${name}:${axis}`), bytes };
    },
  };
}

/** Parts between these segments of a chain, those left out that have nothing to give. */
export function partsOf(chain: CutChain, cuts: readonly number[]): GraphPart[] {
  const ends = [0, ...cuts, chain.segments.length];
  return ends
    .slice(1)
    .map((end, index) => partBetween(chain, ends[index] as number, end))
    .filter(({ outputs }) => outputs.length > 0);
}
