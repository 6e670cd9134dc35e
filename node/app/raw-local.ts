// Models whose inputs stay on this node, whatever their requests say: the setting `rawLocal`. Stands in front of dispatch.
import { parseModelName } from '../../models/model-name.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import type {
  AvailableModel,
  ConsideredCut,
  Dispatcher,
  PlacedOptions,
  Placement,
  WorkRequests,
} from '../core/dispatcher.ts';

export interface RawLocalComponents {
  readonly dispatcher: Dispatcher;
  /** Names of models as the setting has them. Asked for every request. */
  readonly names: () => readonly string[];
}

/** A request may ask for more to stay, and never for less: names of some inputs become all of them. */
export class RawLocalDispatcher implements Dispatcher {
  readonly #components: RawLocalComponents;

  constructor(components: RawLocalComponents) {
    this.#components = components;
  }

  run(request: RunRequest, options: PlacedOptions): Promise<RunResult & Placement> {
    return this.#components.dispatcher.run(request, this.#ruled(request, options));
  }

  encode(request: EncodeRequest, options: PlacedOptions): Promise<EncodeResult & Placement> {
    return this.#components.dispatcher.encode(request, this.#ruled(request, options));
  }

  generate(request: GenerateRequest, options: PlacedOptions, onTokens: OnTokens): Promise<GenerateResult & Placement> {
    return this.#components.dispatcher.generate(request, this.#ruled(request, options), onTokens);
  }

  plan<Kind extends keyof WorkRequests>(
    kind: Kind,
    request: WorkRequests[Kind],
    options: Pick<PlacedOptions, 'rawLocal'> = {},
  ): WholePlan {
    return this.#components.dispatcher.plan(kind, request, this.#ruled(request, options));
  }

  planCut(
    request: RunRequest,
    options: Pick<PlacedOptions, 'cut' | 'rawLocal' | 'signal'>,
  ): Promise<ConsideredCut | undefined> {
    return this.#components.dispatcher.planCut(request, this.#ruled(request, options));
  }

  models(): readonly AvailableModel[] {
    return this.#components.dispatcher.models();
  }

  inFlight(): number {
    return this.#components.dispatcher.inFlight();
  }

  #ruled<Options extends Pick<PlacedOptions, 'rawLocal'>>(
    { model }: { readonly model: ModelRef },
    options: Options,
  ): Options {
    const { dispatcher, names } = this.#components;
    const aliases = (): readonly string[] =>
      dispatcher.models().find(({ offer }) => offer.model.digest === model.digest)?.offer.aliases ?? [];
    return names().some((name) => isNamed(model.id, name, aliases)) ? { ...options, rawLocal: true } : options;
  }
}

/** By hub id, short name, or the last part of an id. Where two models have that, both are meant: what stays can't be taken back. */
function isNamed(id: string, name: string, aliases: () => readonly string[]): boolean {
  const parsed = parseModelName(name);
  const wanted = [name, ...(parsed?.kind === 'hub' ? [parsed.id] : [])].map((text) => text.toLowerCase());
  const ids = [id, id.slice(id.lastIndexOf('/') + 1)].map((text) => text.toLowerCase());
  return ids.some((one) => wanted.includes(one)) || aliases().some((alias) => wanted.includes(alias.toLowerCase()));
}
