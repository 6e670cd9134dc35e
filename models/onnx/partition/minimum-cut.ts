// Minimum s-t cut of a directed network by Dinic's algorithm (1970): phases of shortest ways, each filled until it is
// blocked. The judge of cuts, and what finds the narrowest place of a cone.

/** Where all flow comes from, and where it goes to. */
export const SOURCE = 0;
export const SINK = 1;

/** A network under construction; {@link FlowNetwork.cut} uses it up. */
export class FlowNetwork {
  #nodes = 2;
  /** Arcs in pairs: each beside the one that takes its flow back. */
  readonly #to: number[] = [];
  readonly #left: number[] = [];
  readonly #next: number[] = [];
  readonly #first: number[] = [-1, -1];

  /** @returns its number */
  addNode(): number {
    this.#first.push(-1);
    return this.#nodes++;
  }

  /** @param capacity ≥ 0; Infinity for an arc that no cut may cross from its beginning to its end */
  addArc(from: number, to: number, capacity: number): void {
    this.#push(from, to, capacity);
    this.#push(to, from, 0);
  }

  /**
   * The cheapest way to part the source from the sink.
   * @returns its price, Infinity when there is none, and the nodes on the sink's side: of all cheapest cuts the one with
   *   the fewest of them
   */
  cut(): { readonly value: number; readonly far: ReadonlySet<number> } {
    let value = 0;
    for (let levels = this.#levels(); levels[SINK] !== -1; levels = this.#levels()) {
      const places = [...this.#first];
      for (let pushed = this.#fill(levels, places); pushed > 0; pushed = this.#fill(levels, places)) {
        if (pushed === Number.POSITIVE_INFINITY) return { value: pushed, far: new Set() };
        value += pushed;
      }
    }
    return { value, far: this.#reachesSink() };
  }

  #push(from: number, to: number, capacity: number): void {
    this.#next.push(this.#first[from] as number);
    this.#first[from] = this.#to.length;
    this.#to.push(to);
    this.#left.push(capacity);
  }

  /** Steps from the source over arcs with room; −1 where there is no way. */
  #levels(): Int32Array {
    const levels = new Int32Array(this.#nodes).fill(-1);
    levels[SOURCE] = 0;
    const queue = [SOURCE];
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at] as number;
      for (let arc = this.#first[node] as number; arc !== -1; arc = this.#next[arc] as number) {
        const to = this.#to[arc] as number;
        if ((this.#left[arc] as number) <= 0 || levels[to] !== -1) continue;
        levels[to] = (levels[node] as number) + 1;
        queue.push(to);
      }
    }
    return levels;
  }

  /** Sends as much as one way takes. @returns how much; 0 when all ways are blocked */
  #fill(levels: Int32Array, places: number[]): number {
    const way: number[] = [];
    let node = SOURCE;
    while (node !== SINK) {
      const arc = places[node] as number;
      if (arc === -1) {
        const back = way.pop();
        if (back === undefined) return 0;
        node = this.#to[back ^ 1] as number;
        places[node] = this.#next[places[node] as number] as number;
        continue;
      }
      const to = this.#to[arc] as number;
      if ((this.#left[arc] as number) > 0 && levels[to] === (levels[node] as number) + 1) {
        way.push(arc);
        node = to;
      } else {
        places[node] = this.#next[arc] as number;
      }
    }
    const pushed = way.reduce((least, arc) => Math.min(least, this.#left[arc] as number), Number.POSITIVE_INFINITY);
    if (pushed === Number.POSITIVE_INFINITY) return pushed;
    for (const arc of way) {
      this.#left[arc] = (this.#left[arc] as number) - pushed;
      this.#left[arc ^ 1] = (this.#left[arc ^ 1] as number) + pushed;
    }
    return pushed;
  }

  /** Nodes from which flow could still reach the sink. */
  #reachesSink(): Set<number> {
    const far = new Set([SINK]);
    for (const node of far) {
      for (let arc = this.#first[node] as number; arc !== -1; arc = this.#next[arc] as number) {
        if ((this.#left[arc ^ 1] as number) > 0) far.add(this.#to[arc] as number);
      }
    }
    return far;
  }
}
