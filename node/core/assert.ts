// Broken invariants, never input: what a peer or a person sends is validated instead.

/** @throws Error when an invariant of this code does not hold */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${invariant}`);
}
