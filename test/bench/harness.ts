// What every benchmark shares: interleaved rounds, medians, raw samples, one JSON object at the end.
import { cpus, totalmem } from 'node:os';

/** What one benchmark hands back. Figures are the numbers that are quoted; samples are everything measured. */
export interface BenchResult {
  readonly figures: Readonly<Record<string, number>>;
  /** For each series its raw samples, in the order in which they were taken. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export interface BenchOptions {
  /** Rounds over all contenders; at least 7 for a figure that is quoted. */
  readonly rounds: number;
  /** Threads of every runtime session. */
  readonly threads: number;
  /** The weights for llama.cpp, where that is a contender. */
  readonly gguf: string | undefined;
  /** Progress lines, for people. */
  readonly say: (line: string) => void;
}

export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  /** Where none are asked for. @default 1 */
  readonly threads?: number;
  run(options: BenchOptions): Promise<BenchResult>;
}

/** Middle value; the mean of the two middle ones where the count is even. @throws RangeError for none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('No samples.');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** The machine that the figures are from. */
export function machine(): Record<string, string | number> {
  const processors = cpus();
  return {
    platform: `${process.platform}-${process.arch}`,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

/**
 * Runs every contender once per round, in an order that rotates, so that drift of the machine meets all alike.
 * @param contenders by name: each does its work once and returns its samples for that round
 * @returns for each contender its samples, one array per round
 */
export async function interleave(
  rounds: number,
  contenders: Readonly<Record<string, () => Promise<readonly number[]>>>,
): Promise<Record<string, (readonly number[])[]>> {
  const names = Object.keys(contenders);
  const results: Record<string, (readonly number[])[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as string;
      results[name]?.push(await (contenders[name] as () => Promise<readonly number[]>)());
    }
  }
  return results;
}

/** Milliseconds that each of `count` calls took, one after the other. */
export async function timeEach(count: number, call: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index++) {
    const start = performance.now();
    await call();
    samples.push(performance.now() - start);
  }
  return samples;
}

/** Milliseconds until `count` calls are done, `inFlight` of them at a time. */
export async function timeAll(count: number, inFlight: number, call: () => Promise<unknown>): Promise<number> {
  let left = count;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(inFlight, count) }, async () => {
      while (left-- > 0) await call();
    }),
  );
  return performance.now() - start;
}

/** Rounded for reading: three digits behind the point. */
export const rounded = (value: number): number => Math.round(value * 1000) / 1000;
