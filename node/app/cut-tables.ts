// The tables of cuts of this node's models, for dispatch: those that the engine has measured, and new ones for requests that
// come again, measured when there is nothing else to do. Made by the composition root.
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import type { CutTables } from '../core/cut-tables.ts';
import type { LocalEngine } from '../core/engine.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Log } from '../core/log.ts';

export interface EngineCutTablesComponents {
  readonly log: Log;
  readonly engine: Pick<LocalEngine, 'cuts' | 'cutsObserved' | 'offers'>;
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

  known(model: ModelRef, inputs: readonly NamedTensor[]): CutTable | undefined {
    const key = keyOf(model, inputs);
    const table = this.#known.get(key);
    if (table === undefined) this.#wish(key, model, inputs);
    return table;
  }

  async measure(
    model: ModelRef,
    options: { readonly signal: AbortSignal; readonly inputs?: readonly NamedTensor[]; readonly again?: boolean },
  ): Promise<CutTable> {
    const { signal, inputs, again } = options;
    const table = await this.#components.engine.cuts(model, {
      signal,
      ...(inputs !== undefined && { sample: inputs }),
      ...(again !== undefined && { refresh: again }),
    });
    if (inputs !== undefined) this.#keep(keyOf(model, inputs), table);
    return table;
  }

  observed(table: CutTable, part: ObservedPart): void {
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
  #wish(key: string, model: ModelRef, inputs: readonly NamedTensor[]): void {
    const { log, engine } = this.#components;
    if (!this.#init.measures() || !engine.offers().some((offer) => offer.model.digest === model.digest)) return;
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
    this.#measuring = this.measure(model, { signal, inputs })
      .then(
        () => undefined,
        (error: unknown) => log.debug({ model: model.id, error }, 'where a model can be cut was not measured'),
      )
      .finally(() => {
        this.#measuring = undefined;
      });
  }

  #keep(key: string, table: CutTable): void {
    this.#known.delete(key);
    this.#known.set(key, table);
    keepNewest(this.#known, REMEMBERED_MAX);
  }
}

function keyOf({ digest }: ModelRef, inputs: readonly NamedTensor[]): string {
  const shapes = inputs.map(({ name, type, dims }) => [name, type, ...dims]);
  return JSON.stringify([digest, ...shapes.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))]);
}
