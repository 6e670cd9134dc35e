// How well a graph suits a device: which precisions are fast there, which don't run, and whether it fits. Pure; called by
// choose-files.
import type { Device } from '../protocol/capability.ts';
import type { GraphVariant, Precision } from './graph-variants.ts';

/** What decides the speed: tokens one by one, bound by reading weights; or whole texts and sounds, bound by arithmetic. */
export type Work = 'generate' | 'encode';

/** A place where the model could run. */
export interface Target {
  readonly kind: Device['kind'];
  /** For sentences: "the processor". */
  readonly name: string;
  /** For sentences: "on the processor". */
  readonly where: string;
  /** What models may take there; infinite where nobody knows. */
  readonly budgetBytes: number;
}

export interface Judgement {
  /** Lower is better, on this target. */
  readonly rank: number;
  /** The part of it that precision decides. */
  readonly place: number;
  readonly fits: boolean;
  /** False: it would run on the processor instead, or not at all. */
  readonly able: boolean;
  readonly neededBytes: number;
  /** "4-bit weights". */
  readonly weights: string;
  /** What speaks for it, or why it isn't able. */
  readonly merit: string;
  /** Why another graph of the same precision is taken before. */
  readonly drawback: string | undefined;
}

/**
 * Memory per byte of weights, and beside them: what the engine reserves for a load that was never measured (weights as
 * they lie on disk and as the runtime packs them, one sequence's keys and values, a run; 2.5 + 10 %, and 64 MiB for the
 * process), so that what is chosen is also admitted. SmolLM2 q4 takes 2.0 on a processor.
 */
const NEEDED_PER_BYTE = 2.75;
const NEEDED_BASE_BYTES = 96 << 20;

/** Of a device's own memory; the engine leaves as much to driver and screen. */
const DEVICE_MEMORY_SHARE = 0.9;

/**
 * Precisions by speed. On a processor a token costs the reading of all weights, so few bits win (SmolLM2: 80 to 100
 * tokens/s in 4 bits); whole texts cost arithmetic, for which processors have 8-bit instructions. Halves are converted there
 * at each step. GPUs compute in halves, and have no kernels for the 8-bit operators of dynamic quantisation.
 */
const ORDER: Readonly<Record<'cpu' | 'gpu', Readonly<Record<Work, readonly Precision[]>>>> = {
  cpu: {
    generate: ['q4', 'int8', 'q4f16', 'fp32', 'fp16', 'q8f16', 'bnb4', 'bf16', 'q2', 'q2f16', 'q1', 'q1f16'],
    encode: ['int8', 'q4', 'fp32', 'q4f16', 'fp16', 'q8f16', 'bnb4', 'bf16', 'q2', 'q2f16', 'q1', 'q1f16'],
  },
  gpu: {
    generate: ['q4f16', 'fp16', 'q4', 'fp32', 'bf16', 'q2f16', 'q2', 'q1f16', 'q1'],
    encode: ['fp16', 'fp32', 'q4f16', 'q4', 'bf16', 'q2f16', 'q2', 'q1f16', 'q1'],
  },
};

/** CoreML has no operator for weights in blocks of few bits. */
const IN_BLOCKS: ReadonlySet<Precision> = new Set(['q4', 'q4f16', 'q2', 'q2f16', 'q1', 'q1f16']);

const WEIGHTS: Readonly<Record<Precision, string>> = {
  fp32: 'weights in single precision',
  fp16: 'weights in half precision',
  bf16: 'bfloat16 weights',
  int8: '8-bit weights',
  uint8: '8-bit weights (unsigned)',
  q8f16: '8-bit weights with activations in half precision',
  q4: '4-bit weights',
  q4f16: '4-bit weights with activations in half precision',
  bnb4: '4-bit weights (NF4)',
  q2: '2-bit weights',
  q2f16: '2-bit weights with activations in half precision',
  q1: '1-bit weights',
  q1f16: '1-bit weights with activations in half precision',
};

/** Where models can run, the best first: devices by their memory, and the processor last. */
export function targetsOf(machine: { readonly devices: readonly Device[]; readonly memoryBytes: number }): Target[] {
  const others = machine.devices
    .filter(({ kind }) => kind !== 'cpu')
    .map((device): Target => {
      const budgetBytes = device.memoryBytes > 0 ? Math.floor(device.memoryBytes * DEVICE_MEMORY_SHARE) : Infinity;
      return { kind: device.kind, name: device.kind, where: `on the GPU (${device.kind})`, budgetBytes };
    })
    .sort((a, b) => known(b) - known(a));
  return [
    ...others,
    { kind: 'cpu', name: 'the processor', where: 'on the processor', budgetBytes: Math.max(0, machine.memoryBytes) },
  ];
}

const known = ({ budgetBytes }: Target): number => (Number.isFinite(budgetBytes) ? budgetBytes : 0);

/** @param arch of the processor, as Node names it */
export function judge(variant: GraphVariant, target: Target, work: Work, arch: string | undefined): Judgement {
  const { precision, device, processor, optimised, graph } = variant;
  const order = ORDER[target.kind === 'cpu' ? 'cpu' : 'gpu'][work];
  const found = order.indexOf(precision === 'uint8' ? 'int8' : precision);
  const place = found < 0 ? order.length : found;
  const isFor = device === undefined || device === target.kind || (device === 'gpu' && target.kind !== 'cpu');
  const isKnown = found >= 0 && !(target.kind === 'coreml' && IN_BLOCKS.has(precision));
  const neededBytes = Math.ceil(variant.sizeBytes * NEEDED_PER_BYTE) + NEEDED_BASE_BYTES;
  return {
    // Precision decides; among equals the plain file, in the usual folder.
    rank:
      place * 100 +
      (processor === undefined ? 0 : isSafeOn(variant, arch) ? 20 : UNSAFE_RANK * (processor === arch ? 1 : 2)) +
      (precision === 'uint8' ? 5 : 0) +
      (optimised ? 45 : 0) +
      (graph.startsWith('onnx/') ? 0 : device === target.kind ? 1 : 2),
    place,
    fits: neededBytes <= target.budgetBytes,
    able: isFor && isKnown,
    neededBytes,
    weights: WEIGHTS[precision],
    merit: !isFor
      ? `is written for ${device === 'gpu' ? 'a GPU' : device === 'cpu' ? 'the processor' : device}`
      : isKnown
        ? merit(precision, target, work)
        : `${WEIGHTS[precision]} are not computed on ${target.name}`,
    drawback: drawbackOf(variant, arch),
  };
}

/** Behind every other precision. */
const UNSAFE_RANK = 10_000;

/**
 * Graphs quantised for AVX-512 use all 8 bits, and their sums saturate on processors without VNNI, which nobody here knows:
 * they are for those who ask for them. Those for AVX2 keep a bit free.
 */
function isSafeOn({ processor, label }: GraphVariant, arch: string | undefined): boolean {
  return processor === undefined || (processor === arch && !/avx512|vnni/i.test(label));
}

function drawbackOf(variant: GraphVariant, arch: string | undefined): string | undefined {
  if (!isSafeOn(variant, arch)) return 'needs instructions that not every processor has';
  if (variant.processor !== undefined) return 'is made for processors with certain instructions';
  if (variant.optimised) return 'was optimised beforehand, which the runtime does itself';
  if (variant.precision === 'uint8') return 'is the unsigned form of the same';
  return variant.graph.startsWith('onnx/') ? undefined : 'lies outside of onnx/, where the hub keeps graphs';
}

function merit(precision: Precision, target: Target, work: Work): string {
  const { kind, name } = target;
  if (kind !== 'cpu') {
    if (precision === 'fp16' || precision === 'q4f16') return `half precision runs on ${name}`;
    return `there is nothing in half precision, which ${name} would prefer, that fits`;
  }
  if (precision === 'q4' && work === 'generate') return 'few bits are the fastest to generate with on a processor';
  if (precision === 'int8' || precision === 'uint8') return '8-bit arithmetic is fast on a processor';
  if (/f16|fp16/.test(precision)) return 'halves are converted at every step on a processor, but nothing better fits';
  return 'it is the best of those that fit on the processor';
}
