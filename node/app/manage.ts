// This node, as it is managed: does for each operation of the table what the endpoint of the same path does. For whom is
// decided by whoever calls it: the gateway for who holds the key, node/mesh for admins elsewhere.

import type { z } from 'zod';
import { parseModelName } from '../../models/model-name.ts';
import {
  type AcceptedAnswer,
  type ConfigRequest,
  LOG_LINES_LISTED,
  MANAGED_OPERATIONS,
  type ManagedOperation,
  REQUESTS_LISTED,
} from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import { SETTINGS } from '../config/settings-table.ts';
import { type Clock, delay } from '../core/clock.ts';
import type { NodeControl } from '../core/control.ts';
import type { Coordinator } from '../core/coordinator.ts';
import type { ManagedAnswer, ManagedNode, ManagedOptions } from '../core/manage.ts';
import { keptRequest, requestSummary } from '../gateway/control.ts';
import { parseBody } from '../gateway/parameters.ts';

/** Work that lasts is waited for this long: a name that nobody knows, or a model that is here, is answered by then. */
const MOMENT_MS = 3_000;

/** Work for admins elsewhere that goes on by itself; the library has a bound of its own below this. */
const LASTING_MAX = 64;

export interface ManageableNodeComponents {
  readonly clock: Clock;
  readonly control: NodeControl;
  readonly coordinator: Pick<Coordinator, 'models'>;
}

type Request<Name extends ManagedOperation> = z.output<(typeof MANAGED_OPERATIONS)[Name]['request']>;

type Operations = {
  readonly [Name in ManagedOperation]: (request: Request<Name>, options: ManagedOptions) => unknown;
};

/** The {@link ManagedNode} of an assembled node. */
export class ManageableNode implements ManagedNode {
  readonly #components: ManageableNodeComponents;
  readonly #operations: Operations;
  readonly #lasting = new Map<string, Promise<unknown>>();

  constructor(components: ManageableNodeComponents) {
    this.#components = components;
    this.#operations = this.#table(components);
  }

  async perform(operation: ManagedOperation, request: unknown, options: ManagedOptions): Promise<ManagedAnswer> {
    const row = MANAGED_OPERATIONS[operation];
    // Each operation takes what its own schema gives, which the compiler can't tie together over all rows.
    const perform = this.#operations[operation] as (request: unknown, options: ManagedOptions) => unknown;
    const checked: unknown = parseBody<z.ZodType>(row.request, request);
    if (!('lasting' in row)) return { status: 200, body: await perform(checked, options) };
    return this.#last(`${operation} ${JSON.stringify(checked)}`, () => perform(checked, options), options.signal);
  }

  #table({ control, coordinator }: ManageableNodeComponents): Operations {
    /** Of work that goes on when its caller has left: it ends by itself, and with the node. */
    const unending = new AbortController().signal;
    return {
      status: () => control.status(),
      ps: () => ({ models: control.loaded() }),
      config: () => control.config(),
      configure: (changes, { caller }) => {
        if (caller !== undefined) refuseLocal(changes);
        return control.configure(changes);
      },
      models: () => ({ models: coordinator.models().filter(({ nodes }) => nodes.some(({ self }) => self)) }),
      model: ({ model }) => control.model(model),
      pull: (request, { caller }) => {
        if (caller !== undefined) refusePath(request.model);
        return control.library.pull(request, { signal: unending });
      },
      load: ({ model, pin = false }, { signal }) => control.load(model, { pin, signal }),
      unload: ({ model }) => control.unload(model),
      remove: ({ model }) => control.remove(model),
      verify: async ({ model, repair = true }) => ({
        models: await control.library.verify(model, { repair, signal: unending }),
      }),
      transfers: () => ({ transfers: control.library.transfers() }),
      cancel: ({ id }) => ({ id, cancelled: control.library.cancel(id) }),
      logs: ({ level, limit = LOG_LINES_LISTED.usual }) => ({
        lines: control.logs(level === undefined ? { limit } : { level, limit }),
      }),
      doctor: (_request, { signal }) => control.doctor(signal),
      requests: ({ limit = REQUESTS_LISTED.usual }) => ({
        requests: control.requests().slice(0, limit).map(requestSummary),
      }),
      request: ({ id }) => keptRequest(control, id),
      cuts: ({ model, again }, { signal }) => control.cuts(model, { again: again === 'true', signal }),
      restart: (_request, { afterwards }) => {
        afterwards(() => control.restart());
        return { restarting: true };
      },
    };
  }

  /** Work that may take hours: one of a kind at a time, whose end is waited for a moment. */
  async #last(key: string, begin: () => unknown, signal: AbortSignal): Promise<ManagedAnswer> {
    const done = this.#lasting.get(key) ?? this.#begin(key, begin);
    const waited = new AbortController();
    try {
      const moment = delay(this.#components.clock, MOMENT_MS, AbortSignal.any([signal, waited.signal]));
      const accepted: AcceptedAnswer = { accepted: true };
      return await Promise.race([
        done.then((body): ManagedAnswer => ({ status: 200, body })),
        moment.then((): ManagedAnswer => ({ status: 202, body: accepted })),
      ]);
    } finally {
      waited.abort();
    }
  }

  #begin(key: string, begin: () => unknown): Promise<unknown> {
    if (this.#lasting.size >= LASTING_MAX) {
      throw new WeftError({ code: 'overloaded', message: `${LASTING_MAX} transfers run or wait already.` });
    }
    const done = Promise.resolve(begin());
    this.#lasting.set(key, done);
    // What it failed with stands in the transfers, and whoever still waits is told.
    const end = (): void => void this.#lasting.delete(key);
    done.then(end, end);
    return done;
  }
}

/** @throws WeftError `forbidden` for settings that only who is at the node changes */
function refuseLocal(changes: z.output<typeof ConfigRequest>): void {
  const rows: Readonly<Record<string, { readonly local: boolean }>> = SETTINGS;
  const name = Object.keys(changes).find((given) => Object.hasOwn(rows, given) && rows[given]?.local === true);
  if (name === undefined) return;
  throw new WeftError({
    code: 'forbidden',
    message: `The setting "${name}" is changed at the node itself only.`,
    remedy: `Run \`weft config set ${name} …\` on that machine.`,
    facts: { setting: name, param: name },
  });
}

/** A path would make a model, which every member may read, of files on this machine. @throws WeftError `forbidden` */
function refusePath(model: string): void {
  if (parseModelName(model)?.kind !== 'path') return;
  throw new WeftError({
    code: 'forbidden',
    message: 'Files of a machine are made a model at that machine only.',
    remedy: 'Name a model of the hub or of the mesh, or run `weft import` there.',
    facts: { param: 'model' },
  });
}
