// The headers that say what of a request stays on this node, and where its graph may be cut. Read by the gateway, written by
// the command line.

/** `local`: nothing that the request brings leaves this node. `local:NAME,NAME`: these inputs of its graph don't. */
export const RAW_HEADER = 'x-weft-raw';

/** `auto`, `never`, or the cut points: `PLACE,PLACE`. */
export const CUT_HEADER = 'x-weft-cut';

/** Names, or places, of one header: more than any plan has parts. */
export const LOCAL_NAMES_MAX = 64;

/** What must not leave: as `PlacedOptions.rawLocal` of node/core. */
export type RawLocal = true | readonly string[];

/** Where a graph is cut: as `CutWish` of node/core. */
export type CutWords = 'auto' | 'never' | { readonly at: readonly (number | string)[] };

/** The header's value. Names are percent-encoded where a comma or a space in them would be taken for an end. */
export function formatRaw(raw: RawLocal): string {
  return raw === true ? 'local' : `local:${raw.map(encodeURIComponent).join(',')}`;
}

/** Undefined for a text that is no value of the header. */
export function parseRaw(text: string): RawLocal | undefined {
  if (text === 'local') return true;
  return text.startsWith('local:') ? listOf(text.slice('local:'.length)) : undefined;
}

export function formatCut(cut: CutWords): string {
  if (typeof cut === 'string') return cut;
  return cut.at
    .map((place) => (typeof place === 'number' ? String(place) : `tensor:${encodeURIComponent(place)}`))
    .join(',');
}

/**
 * A whole number is a cut point, anything else a tensor; `tensor:` stands before one whose name is a number, or a word of
 * this header. Undefined for a text that is no value of it.
 * @example parseCut('auto'), parseCut('3'), parseCut('tensor:123'), parseCut('/encoder/Add_output_0')
 */
export function parseCut(text: string): CutWords | undefined {
  if (text === 'auto' || text === 'never') return text;
  const at = listOf(text)?.map(placeOf);
  return at?.includes('') === false ? { at } : undefined;
}

function placeOf(text: string): number | string {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  return text.startsWith('tensor:') ? text.slice('tensor:'.length) : text;
}

/** Undefined where one is empty or wrongly encoded, or there are too many. */
function listOf(text: string): string[] | undefined {
  const parts = text.split(',');
  if (parts.length > LOCAL_NAMES_MAX || parts.some((part) => part.trim() === '')) return undefined;
  try {
    return parts.map((part) => decodeURIComponent(part.trim()));
  } catch {
    return undefined; // a percent sign that begins no byte
  }
}
