// Names of devices and meshes come from other machines and end up in terminals and pages: cleaned here, once.

const encoder = new TextEncoder();

/**
 * The text without control, format and unassigned characters (no terminal escapes, no bidirectional overrides), white
 * space collapsed, cut to `bytesMax` UTF-8 bytes between characters.
 * @param fallback what stands for a text of which nothing is left
 */
export function cleanText(text: string, bytesMax: number, fallback = ''): string {
  // The slice bounds the work; no character takes less than a byte, so it never cuts what would have been kept.
  const visible = text
    .slice(0, bytesMax * 4)
    .replace(/\s+/gu, ' ')
    .replace(/\p{C}/gu, '')
    .trim();
  let kept = '';
  let bytes = 0;
  for (const character of visible) {
    bytes += encoder.encode(character).byteLength;
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept.trimEnd() || fallback;
}
