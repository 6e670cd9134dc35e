// The tables of cuts, for dispatch: of this node's models those that the engine has measured, and new ones for requests that
// come again, measured when there is nothing else to do; of others those of peers. Made by the composition root.
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { CutTables, TableWish } from '../core/cut-tables.ts';
import type { LocalEngine } from '../core/engine.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Log } from '../core/log.ts';
import type { PeerCutTables } from './peer-cut-tables.ts';

export interface EngineCutTablesComponents {
  readonly log: Log;
  readonly engine: Pick<LocalEngine, 'cuts' | 'cutsObserved' | 'offers'>;
  /** Of models that this node doesn't run. */
  readonly peers: Pick<PeerCutTables, 'ask'>;
}

export interface EngineCutTablesInit {
  /** Whether tables are measured that nobody has asked for. Asked each time. */
  readonly measures: () => boolean;
}

/** Tables, and shapes that were asked for, that are remembered: the engine keeps all of them on disk. */
const REMEMBERED_MAX = 64;

/** Parts that run before a table is corrected by them: one may have met a busy machine. */
const OBSERVED_MIN = 8;

/** Requests of the same shapes before they are measured: most inputs of changing length never come again. */
const ASKED_MIN = 3;

export class EngineCutTables implements CutTables {
  readonly #components: EngineCutTablesComponents;
  readonly #init: EngineCutTablesInit;
  readonly #known = new Map<string, CutTable>();
  readonly #asked = new Map<string, number>();
  readonly #observed = new WeakMap<CutTable, ObservedPart[]>();
  readonly #stopped = new AbortController();
  #measuring: Promise<void> | undefined;

  constructor(components: EngineCutTablesComponents, init: EngineCutTablesInit) {
    this.#components = components;
    this.#init = init;
  }

  known(model: ModelRef, wish: TableWish): CutTable | undefined {
    const key = keyOf(model, wish);
    const table = this.#known.get(key);
    if (table === undefined) this.#wish(key, model, wish);
    return table;
  }

  async measure(
    model: ModelRef,
    options: TableWish & { readonly signal: AbortSignal; readonly urgent?: boolean; readonly again?: boolean },
  ): Promise<CutTable> {
    const { signal, inputs, raw, urgent, again } = options;
    const key = keyOf(model, options);
    if (!this.#isHere(model)) {
      const known = again === true ? undefined : this.#known.get(key);
      const table = known ?? (await this.#components.peers.ask(model, options, signal));
      this.#keep(key, table);
      return table;
    }
    const table = await this.#components.engine.cuts(model, {
      signal,
      ...(inputs !== undefined && { sample: inputs }),
      ...(raw !== undefined && { raw }),
      ...(urgent !== undefined && { urgent }),
      ...(again !== undefined && { refresh: again }),
    });
    if (inputs !== undefined) this.#keep(key, table);
    return table;
  }

  observed(table: CutTable, part: ObservedPart): void {
    // It tells of another device.
    if (table.node !== undefined) return;
    const parts = [...(this.#observed.get(table) ?? []), part];
    this.#observed.set(table, parts);
    if (parts.length !== OBSERVED_MIN) return;
    this.#components.engine.cutsObserved(table, parts).then(
      (corrected) => {
        for (const [key, known] of this.#known) if (known === table) this.#keep(key, corrected);
      },
      (error: unknown) => this.#components.log.warn({ error }, 'a table of cuts was not corrected'),
    );
  }

  /** Ends what is being measured. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#measuring;
  }

  /** Counts the request, and begins a measurement where the same has come often enough and none is under way. */
  #wish(key: string, model: ModelRef, wish: TableWish): void {
    const { log } = this.#components;
    if (!this.#init.measures() || !this.#isHere(model)) return;
    const asked = (this.#asked.get(key) ?? 0) + 1;
    this.#asked.delete(key);
    this.#asked.set(key, asked);
    keepNewest(this.#asked, REMEMBERED_MAX);
    // Once alone: a graph that can't be measured now can't be a moment later.
    if (asked !== ASKED_MIN) return;
    if (this.#measuring !== undefined) {
      this.#asked.set(key, asked - 1);
      return;
    }
    const { signal } = this.#stopped;
    this.#measuring = this.measure(model, { ...wish, signal })
      .then(
        () => undefined,
        (error: unknown) => log.debug({ model: model.id, error }, 'where a model can be cut was not measured'),
      )
      .finally(() => {
        this.#measuring = undefined;
      });
  }

  #isHere({ digest }: ModelRef): boolean {
    return this.#components.engine.offers().some(({ model }) => model.digest === digest);
  }

  #keep(key: string, table: CutTable): void {
    this.#known.delete(key);
    this.#known.set(key, table);
    keepNewest(this.#known, REMEMBERED_MAX);
  }
}

function keyOf({ digest }: ModelRef, { inputs = [], raw = [] }: TableWish): string {
  const shapes = inputs.map(({ name, type, dims }) => [name, type, ...dims]);
  return JSON.stringify([digest, shapes.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)), raw.toSorted()]);
}
