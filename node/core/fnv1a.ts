// A hash for what must come out alike wherever and whenever it is computed, and that nobody gains by steering.

/** FNV-1a of a text's UTF-16 units: 0 up to, not including, 2^32. No protection against whoever looks for collisions. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
