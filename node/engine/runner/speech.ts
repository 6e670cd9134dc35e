// The generator of speech models in Whisper's layout: the encoder runs once for a sound, the decoder token by token with
// its own cache, over keys and values of the encoder's output that are computed once. Runs in a runner process.
import { createHash } from 'node:crypto';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { GenerationSpec, Manifest, SpeechSpec } from '../../../models/manifest.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { elements, type NamedTensor } from '../../../protocol/tensor.ts';
import type { TextGenerator } from './generator.ts';
import { runSession } from './session.ts';
import { allowTokens } from './speech-rules.ts';

/** The graphs of one model. */
export interface SpeechSessions {
  readonly encoder: InferenceSession;
  /** Takes a past where it is merged, and none where the other one is there. */
  readonly decoder: InferenceSession;
  readonly decoderWithPast: InferenceSession | undefined;
}

/** A half of a layer's cache, and where it comes from. */
interface Cache {
  readonly past: string;
  readonly present: string;
}

interface Layout {
  readonly spec: SpeechSpec;
  readonly generation: GenerationSpec;
  readonly features: string;
  readonly hidden: string;
  /** Inputs that the decoder takes first, and later. */
  readonly firstInputs: ReadonlySet<string>;
  readonly laterInputs: ReadonlySet<string>;
  readonly own: readonly Cache[];
  readonly cross: readonly Cache[];
  readonly type: 'float32' | 'float16';
}

/** Listens and writes: opens sequences on one model. */
export class SpeechGenerators {
  readonly #sessions: SpeechSessions;
  readonly #layout: Layout;
  /** What the encoder made of the last sound: asked for again for its language, then for its text. */
  #heard: { readonly digest: string; readonly hidden: Tensor } | undefined;

  /** @throws WeftError `model_load_failed` when the graphs are not of that layout */
  constructor(sessions: SpeechSessions, manifest: Manifest) {
    this.#sessions = sessions;
    this.#layout = readLayout(manifest);
  }

  /** @throws WeftError `bad_request` for a request without a sound */
  open(request: GenerateRequest): TextGenerator {
    const { features, promptLength } = request;
    if (features === undefined)
      throw new WeftError({ code: 'bad_request', message: 'There is no sound to listen to.' });
    return new SpeechGenerator(this.#sessions, this.#layout, { promptLength, hear: () => this.#hear(features) });
  }

  /** Frees the graphs beside the decoder, which its owner frees. */
  async release(): Promise<void> {
    this.#heard = undefined;
    await this.#sessions.encoder.release();
    await this.#sessions.decoderWithPast?.release();
  }

  async #hear(features: NamedTensor): Promise<Tensor> {
    const digest = createHash('sha256').update(features.data).digest('hex');
    if (this.#heard?.digest === digest) return this.#heard.hidden;
    const { hidden: name, features: input } = this.#layout;
    const feeds = { [input]: new Tensor('float32', elements(features) as Float32Array, features.dims) };
    const hidden = (await runSession(this.#sessions.encoder, feeds, [name], 'bad_request'))[name] as Tensor;
    this.#heard = { digest, hidden };
    return hidden;
  }
}

interface SpeechGeneratorInit {
  readonly promptLength: number;
  /** The encoder's output. */
  readonly hear: () => Promise<Tensor>;
}

class SpeechGenerator implements TextGenerator {
  readonly #sessions: SpeechSessions;
  readonly #layout: Layout;
  readonly #init: SpeechGeneratorInit;
  readonly #ids: number[] = [];
  /** Tokens that a run has seen. */
  #length = 0;
  #hidden: Tensor | undefined;
  #own: readonly Tensor[] = [];
  #cross: readonly Tensor[] = [];
  #logits: Tensor | undefined;

  constructor(sessions: SpeechSessions, layout: Layout, init: SpeechGeneratorInit) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#init = init;
  }

  get length(): number {
    return this.#length;
  }

  async prefill(ids: Int32Array): Promise<void> {
    await this.#add(ids);
  }

  async step(ids: Int32Array): Promise<Float32Array> {
    await this.#add(ids);
    const { generation, spec } = this.#layout;
    const data = this.#logits?.data;
    if (!(data instanceof Float32Array) || data.length === 0 || data.length % generation.vocabularySize !== 0) {
      throw new WeftError({ code: 'internal', message: 'The graph gave logits of another shape than its manifest.' });
    }
    const logits = data.subarray(data.length - generation.vocabularySize);
    allowTokens(
      logits,
      { ids: this.#ids, promptLength: this.#init.promptLength, eosId: generation.eosIds[0] ?? 0 },
      spec,
    );
    return logits;
  }

  close(): void {
    for (const tensor of [...this.#own, ...this.#cross]) free(tensor);
    free(this.#logits);
    this.#own = [];
    this.#cross = [];
    this.#logits = undefined;
    this.#hidden = undefined;
  }

  /**
   * The whole prompt in one run, because the graph's first branch takes no past, then token by token: a stream that is
   * resumed repeats the runs that it had.
   */
  async #add(ids: Int32Array): Promise<void> {
    this.#ids.push(...ids);
    const { promptLength } = this.#init;
    if (this.#length === 0 && this.#ids.length >= promptLength) await this.#first(this.#ids.slice(0, promptLength));
    while (this.#length > 0 && this.#length < this.#ids.length) await this.#later(this.#ids[this.#length] as number);
  }

  async #first(ids: readonly number[]): Promise<void> {
    const { own, cross, firstInputs } = this.#layout;
    this.#hidden = await this.#init.hear();
    const nothing = this.#nothing();
    const feeds = this.#feeds(ids, firstInputs, false, () => nothing);
    const names = [...own, ...cross].map(({ present }) => present);
    const results = await runSession(this.#sessions.decoder, feeds, ['logits', ...names], 'bad_request');
    this.#cross = cross.map(({ present }) => results[present] as Tensor);
    this.#take(ids.length, results);
  }

  async #later(id: number): Promise<void> {
    const { own, cross, laterInputs } = this.#layout;
    const past = new Map<string, Tensor>();
    for (const [index, cache] of own.entries()) past.set(cache.past, this.#own[index] as Tensor);
    for (const [index, cache] of cross.entries()) past.set(cache.past, this.#cross[index] as Tensor);
    const feeds = this.#feeds([id], laterInputs, true, (name) => past.get(name) as Tensor);
    const session = this.#sessions.decoderWithPast ?? this.#sessions.decoder;
    // Not those of the encoder's output: with a past, the graph gives nothing in their place.
    const names = own.map(({ present }) => present);
    this.#take(1, await runSession(session, feeds, ['logits', ...names], 'bad_request'));
  }

  #take(count: number, results: InferenceSession.OnnxValueMapType): void {
    for (const tensor of this.#own) free(tensor);
    free(this.#logits);
    this.#own = this.#layout.own.map(({ present }) => results[present] as Tensor);
    this.#logits = results.logits as Tensor;
    this.#length += count;
  }

  #nothing(): Tensor {
    const { type, generation } = this.#layout;
    const empty = type === 'float32' ? new Float32Array(0) : new Uint16Array(0);
    return new Tensor(type, empty, [1, generation.kvHeads, 0, generation.headSize]);
  }

  #feeds(
    ids: readonly number[],
    inputs: ReadonlySet<string>,
    cached: boolean,
    cache: (name: string) => Tensor,
  ): Record<string, Tensor> {
    const feeds: Record<string, Tensor> = {};
    for (const name of inputs) {
      if (name === 'input_ids') feeds[name] = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
      else if (name === 'encoder_hidden_states') feeds[name] = this.#hidden as Tensor;
      else if (name === 'use_cache_branch') feeds[name] = new Tensor('bool', [cached], [1]);
      else if (name === 'cache_position') {
        const at = BigInt64Array.from(ids, (_, index) => BigInt(this.#length + index));
        feeds[name] = new Tensor('int64', at, [ids.length]);
      } else feeds[name] = cache(name);
    }
    return feeds;
  }
}

function readLayout(manifest: Manifest): Layout {
  const { speech: spec, generation, graphs } = manifest;
  const not = (why: string): WeftError =>
    new WeftError({ code: 'model_load_failed', message: `The graphs are not those of a speech model: ${why}.` });
  const encoder = graphs?.encoder;
  if (spec === undefined || generation === undefined || encoder === undefined)
    throw not('its manifest names no encoder');
  const caches = (kind: 'decoder' | 'encoder'): Cache[] =>
    Array.from({ length: generation.layers }, (_, layer) =>
      ['key', 'value'].map((half) => ({
        past: `past_key_values.${layer}.${kind}.${half}`,
        present: `present.${layer}.${kind}.${half}`,
      })),
    ).flat();
  const [own, cross] = [caches('decoder'), caches('encoder')];
  const later = graphs?.decoderWithPast ?? manifest;
  const laterInputs = new Map(later.inputs.map(({ name, type }) => [name, type]));
  const outputs = new Map(manifest.outputs.map(({ name, type }) => [name, type]));
  const laterOutputs = new Set(later.outputs.map(({ name }) => name));
  const type = laterInputs.get(own[0]?.past ?? '');
  if (type !== 'float32' && type !== 'float16') throw not('its cache is neither float32 nor float16');
  if (outputs.get('logits') !== 'float32') throw not('it gives no float32 logits');
  if ([...own, ...cross].some(({ past, present }) => laterInputs.get(past) !== type || !outputs.has(present))) {
    throw not('its cache is not that of its manifest');
  }
  if (own.some(({ present }) => !laterOutputs.has(present))) throw not('its cache is not that of its manifest');
  const known = new Set([
    ...['input_ids', 'encoder_hidden_states', 'use_cache_branch', 'cache_position'],
    ...[...own, ...cross].map(({ past }) => past),
  ]);
  const firstInputs = new Set(manifest.inputs.map(({ name }) => name));
  if ([...firstInputs, ...laterInputs.keys()].some((name) => !known.has(name))) {
    throw not('it takes inputs that are not known');
  }
  const [features, ...others] = encoder.inputs;
  const hidden = encoder.outputs.find(({ name }) => name === 'last_hidden_state');
  if (features?.type !== 'float32' || others.length > 0 || hidden === undefined)
    throw not('its encoder is another kind');
  return {
    spec,
    generation,
    features: features.name,
    hidden: hidden.name,
    firstInputs,
    laterInputs: new Set(laterInputs.keys()),
    own,
    cross,
    type,
  };
}

/** Gives a tensor's memory back at once, as the plain loop of text generators does. */
function free(tensor: Tensor | undefined): void {
  if (tensor === undefined) return;
  const { buffer } = tensor.data as Float32Array | Uint16Array;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
  tensor.dispose();
}
