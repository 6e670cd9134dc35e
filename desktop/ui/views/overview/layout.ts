// Where nodes stand on the map: this node in the middle, the others on the places of a woven pattern (rows that are set off by half a
// place) around it, nearest first. A node keeps its place while others come and go. Pure.

export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface MapForm {
  readonly kind: 'labelled' | 'full' | 'compact';
  /** Pixels of one place. */
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly nodeWidth: number;
  readonly nodeHeight: number;
}

/** Cards with links that have labels, cards, or names alone: by how many there are to show. */
const FORMS: readonly (MapForm & { readonly peersMax: number })[] = [
  { peersMax: 6, kind: 'labelled', cellWidth: 300, cellHeight: 156, nodeWidth: 196, nodeHeight: 90 },
  { peersMax: 14, kind: 'full', cellWidth: 214, cellHeight: 124, nodeWidth: 196, nodeHeight: 90 },
  {
    peersMax: Number.POSITIVE_INFINITY,
    kind: 'compact',
    cellWidth: 132,
    cellHeight: 56,
    nodeWidth: 120,
    nodeHeight: 38,
  },
];

export function formFor(peers: number): MapForm {
  return FORMS.find(({ peersMax }) => peers <= peersMax) ?? (FORMS.at(-1) as MapForm);
}

/** Maps are wider than high: places beside the middle come before those above and below it. */
const FLATNESS = 1.9;

/** Place number `slot` of the pattern in units of a cell, the middle left out; the same for ever. */
const places: Place[] = [];

function placesUpTo(count: number): readonly Place[] {
  if (places.length >= count) return places;
  // All places of a square that holds more than enough of the nearest ones.
  const reach = Math.ceil(Math.sqrt(count) * 1.6) + 2;
  const all: (Place & { readonly far: number; readonly turn: number })[] = [];
  for (let row = -reach; row <= reach; row += 1) {
    for (let column = -reach; column <= reach; column += 1) {
      if (row === 0 && column === 0) continue;
      const x = column + (row % 2 === 0 ? 0 : 0.5);
      const angle = Math.atan2(row, x);
      // Those that are equally far come in opposite pairs, so that few nodes don't all stand on one side.
      const turn =
        Math.min(Math.abs(angle), Math.PI - Math.abs(angle)) + (row * x > 0 ? 0.01 : 0) + (x < 0 ? 0.001 : 0);
      all.push({ x, y: row, far: Math.round(Math.hypot(x, row * (FLATNESS / 2)) * 100), turn });
    }
  }
  all.sort((a, b) => a.far - b.far || a.turn - b.turn);
  places.length = 0;
  places.push(...all.slice(0, count + 16).map(({ x, y }) => ({ x, y })));
  return places;
}

/**
 * Slots of these nodes: those that had one keep it, new ones take the first that are free, in the order given.
 * @param before slots so far, which may hold nodes that have gone
 */
export function assignSlots(
  before: ReadonlyMap<string, number>,
  nodes: readonly string[],
): ReadonlyMap<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const node of nodes) {
    const slot = before.get(node);
    // After many have gone, nodes at the edge move in: a map with holes helps nobody.
    if (slot === undefined || slot >= nodes.length * 2 + 6) continue;
    slots.set(node, slot);
    taken.add(slot);
  }
  let next = 0;
  for (const node of nodes) {
    if (slots.has(node)) continue;
    while (taken.has(next)) next += 1;
    slots.set(node, next);
    taken.add(next);
  }
  return slots;
}

/** Middle of a slot in pixels, with this node at 0, 0. */
export function placeOf(slot: number, { cellWidth, cellHeight }: MapForm): Place {
  const place = placesUpTo(slot + 1)[slot] ?? { x: 0, y: 0 };
  return { x: place.x * cellWidth, y: place.y * cellHeight };
}
