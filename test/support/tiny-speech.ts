// A speech model of a few kilobytes in Whisper's layout on the hub, with seeded weights: 2 s of sound at a time, 8 mel bins,
// two layers, bytes as tokens. What it writes is gibberish of letters, the same for the same sound.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildManifest } from '../../models/build-manifest.ts';
import type { InstalledModel } from '../../models/installed.ts';
import { modelRef } from '../../models/manifest.ts';
import { TensorProto_DataType as DataType, type GraphProto } from '../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../models/onnx/tensors.ts';
import { byteOfCharacter } from '../../models/tasks/byte-level.ts';
import { GraphBuilder } from './graph-builder.ts';
import { SeededRandom } from './seeded.ts';

const WIDTH = 8;
const HEADS = 2;
const LAYERS = 2;
const BINS = 8;
const FRAMES = 200;
const POSITIONS = 64;
const HEAD_SIZE = WIDTH / HEADS;

/** Ids of the tokens that aren't bytes; times follow, one for every 0.02 s. */
export const TINY_SPEECH = {
  eos: 256,
  start: 257,
  en: 258,
  de: 259,
  translate: 260,
  transcribe: 261,
  previous: 262,
  noSpeech: 263,
  noTimestamps: 264,
  firstTime: 265,
  frames: FRAMES,
  bins: BINS,
} as const;
const VOCABULARY = TINY_SPEECH.firstTime + FRAMES / 2 + 1;

export interface TinySpeechInit {
  /** `apart`: one decoder without a past, one with. @default 'merged' */
  readonly layout?: 'merged' | 'apart';
  /** It was taught languages and translation. @default true */
  readonly multilingual?: boolean;
}

/** Writes it to ROOT/owner/tiny-whisper, manifest included. */
export async function tinySpeech(root: string, init: TinySpeechInit = {}): Promise<InstalledModel> {
  const { layout = 'merged', multilingual = true } = init;
  const folder = join(root, 'owner', 'tiny-whisper');
  await mkdir(join(folder, 'onnx'), { recursive: true });
  const files: Record<string, string | Uint8Array> = {
    LICENSE: 'MIT License\n\nFor tests.\n',
    'config.json': JSON.stringify({
      model_type: 'whisper',
      architectures: ['WhisperForConditionalGeneration'],
      d_model: WIDTH,
      decoder_layers: LAYERS,
      decoder_attention_heads: HEADS,
      vocab_size: VOCABULARY,
      num_mel_bins: BINS,
      max_source_positions: FRAMES / 2,
      max_target_positions: POSITIONS,
      eos_token_id: TINY_SPEECH.eos,
      decoder_start_token_id: TINY_SPEECH.start,
    }),
    'preprocessor_config.json': JSON.stringify({
      feature_size: BINS,
      sampling_rate: 16_000,
      n_fft: 400,
      hop_length: 160,
    }),
    'generation_config.json': JSON.stringify({
      is_multilingual: multilingual,
      no_timestamps_token_id: TINY_SPEECH.noTimestamps,
      max_initial_timestamp_index: 10,
      // Everything but letters and the space.
      suppress_tokens: [
        ...[...Array(256).keys()].filter((byte) => !/[a-z ]/.test(String.fromCharCode(byte))),
        ...[TINY_SPEECH.start, TINY_SPEECH.en, TINY_SPEECH.de, TINY_SPEECH.translate, TINY_SPEECH.transcribe],
        ...[TINY_SPEECH.previous, TINY_SPEECH.noSpeech],
      ],
      begin_suppress_tokens: [32, TINY_SPEECH.eos],
    }),
    'tokenizer.json': JSON.stringify(tokenizerJson()),
    'tokenizer_config.json': JSON.stringify({ eos_token: '<|endoftext|>' }),
    'onnx/encoder_model.onnx': encoder(),
    ...(layout === 'merged'
      ? { 'onnx/decoder_model_merged.onnx': mergedDecoder() }
      : { 'onnx/decoder_model.onnx': decoder(false), 'onnx/decoder_with_past_model.onnx': decoder(true) }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const manifest = await buildManifest(folder);
  await writeFile(join(folder, 'weft-manifest.json'), JSON.stringify(manifest));
  return { ref: modelRef(manifest), manifest, folder, aliases: [] };
}

function tokenizerJson(): object {
  const characters = [...Array(0x180).keys()].filter((code) => byteOfCharacter(code) !== undefined);
  const vocab = Object.fromEntries(characters.map((code) => [String.fromCharCode(code), byteOfCharacter(code)]));
  const special = [
    ...[
      [TINY_SPEECH.eos, 'endoftext'],
      [TINY_SPEECH.start, 'startoftranscript'],
    ],
    ...[
      [TINY_SPEECH.en, 'en'],
      [TINY_SPEECH.de, 'de'],
    ],
    ...[
      [TINY_SPEECH.translate, 'translate'],
      [TINY_SPEECH.transcribe, 'transcribe'],
    ],
    ...[
      [TINY_SPEECH.previous, 'startofprev'],
      [TINY_SPEECH.noSpeech, 'nospeech'],
    ],
    [TINY_SPEECH.noTimestamps, 'notimestamps'],
  ].map(([id, name]) => ({ id, content: `<|${name}|>`, special: true }));
  const times = Array.from({ length: FRAMES / 2 + 1 }, (_, index) => ({
    id: TINY_SPEECH.firstTime + index,
    content: `<|${(index * 0.02).toFixed(2)}|>`,
    special: false,
  }));
  return {
    version: '1.0',
    added_tokens: [...special, ...times],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: [] },
  };
}

/** Weights by name, the same in every graph of the model. */
function weights(name: string, dims: readonly number[], scale: number): Float32Array {
  let seed = 7;
  for (const character of name) seed = (seed * 31 + character.charCodeAt(0)) % 0x7fff_ffff;
  const random = new SeededRandom(seed);
  return Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => (random.next() * 2 - 1) * scale);
}

const weight = (graph: GraphBuilder, name: string, dims: readonly number[], scale = 0.7): string =>
  graph.floats(dims, weights(name, dims, scale));

function encoder(): Uint8Array {
  const graph = new GraphBuilder();
  const spectra = graph.op('Transpose', ['input_features'], { perm: [0n, 2n, 1n] });
  const heard = graph.op('Tanh', [graph.op('MatMul', [spectra, weight(graph, 'heard', [BINS, WIDTH])])]);
  const half = graph.op('Slice', [heard, graph.ints(0), graph.ints(FRAMES), graph.ints(1), graph.ints(2)]);
  graph.as('last_hidden_state', half);
  return graph.file(
    [valueInfo('input_features', DataType.FLOAT, ['batch_size', BINS, FRAMES])],
    [valueInfo('last_hidden_state', DataType.FLOAT, ['batch_size', FRAMES / 2, WIDTH])],
  );
}

const layers = [...Array(LAYERS).keys()];
const halves = ['key', 'value'] as const;
const past = layers.flatMap((layer) =>
  (['decoder', 'encoder'] as const).flatMap((kind) => halves.map((half) => `${layer}.${kind}.${half}`)),
);
const cacheInfo = (name: string, length: string) =>
  valueInfo(name, DataType.FLOAT, ['batch', HEADS, length, HEAD_SIZE]);
const logitsInfo = valueInfo('logits', DataType.FLOAT, ['batch', 'length', VOCABULARY]);
const pastInfos = past.map((name) => cacheInfo(`past_key_values.${name}`, 'past'));
const presentInfos = past.map((name) => cacheInfo(`present.${name}`, 'present'));
const idsInfo = valueInfo('input_ids', DataType.INT64, ['batch', 'length']);
const hiddenInfo = valueInfo('encoder_hidden_states', DataType.FLOAT, ['batch', 'heard', WIDTH]);

/** One of the two graphs of an export that isn't merged. */
function decoder(cached: boolean): Uint8Array {
  const graph = new GraphBuilder();
  body(graph, graph, cached);
  return cached
    ? graph.file([idsInfo, ...pastInfos], [logitsInfo, ...presentInfos.filter(({ name }) => name.includes('decoder'))])
    : graph.file([idsInfo, hiddenInfo], [logitsInfo, ...presentInfos]);
}

/** Both in one, as `optimum` merges them: a branch each, chosen by an input. */
function mergedDecoder(): Uint8Array {
  const graph = new GraphBuilder();
  const branch = (cached: boolean): GraphProto => {
    const inner = new GraphBuilder(cached ? 'cached_' : 'first_');
    body(inner, graph, cached);
    return inner.graph([], [logitsInfo, ...presentInfos]);
  };
  const outputs = ['logits', ...past.map((name) => `present.${name}`)];
  graph.ops('If', ['use_cache_branch'], outputs, { then_branch: branch(true), else_branch: branch(false) });
  const flag = valueInfo('use_cache_branch', DataType.BOOL, [1]);
  return graph.file([idsInfo, hiddenInfo, ...pastInfos, flag], [logitsInfo, ...presentInfos]);
}

/** @param outer where the weights lie */
function body(graph: GraphBuilder, outer: GraphBuilder, cached: boolean): void {
  const w = (name: string, dims: readonly number[], scale?: number): string => weight(outer, name, dims, scale);
  const square = [WIDTH, WIDTH];
  const project = (value: string, name: string, scale?: number): string =>
    graph.op('MatMul', [value, w(name, square, scale)]);
  const split = (value: string): string =>
    graph.op('Transpose', [graph.op('Reshape', [value, outer.ints(1, -1, HEADS, HEAD_SIZE)])], {
      perm: [0n, 2n, 1n, 3n],
    });
  const attend = (query: string, key: string, value: string, bias?: string): string => {
    const keys = graph.op('Transpose', [key], { perm: [0n, 1n, 3n, 2n] });
    const raw = graph.op('MatMul', [graph.op('Mul', [query, outer.floats([], [HEAD_SIZE ** -0.5])]), keys]);
    const scores = bias === undefined ? raw : graph.op('Add', [raw, bias]);
    const mixed = graph.op('MatMul', [graph.op('Softmax', [scores], { axis: -1n }), value]);
    return graph.op('Reshape', [graph.op('Transpose', [mixed], { perm: [0n, 2n, 1n, 3n] }), outer.ints(1, -1, WIDTH)]);
  };
  const lengthOf = (value: string, axis: number): string =>
    graph.op('Gather', [graph.op('Shape', [value]), outer.int(axis)]);
  const count = lengthOf('input_ids', 1);
  const before = cached ? lengthOf('past_key_values.0.decoder.key', 2) : outer.int(0);
  const positions = graph.op('Range', [before, graph.op('Add', [before, count]), outer.int(1)]);
  const token = graph.op('Gather', [w('tokens', [VOCABULARY, WIDTH], 1), 'input_ids']);
  let x = graph.op('Add', [token, graph.op('Gather', [w('positions', [POSITIONS, WIDTH], 1), positions])]);
  // Later tokens are not seen: -1e4 above the diagonal. The cached branch takes one token, which sees all.
  const row = graph.op('Unsqueeze', [positions, outer.ints(1)]);
  const later = graph.op('Less', [row, graph.op('Unsqueeze', [positions, outer.ints(0)])]);
  const bias = graph.op('Mul', [graph.op('Cast', [later], { to: 1n }), outer.floats([], [-1e4])]);
  for (const layer of layers) {
    const [key, value] = halves.map((half) => {
      const fresh = split(project(x, `${layer}.${half}`));
      const all = cached
        ? graph.op('Concat', [`past_key_values.${layer}.decoder.${half}`, fresh], { axis: 2n })
        : fresh;
      return graph.as(`present.${layer}.decoder.${half}`, all);
    }) as [string, string];
    x = graph.op('Add', [x, attend(split(project(x, `${layer}.query`)), key, value, cached ? undefined : bias)]);
    const [heardKey, heardValue] = halves.map((half) => {
      const name = `present.${layer}.encoder.${half}`;
      if (!cached) return graph.as(name, split(project('encoder_hidden_states', `${layer}.heard.${half}`, 2)));
      const known = `past_key_values.${layer}.encoder.${half}`;
      // As the exporters do: with a past, nothing of use comes back.
      graph.as(name, graph.op('Slice', [known, outer.ints(0), outer.ints(0), outer.ints(0)]));
      return known;
    }) as [string, string];
    x = graph.op('Add', [x, attend(split(project(x, `${layer}.asks`)), heardKey, heardValue)]);
  }
  graph.as('logits', graph.op('MatMul', [x, w('logits', [WIDTH, VOCABULARY], 2)]));
}
