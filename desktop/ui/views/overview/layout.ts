// Where nodes stand on the map: this node in the middle, the others on the places of a woven pattern (rows that are set off by half a
// place) around it, nearest first. A node keeps its place while others come and go. Pure.

export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface MapForm {
  readonly kind: 'labelled' | 'full' | 'brief' | 'compact';
  /** Pixels of one place. */
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly nodeWidth: number;
  readonly nodeHeight: number;
  /** How far a row is from the middle, in columns: maps are wider than high. */
  readonly rowCost: number;
}

/** Cards with links that have labels, cards, names with what they hold, or names alone: by how many there are to show. */
const FORMS: readonly (MapForm & { readonly peersMax: number })[] = [
  { peersMax: 6, kind: 'labelled', cellWidth: 300, cellHeight: 156, nodeWidth: 196, nodeHeight: 90, rowCost: 1.3 },
  { peersMax: 12, kind: 'full', cellWidth: 214, cellHeight: 124, nodeWidth: 196, nodeHeight: 90, rowCost: 1.6 },
  { peersMax: 20, kind: 'brief', cellWidth: 184, cellHeight: 74, nodeWidth: 168, nodeHeight: 50, rowCost: 1 },
  {
    peersMax: Number.POSITIVE_INFINITY,
    kind: 'compact',
    cellWidth: 132,
    cellHeight: 56,
    nodeWidth: 120,
    nodeHeight: 38,
    rowCost: 0.9,
  },
];

export function formFor(peers: number): MapForm {
  return FORMS.find(({ peersMax }) => peers <= peersMax) ?? (FORMS.at(-1) as MapForm);
}

/** Places in units of a cell, the middle left out, nearest first; for ever the same. By the cost of a row. */
const known = new Map<number, readonly Place[]>();

function placesUpTo(count: number, rowCost: number): readonly Place[] {
  const before = known.get(rowCost) ?? [];
  if (before.length >= count) return before;
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
      all.push({ x, y: row, far: Math.round(Math.hypot(x, row * rowCost) * 100), turn });
    }
  }
  all.sort((a, b) => a.far - b.far || a.turn - b.turn);
  const places = all.slice(0, count + 16).map(({ x, y }) => ({ x, y }));
  known.set(rowCost, places);
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
export function placeOf(slot: number, { cellWidth, cellHeight, rowCost }: MapForm): Place {
  const place = placesUpTo(slot + 1, rowCost)[slot] ?? { x: 0, y: 0 };
  return { x: place.x * cellWidth, y: place.y * cellHeight };
}
