// The headers that say what of a request stays on this node, and where its graph may be cut. Read by the gateway, written by
// the command line.

/** `local`: nothing that the request brings leaves this node. `local:NAME,NAME`: these inputs of its graph don't. */
export const RAW_HEADER = 'x-weft-raw';

/**
 * `auto`, `never`, or the cut points: `PLACE,PLACE`. Behind it, each once and in any order: `;on=NODE,NODE` where only some nodes
 * may have a part, `;steady` for one of a stream of requests, `;compress` where tensors may lose a little on their way.
 */
export const CUT_HEADER = 'x-weft-cut';

/** Names, or places, of one header: more than any plan has parts. */
export const LOCAL_NAMES_MAX = 64;

/** What must not leave: as `PlacedOptions.rawLocal` of node/core. */
export type RawLocal = true | readonly string[];

/** Where a graph is cut, and how: as `CutWish` of node/core, with nodes by id or name. */
export type CutWords = 'auto' | 'never' | CutWay;

export interface CutWay {
  readonly at?: readonly (number | string)[];
  readonly on?: readonly string[];
  readonly steady?: true;
  readonly compress?: true;
}

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
  const at = cut.at?.map((place) =>
    typeof place === 'number' ? String(place) : `tensor:${encodeURIComponent(place)}`,
  );
  const on = cut.on === undefined ? [] : [`on=${cut.on.map(encodeURIComponent).join(',')}`];
  const flags = FLAGS.filter((flag) => cut[flag] === true);
  return [at?.join(',') ?? 'auto', ...on, ...flags].join(';');
}

const FLAGS = ['steady', 'compress'] as const;

/**
 * A whole number is a cut point, anything else a tensor; `tensor:` stands before one whose name is a number, or a word of
 * this header. Undefined for a text that is no value of it.
 * @example parseCut('auto'), parseCut('3'), parseCut('tensor:123'), parseCut('/encoder/Add_output_0;on=laptop,server')
 */
export function parseCut(text: string): CutWords | undefined {
  if (text === 'auto' || text === 'never') return text;
  const [places = '', ...ways] = text.split(';');
  const way = wayOf(ways.map((one) => one.trim()));
  if (way === undefined || places === 'never') return undefined;
  if (places === 'auto') return ways.length === 0 ? undefined : way;
  const at = listOf(places)?.map(placeOf);
  return at?.includes('') === false ? { at, ...way } : undefined;
}

/** Undefined where one is none, or said twice. */
function wayOf(texts: readonly string[]): Omit<CutWay, 'at'> | undefined {
  let way: Omit<CutWay, 'at'> = {};
  for (const text of texts) {
    const flag = FLAGS.find((one) => one === text);
    const on = text.startsWith('on=') ? listOf(text.slice('on='.length)) : undefined;
    if (flag !== undefined && way[flag] === undefined) way = { ...way, [flag]: true };
    else if (on !== undefined && way.on === undefined) way = { ...way, on };
    else return undefined;
  }
  return way;
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
