// Reads the profile that ONNX Runtime writes of a session: what every kernel of the top graph took in each run, and the
// tensors that it made. Pure.
import { z } from 'zod';
import { WeftError } from '../../../protocol/errors.ts';
import { byteLength, DataType, type DataTypeName } from '../../../protocol/tensor.ts';

/** What one run says of a tensor. */
export interface TensorSize {
  readonly type: DataTypeName;
  readonly dims: readonly number[];
  readonly bytes: number;
}

/** One run of a graph. */
export interface TracedRun {
  /** Milliseconds by name of the node in the optimised graph; graphs within nodes count with their node. */
  readonly ms: ReadonlyMap<string, number>;
  /** What each node made, in order, without outputs that it leaves out and those that are no tensors. */
  readonly made: ReadonlyMap<string, readonly TensorSize[]>;
}

const Shape = z.record(z.string(), z.array(z.number()));
const Event = z.object({
  cat: z.string(),
  name: z.string(),
  ts: z.number(),
  dur: z.number(),
  args: z.object({ op_name: z.string().optional(), output_type_shape: z.array(Shape).optional() }).optional(),
});
type Event = z.infer<typeof Event>;

const KERNEL = '_kernel_time';

/** Operators that run graphs of their own, whose kernels are listed beside theirs. */
const RUNS_GRAPHS: ReadonlySet<string | undefined> = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);

/** What the runtime calls some element types; the others have ONNX's own names. */
const TYPE_NAMES: Readonly<Record<string, DataTypeName>> = { float: 'float32', double: 'float64' };

/** @param text the file as the runtime wrote it @throws WeftError `internal` for anything else */
export function readTrace(text: string): TracedRun[] {
  const events = eventsIn(text).toSorted((a, b) => a.ts - b.ts || b.dur - a.dur);
  const runs = events.filter(({ cat, name }) => cat === 'Session' && name === 'model_run');
  const kernels = topKernels(events.filter(({ cat, name }) => cat === 'Node' && name.endsWith(KERNEL)));
  let next = 0;
  return runs.map((run) => {
    const ms = new Map<string, number>();
    const made = new Map<string, readonly TensorSize[]>();
    for (let kernel = kernels[next]; kernel !== undefined && kernel.ts <= run.ts + run.dur; kernel = kernels[++next]) {
      if (kernel.ts < run.ts) continue;
      const name = kernel.name.slice(0, -KERNEL.length);
      ms.set(name, (ms.get(name) ?? 0) + kernel.dur / 1000);
      const sizes = (kernel.args?.output_type_shape ?? []).map(sizeOf);
      if (sizes.every((size) => size !== undefined)) made.set(name, sizes);
    }
    return { ms, made };
  });
}

function eventsIn(text: string): Event[] {
  try {
    return z
      .array(z.unknown())
      .parse(JSON.parse(text))
      .flatMap((event) => Event.safeParse(event).data ?? []);
  } catch (cause) {
    throw new WeftError({ code: 'internal', message: 'The runtime wrote no profile that can be read.' }, { cause });
  }
}

/** Those that don't run within another. */
function topKernels(kernels: readonly Event[]): Event[] {
  let outerEnd = Number.NEGATIVE_INFINITY;
  return kernels.filter(({ ts, dur, args }) => {
    if (ts + dur <= outerEnd) return false;
    if (RUNS_GRAPHS.has(args?.op_name)) outerEnd = ts + dur;
    return true;
  });
}

function sizeOf(shape: z.infer<typeof Shape>): TensorSize | undefined {
  const [entry] = Object.entries(shape);
  if (entry === undefined) return undefined;
  const [name, dims] = entry;
  const type = TYPE_NAMES[name] ?? (name as DataTypeName);
  if (!(type in DataType) || type === 'string') return undefined;
  try {
    const bytes = byteLength(type, dims, Number.MAX_SAFE_INTEGER);
    return bytes === undefined ? undefined : { type, dims, bytes };
  } catch {
    return undefined;
  }
}
