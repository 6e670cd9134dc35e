// The bound of a map that would grow for ever: of caches and ledgers in all layers.

/**
 * Forgets what was set first, beyond so many entries. Whoever wants the least recently used one to go first deletes an entry
 * and sets it anew at each use.
 */
export function keepNewest<K>(map: Map<K, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
