// How alike embeddings are. Pure.

/** Cosines of all pairs: symmetric, 1 where both are the same vector. A vector of zeros is like nothing. */
export function similarities(vectors: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const lengths = vectors.map((vector) => Math.hypot(...vector));
  return vectors.map((left, row) =>
    vectors.map((right, column) => {
      const scale = (lengths[row] ?? 0) * (lengths[column] ?? 0);
      if (scale === 0) return 0;
      let sum = 0;
      for (let at = 0; at < left.length; at += 1) sum += (left[at] ?? 0) * (right[at] ?? 0);
      return Math.max(-1, Math.min(1, sum / scale));
    }),
  );
}

export interface Pair {
  readonly first: number;
  readonly second: number;
  readonly similarity: number;
}

/** The most alike of different texts, most alike first. */
export function nearestPairs(matrix: readonly (readonly number[])[], max: number): readonly Pair[] {
  return matrix
    .flatMap((row, first) =>
      row.slice(first + 1).map((similarity, at): Pair => ({ first, second: first + 1 + at, similarity })),
    )
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, max);
}

/** One text a line; empty lines count for nothing. */
export const textsOf = (lines: string): readonly string[] =>
  lines
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
