// Owns a request from text to text, from sound to text, or from tensors to tensors, on a node that may have no weights at all. The gateway's only way into the node.
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock, Random } from '../core/clock.ts';
import type {
  AnswerEvents,
  AnswerResult,
  ChatRequest,
  CompletionRequest,
  Coordinator,
  EmbedAnswer,
  EmbedRequest,
  ModelListing,
  PlanAnswer,
  PlanRequest,
  RequestOptions,
  RerankAnswer,
  RerankRequest,
  TensorAnswer,
  TensorRequest,
  TranscribeAnswer,
  TranscribeEvents,
  TranscribeRequest,
} from '../core/coordinator.ts';
import type { AvailableModel, Dispatcher } from '../core/dispatcher.ts';
import type { Log } from '../core/log.ts';
import type { Prep } from '../core/prep.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { FileTransfer } from '../core/transfer.ts';
import { embed } from './feature-extraction.ts';
import { formsOf, listable } from './model-names.ts';
import { ModelResolver, type ModelSource } from './model-resolver.ts';
import { plan } from './planning.ts';
import { SoundRoom } from './sound.ts';
import { transcribe } from './speech-recognition.ts';
import { run } from './tensor.ts';
import { chat, complete } from './text-generation.ts';
import { rerank } from './text-ranking.ts';

export interface TextCoordinatorComponents {
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly dispatcher: Dispatcher;
  readonly prep: Pick<Prep, 'tokenize'>;
  /** Another process than `prep`: an hour of sound shall not hold up a text. */
  readonly hearing: Pick<Prep, 'listen'>;
  readonly transfer: FileTransfer;
  readonly models: ModelSource;
  /** A node's name for people; its id where it has none. */
  readonly nodeName: (node: NodeId) => string;
  readonly self: NodeId;
  /** Number of nodes in reach that take no work of others now, and so offer nothing. */
  readonly withholding: () => number;
}

export class TextCoordinator implements Coordinator {
  readonly #components: TextCoordinatorComponents & { readonly resolver: ModelResolver; readonly soundRoom: SoundRoom };

  constructor(components: TextCoordinatorComponents) {
    this.#components = { ...components, resolver: new ModelResolver(components), soundRoom: new SoundRoom() };
  }

  models(): readonly ModelListing[] {
    const { dispatcher, nodeName, self } = this.#components;
    const models = dispatcher.models();
    const nodesOf = ({ nodes, states }: AvailableModel): ModelListing['nodes'] =>
      nodes.map((node, index) => ({
        node,
        name: nodeName(node),
        state: states[index] ?? 'disk',
        self: node === self,
      }));
    return listable(models, self).map((model) => {
      const { offer } = model;
      const forms = formsOf(models, offer.model.id, self);
      return {
        id: offer.model.id,
        aliases: offer.aliases,
        task: offer.task,
        contextLength: offer.contextLength,
        dimensions: offer.dimensions,
        sizeBytes: offer.sizeBytes,
        nodes: nodesOf(model),
        ...(offer.precision !== undefined && { precision: offer.precision }),
        ...(forms.length > 0 && {
          forms: forms.map(({ form, model: one }) => ({ form, sizeBytes: one.offer.sizeBytes, nodes: nodesOf(one) })),
        }),
      };
    });
  }

  chat(request: ChatRequest, options: RequestOptions, events: AnswerEvents): Promise<AnswerResult> {
    return chat(this.#components, request, options, events);
  }

  complete(request: CompletionRequest, options: RequestOptions, events: AnswerEvents): Promise<AnswerResult> {
    return complete(this.#components, request, options, events);
  }

  embed(request: EmbedRequest, options: RequestOptions): Promise<EmbedAnswer> {
    return embed(this.#components, request, options);
  }

  rerank(request: RerankRequest, options: RequestOptions): Promise<RerankAnswer> {
    return rerank(this.#components, request, options);
  }

  transcribe(request: TranscribeRequest, options: RequestOptions, events: TranscribeEvents): Promise<TranscribeAnswer> {
    return transcribe(this.#components, request, options, events);
  }

  run(request: TensorRequest, options: RequestOptions): Promise<TensorAnswer> {
    return run(this.#components, request, options);
  }

  plan(request: PlanRequest, options: RequestOptions): Promise<PlanAnswer> {
    return plan(this.#components, request, options);
  }
}
