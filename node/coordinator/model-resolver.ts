// What a request needs of a model beside its weights: manifest, tokenizer, template. From this node's disk, else from the
// peers that offer the model, so that a node which executes nothing can still coordinate. Called by the tasks.
import { type Manifest, modelRef, parseManifest } from '../../models/manifest.ts';
import { type ModelMetadata, type ModelStore, metadataFiles } from '../../models/store.ts';
import { type FeatureExtractionTask, loadFeatureExtraction } from '../../models/tasks/feature-extraction.ts';
import { loadSpeechRecognition, type SpeechRecognitionTask } from '../../models/tasks/speech-recognition.ts';
import { loadTextGeneration, type TextGenerationTask } from '../../models/tasks/text-generation.ts';
import { loadTextRanking, type TextRankingTask } from '../../models/tasks/text-ranking.ts';
import type { ModelTask } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';
import type { Clock } from '../core/clock.ts';
import type { AvailableModel, Dispatcher } from '../core/dispatcher.ts';
import type { Log } from '../core/log.ts';
import type { FileTransfer } from '../core/transfer.ts';
import { unlessAborted } from '../core/waiting.ts';
import { METADATA_TIMEOUT_MS, TASKS_KEPT_MAX } from './limits.ts';
import { LoadCache } from './load-cache.ts';
import { findModel } from './model-names.ts';

/** Where metadata lies on this node: what the coordinator uses of the model store. */
export type ModelSource = Pick<ModelStore, 'metadata' | 'cacheMetadata'>;

/** A model that is ready to turn text into ids and back. */
export interface Resolved<T> {
  readonly ref: ModelRef;
  readonly task: T;
  /** Where Prep finds the tokenizer. */
  readonly folder: string;
}

export interface ModelResolverComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly dispatcher: Pick<Dispatcher, 'models'>;
  readonly transfer: FileTransfer;
  readonly models: ModelSource;
  readonly self: NodeId;
  /** Number of nodes in reach that take no work of others now, and so offer nothing. */
  readonly withholding: () => number;
}

export class ModelResolver {
  readonly #components: ModelResolverComponents;
  readonly #textGeneration = new LoadCache<Resolved<TextGenerationTask>>({ max: TASKS_KEPT_MAX });
  readonly #featureExtraction = new LoadCache<Resolved<FeatureExtractionTask>>({ max: TASKS_KEPT_MAX });

  readonly #textRanking = new LoadCache<Resolved<TextRankingTask>>({ max: TASKS_KEPT_MAX });
  readonly #speechRecognition = new LoadCache<Resolved<SpeechRecognitionTask>>({ max: TASKS_KEPT_MAX });

  constructor(components: ModelResolverComponents) {
    this.#components = components;
  }

  /** @throws WeftError `model_not_found`, `bad_request` for a model of another task, or why its files can't be had */
  textGeneration(name: string, signal: AbortSignal): Promise<Resolved<TextGenerationTask>> {
    return this.#resolve(name, 'text-generation', this.#textGeneration, loadTextGeneration, signal);
  }

  /** As {@link textGeneration}, for embeddings. */
  featureExtraction(name: string, signal: AbortSignal): Promise<Resolved<FeatureExtractionTask>> {
    return this.#resolve(name, 'feature-extraction', this.#featureExtraction, loadFeatureExtraction, signal);
  }

  /** As {@link textGeneration}, for rerankers. */
  textRanking(name: string, signal: AbortSignal): Promise<Resolved<TextRankingTask>> {
    return this.#resolve(name, 'text-ranking', this.#textRanking, loadTextRanking, signal);
  }

  /** As {@link textGeneration}, for speech. */
  speechRecognition(name: string, signal: AbortSignal): Promise<Resolved<SpeechRecognitionTask>> {
    return this.#resolve(name, 'automatic-speech-recognition', this.#speechRecognition, loadSpeechRecognition, signal);
  }

  async #resolve<T>(
    name: string,
    task: ModelTask,
    cache: LoadCache<Resolved<T>>,
    load: (folder: string, manifest: Manifest) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Resolved<T>> {
    const model = this.#find(name, task);
    const ref = model.offer.model;
    const loading = cache.get(ref.digest, async () => {
      const { manifest, folder } = await this.#metadata(model);
      return { ref, folder, task: await load(folder, manifest) };
    });
    return unlessAborted(loading, signal);
  }

  /**
   * A model of any task, with its manifest where this node has that: nothing is fetched.
   * @throws WeftError `model_not_found`, `no_capable_node`
   */
  graph(name: string): { readonly ref: ModelRef; readonly manifest: Manifest | undefined } {
    const ref = this.#find(name, undefined).offer.model;
    return { ref, manifest: this.#components.models.metadata(ref.digest)?.manifest };
  }

  /** What the model of this name is for. @throws WeftError `model_not_found`, `no_capable_node` */
  taskOf(name: string): ModelTask {
    return this.#find(name, undefined).offer.task;
  }

  #find(name: string, task: ModelTask | undefined): AvailableModel {
    const { dispatcher, self, withholding } = this.#components;
    return findModel(dispatcher.models(), name, task, self, withholding);
  }

  async #metadata(model: AvailableModel): Promise<ModelMetadata> {
    const { clock, log, models, self } = this.#components;
    const { digest, id } = model.offer.model;
    const here = models.metadata(digest);
    if (here !== undefined) return here;
    const sources = model.nodes.filter((node) => node !== self);
    // Not the signal of whoever asked first: others may wait for the same files.
    const controller = new AbortController();
    const timeout = clock.after(METADATA_TIMEOUT_MS, () =>
      controller.abort(
        new WeftError({
          code: 'deadline_exceeded',
          message: `The tokenizer of ${id} did not arrive within ${METADATA_TIMEOUT_MS / 1000} s.`,
        }),
      ),
    );
    try {
      const metadata = await this.#fetch(model.offer.model, sources, controller.signal);
      log.info({ model: id, digest }, 'fetched the metadata of a model');
      return metadata;
    } finally {
      timeout.cancel();
    }
  }

  async #fetch(ref: ModelRef, sources: readonly NodeId[], signal: AbortSignal): Promise<ModelMetadata> {
    const { models, transfer } = this.#components;
    const manifestJson = await unlessAborted(transfer.fetchManifest(ref.digest, sources, signal), signal);
    const manifest = parseManifest(manifestJson);
    if (modelRef(manifest).digest !== ref.digest) {
      throw new WeftError({
        code: 'model_corrupt',
        message: `The manifest of ${ref.id} is not the one it was said to be.`,
      });
    }
    const wanted = metadataFiles(manifest);
    const bytes = wanted.reduce((sum, file) => sum + file.sizeBytes, 0);
    if (bytes > SMALL_FILE_BYTES_MAX) {
      throw new WeftError({
        code: 'unsupported',
        message: `The tokenizer of ${ref.id} has ${bytes} bytes; ${SMALL_FILE_BYTES_MAX} are taken from a peer at most.`,
        remedy: 'Install the model on this node.',
      });
    }
    const files = new Map<string, Uint8Array>();
    // One after the other: they are few and small, and a peer answers only so many reads at a time.
    for (const file of wanted) files.set(file.path, await unlessAborted(transfer.fetch(file, sources, signal), signal));
    return models.cacheMetadata(manifestJson, files);
  }
}
