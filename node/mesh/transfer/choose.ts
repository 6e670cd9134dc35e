// Which chunk is read from which source next: pure, over a snapshot, so that every rule can be tested by itself and the
// same state always gives the same answer.

/** A source as the decision sees it: usable now, and what it has is known. */
export interface SourceView {
  readonly has: (chunk: number) => boolean;
  /** Chunks, and their bytes, that it has been asked for and not given. */
  readonly outstanding: number;
  readonly outstandingBytes: number;
  /** Chunks that it may be asked for at once; see {@link laneCount}. */
  readonly lanes: number;
  /** Undefined until something came from it. */
  readonly bytesPerSecond: number | undefined;
  /** From asking to the first byte, at best. Undefined as above. */
  readonly latencyMs: number | undefined;
}

/** A chunk that is being read. */
export interface ReadView {
  readonly chunk: number;
  readonly bytes: number;
  /** Index into the sources; undefined for one that is no longer usable. */
  readonly source: number | undefined;
  readonly ageMs: number;
}

export interface Snapshot {
  /** Chunks that nobody reads yet, rarest first; see {@link rarestFirst}. */
  readonly queue: readonly number[];
  readonly bytesOf: (chunk: number) => number;
  readonly sources: readonly SourceView[];
  /** Oldest first; a chunk that two sources read is there twice. */
  readonly reads: readonly ReadView[];
  /** Read or being written, duplicates included. */
  readonly inFlightBytes: number;
  readonly inFlightBytesMax: number;
}

/** Read this chunk from the source of this index. */
export interface Choice {
  readonly chunk: number;
  readonly source: number;
}

/** A second reader must promise to be there in this share of the first one's time: its bytes are a waste otherwise. */
const DOUBLING_GAIN = 0.5;

/**
 * The next chunk to read, if any may be read now: the rarest from the source with most lanes to spare; when all are being
 * read, the oldest of them a second time from an idle source that is done with it sooner.
 */
export function nextRead(snapshot: Snapshot): Choice | undefined {
  const { queue, sources } = snapshot;
  const order = sources
    .map((source, index) => ({ source, index }))
    .filter(({ source }) => source.outstanding < source.lanes)
    .sort((a, b) => share(a.source) - share(b.source) || speed(b.source) - speed(a.source) || a.index - b.index);
  for (const { source, index } of order) {
    const chunk = queue.find((waiting) => source.has(waiting));
    if (chunk === undefined) continue;
    return fits(snapshot, chunk) ? { chunk, source: index } : undefined;
  }
  return secondReader(snapshot, order);
}

const share = ({ outstanding, lanes }: SourceView): number => outstanding / lanes;
const speed = ({ bytesPerSecond = 0 }: SourceView): number => bytesPerSecond;

function fits({ inFlightBytes, inFlightBytesMax, bytesOf }: Snapshot, chunk: number): boolean {
  return inFlightBytes === 0 || inFlightBytes + bytesOf(chunk) <= inFlightBytesMax;
}

function secondReader(
  snapshot: Snapshot,
  order: readonly { readonly source: SourceView; readonly index: number }[],
): Choice | undefined {
  const readers = new Map<number, number>();
  for (const { chunk } of snapshot.reads) readers.set(chunk, (readers.get(chunk) ?? 0) + 1);
  for (const read of snapshot.reads) {
    if (readers.get(read.chunk) !== 1 || !fits(snapshot, read.chunk)) continue;
    const leftMs = timeLeftMs(read, snapshot.sources);
    for (const { source, index } of order) {
      if (index === read.source || source.outstanding > 0 || !source.has(read.chunk)) continue;
      if (timeOfMs(source, read.bytes) < DOUBLING_GAIN * leftMs) return { chunk: read.chunk, source: index };
    }
  }
  return undefined;
}

/** Until a chunk that is asked for now is here; endless while nothing is known of the source. */
function timeOfMs({ bytesPerSecond, latencyMs = 0, outstandingBytes }: SourceView, bytes: number): number {
  if (bytesPerSecond === undefined || bytesPerSecond <= 0) return Number.POSITIVE_INFINITY;
  return latencyMs + ((outstandingBytes + bytes) * 1_000) / bytesPerSecond;
}

/** Until a read is done, at its source's speed; of one that has sent nothing, as long again as it has taken. */
function timeLeftMs(read: ReadView, sources: readonly SourceView[]): number {
  const source = read.source === undefined ? undefined : sources[read.source];
  if (source === undefined) return Number.POSITIVE_INFINITY;
  if (source.bytesPerSecond === undefined) return read.ageMs;
  if (source.bytesPerSecond <= 0) return Number.POSITIVE_INFINITY;
  return (source.outstandingBytes * 1_000) / source.bytesPerSecond;
}

/** A lane more for each so many milliseconds of latency… */
const LANE_LATENCY_MS = 20;

/** …but no more than keep a slow source busy for so long. */
const LANES_AHEAD_MS = 1_500;

/**
 * How many chunks a source may have under way: twice what fills the way to it, its rate times its latency. A rate that is
 * held down by too few lanes shows itself only when there are more (as BBR's window does; Cardwell et al., 2016), and every
 * lane's window grows by itself, once a round trip: a far source has more of them from the start.
 */
export function laneCount(
  source: Pick<SourceView, 'bytesPerSecond' | 'latencyMs'>,
  init: { readonly chunkBytes: number; readonly lanesMin: number; readonly lanesMax: number },
): number {
  const { bytesPerSecond, latencyMs = 0 } = source;
  const lanesIn = (ms: number): number => Math.ceil(((bytesPerSecond ?? 0) * ms) / 1_000 / init.chunkBytes);
  const far = init.lanesMin + Math.floor(latencyMs / LANE_LATENCY_MS);
  const begun = bytesPerSecond === undefined ? far : Math.min(far, lanesIn(LANES_AHEAD_MS));
  return Math.max(1, Math.min(init.lanesMax, Math.max(init.lanesMin, begun, lanesIn(2 * latencyMs))));
}

/** These chunks, those that the fewest sources have first; chunks that equally many have keep their order. */
export function rarestFirst(
  chunks: readonly number[],
  sources: readonly { readonly has: (chunk: number) => boolean }[],
): number[] {
  const count = new Map(chunks.map((chunk) => [chunk, sources.filter(({ has }) => has(chunk)).length]));
  return chunks.toSorted((a, b) => (count.get(a) ?? 0) - (count.get(b) ?? 0));
}

/**
 * Silence after which a source has stalled: four times as long as what it owes should take, and some more.
 * @param init.stallMs the least; @param init.stallMsMax the most; @param init.stallUnmeasuredMs before its first byte
 */
export function stallAfterMs(
  source: Pick<SourceView, 'bytesPerSecond' | 'latencyMs' | 'outstandingBytes'>,
  init: { readonly stallMs: number; readonly stallMsMax: number; readonly stallUnmeasuredMs: number },
): number {
  const { bytesPerSecond, latencyMs = 0, outstandingBytes } = source;
  if (bytesPerSecond === undefined) return init.stallUnmeasuredMs;
  const owedMs = latencyMs + (bytesPerSecond > 0 ? (outstandingBytes * 1_000) / bytesPerSecond : init.stallMsMax);
  return Math.min(init.stallMsMax, init.stallMs + 4 * owedMs);
}
