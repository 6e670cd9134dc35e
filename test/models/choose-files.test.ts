import { readdir, stat } from 'node:fs/promises';
import { join, posix, sep, win32 } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFiles, type FileChoice, type MachineFacts, placeInModel } from '../../models/choose-files.ts';
import { isInside, type ListedFile } from '../../models/graph-variants.ts';
import type { Device } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import { runs } from '../support/property.ts';
import * as hub from './listings.ts';
import { MINILM, manifestOf, SMOLLM2 } from './paths.ts';

const CPU: Device = { kind: 'cpu', name: 'test', memoryBytes: 64e9 };
const gpu = (kind: Device['kind'], memoryBytes: number): Device => ({ kind, name: 'test', memoryBytes });
const machine = (memoryBytes: number, ...devices: readonly Device[]): MachineFacts => ({
  devices: [CPU, ...devices],
  memoryBytes,
  arch: 'x64',
});

const LAPTOP = machine(8e9);
const SMALL = machine(1e9);
const WEBGPU = machine(8e9, gpu('webgpu', 8e9));
const CUDA = machine(32e9, gpu('cuda', 80e9));
const MAC = machine(16e9, gpu('coreml', 0));

/** The error of a choice that can't be made. */
function failure(...args: Parameters<typeof chooseFiles>): WeftError {
  try {
    chooseFiles(...args);
  } catch (error) {
    if (error instanceof WeftError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const reasonOf = (choice: FileChoice, graph: string): string | undefined =>
  choice.rejected.find((rejected) => rejected.graph === graph)?.reason;

describe('the graph for a machine', () => {
  it.each<[string, readonly ListedFile[], MachineFacts, string]>([
    ['8 bits for an encoder on a processor', hub.XENOVA_MINILM, LAPTOP, 'onnx/model_quantized.onnx'],
    ['halves for an encoder on a GPU', hub.XENOVA_MINILM, WEBGPU, 'onnx/model_fp16.onnx'],
    ['halves on a device whose memory nobody knows', hub.XENOVA_MINILM, MAC, 'onnx/model_fp16.onnx'],
    [
      '8 bits that every processor of the kind can sum',
      hub.SENTENCE_TRANSFORMERS,
      LAPTOP,
      'onnx/model_quint8_avx2.onnx',
    ],
    [
      '8 bits for another kind of processor',
      hub.SENTENCE_TRANSFORMERS,
      { ...LAPTOP, arch: 'arm64' },
      'onnx/model_qint8_arm64.onnx',
    ],
    [
      'single precision before 8 bits that the processor may not be able to sum',
      hub.SENTENCE_TRANSFORMERS.filter(({ path }) => !path.includes('avx2')),
      LAPTOP,
      'onnx/model.onnx',
    ],
    ['the only halves, though optimised', hub.SENTENCE_TRANSFORMERS, WEBGPU, 'onnx/model_O4.onnx'],
    ['what there is', hub.BAAI_BGE, LAPTOP, 'onnx/model.onnx'],
    ['4 bits for a chat model on a processor', hub.QWEN3, LAPTOP, 'onnx/model_q4.onnx'],
    ['4 bits with halves for a chat model on a GPU', hub.QWEN3, WEBGPU, 'onnx/model_q4f16.onnx'],
    ['halves where the device knows no blocks of bits', hub.QWEN3, MAC, 'onnx/model_fp16.onnx'],
    ['8 bits where 4 do not fit', hub.QWEN3, machine(1.8e9), 'onnx/model_int8.onnx'],
    ['the processor where the GPU is too small', hub.QWEN3, machine(8e9, gpu('webgpu', 1e9)), 'onnx/model_q4.onnx'],
    ['the larger GPU', hub.QWEN3, machine(8e9, gpu('webgpu', 1e9), gpu('cuda', 24e9)), 'onnx/model_q4f16.onnx'],
    [
      'a folder for the processor beside graphs for GPUs',
      hub.QWEN3_4B,
      machine(32e9),
      'onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/model.onnx',
    ],
    ['the usual folder before others', hub.QWEN3_4B, CUDA, 'onnx/model_q4f16.onnx'],
    ['8 bits for speech on a processor', hub.WHISPER_BASE, LAPTOP, 'onnx/decoder_model_merged_int8.onnx'],
    ['halves for speech on a GPU', hub.WHISPER_BASE, WEBGPU, 'onnx/decoder_model_merged_fp16.onnx'],
    ['two decoders where there is no whole one', hub.WHISPER_HALVES, LAPTOP, 'decoder_model.onnx'],
    [
      'the folder of onnxruntime-genai for the processor',
      hub.PHI3_GENAI,
      LAPTOP,
      'cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/phi3-mini-4k-instruct-cpu-int4-rtn-block-32-acc-level-4.onnx',
    ],
    [
      '… and the one for the device',
      hub.PHI3_GENAI,
      CUDA,
      'cuda/cuda-int4-rtn-block-32/phi3-mini-4k-instruct-cuda-int4-rtn-block-32.onnx',
    ],
    [
      '… and the processor where none is for the device',
      hub.PHI3_GENAI,
      machine(16e9, gpu('webgpu', 24e9)),
      'cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/phi3-mini-4k-instruct-cpu-int4-rtn-block-32-acc-level-4.onnx',
    ],
    ['an optimised graph where it is the only one', hub.QDRANT_BGE, LAPTOP, 'model_optimized.onnx'],
    ['a graph at the top', hub.OPTIMUM_TOP, machine(32e9), 'model.onnx'],
    ['the whole before its halves', hub.CLIP, LAPTOP, 'onnx/model_quantized.onnx'],
    ['8 bits for a reranker', hub.BGE_RERANKER, LAPTOP, 'onnx/model_quantized.onnx'],
  ])('is %s', (_what, files, facts, graph) => {
    expect(chooseFiles(files, facts).graph).toBe(graph);
  });

  it('follows the task that the hub names, where it says one', () => {
    const asEncoder = chooseFiles(hub.QWEN3, LAPTOP, undefined, { task: 'feature-extraction' });
    expect(asEncoder.graph).toBe('onnx/model_int8.onnx');
    const asGenerator = chooseFiles(hub.XENOVA_MINILM, LAPTOP, undefined, { task: 'text-generation' });
    expect(asGenerator.graph).toBe('onnx/model_q4.onnx');
  });

  it('does not depend on the order of the listing', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(hub).filter((files) => files.some(({ path }) => path.endsWith('.onnx')))),
        fc.constantFrom(LAPTOP, WEBGPU, CUDA),
        fc.infiniteStream(fc.nat()),
        (files, facts, keys) => {
          const keyed = files.map((file) => ({ file, key: keys.next().value ?? 0 }));
          const shuffled = keyed.toSorted((a, b) => a.key - b.key).map(({ file }) => file);
          const outcome = (list: readonly ListedFile[]): unknown => {
            try {
              const { graph, paths } = chooseFiles(list, facts);
              return { graph, paths };
            } catch (error) {
              return error instanceof WeftError ? error.code : error;
            }
          };
          expect(outcome(shuffled)).toEqual(outcome(files));
        },
      ),
      runs(100),
    );
  });
});

describe('what goes with the graph', () => {
  it('is the settings at the top and the pooling, and nothing of another format', () => {
    const { paths, sizeBytes } = chooseFiles(hub.SENTENCE_TRANSFORMERS, LAPTOP);
    expect(paths).toEqual([
      '1_Pooling/config.json',
      'config.json',
      'config_sentence_transformers.json',
      'data_config.json',
      'modules.json',
      'onnx/model_quint8_avx2.onnx',
      'sentence_bert_config.json',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const sizes = hub.SENTENCE_TRANSFORMERS.filter(({ path }) => paths.includes(path));
    expect(sizeBytes).toBe(sizes.reduce((sum, file) => sum + file.sizeBytes, 0));
  });

  it('is all of its weights, however many files they are, and the licence', () => {
    expect(chooseFiles(hub.QWEN3_4B, CUDA).paths).toEqual([
      'LICENSE',
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'onnx/model_q4f16.onnx',
      'onnx/model_q4f16.onnx_data',
      'onnx/model_q4f16.onnx_data_1',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(chooseFiles(hub.QWEN3_4B, CUDA, 'fp16').paths.filter((path) => path.includes('onnx_data'))).toHaveLength(4);
  });

  it('is weights that do not bear its name', () => {
    const { paths, root } = chooseFiles(hub.BGE_M3, machine(16e9));
    expect(root).toBe('');
    expect(paths).toEqual(
      expect.arrayContaining(['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/Constant_7_attr__value']),
    );
    expect(paths).not.toContain('onnx/tokenizer.json');
  });

  it('is the encoder of the same precision', () => {
    const graphs = (variant?: string): readonly string[] =>
      chooseFiles(hub.WHISPER_BASE, LAPTOP, variant).paths.filter((path) => path.startsWith('onnx/'));
    expect(graphs()).toEqual(['onnx/decoder_model_merged_int8.onnx', 'onnx/encoder_model_int8.onnx']);
    expect(graphs('q4')).toEqual(['onnx/decoder_model_merged_q4.onnx', 'onnx/encoder_model_q4.onnx']);
    expect(chooseFiles(hub.WHISPER_HALVES, LAPTOP).paths).toEqual(
      expect.arrayContaining(['decoder_model.onnx', 'decoder_with_past_model.onnx', 'encoder_model.onnx']),
    );
  });

  it('is the only encoder, where there is one for all decoders', () => {
    const files = hub.WHISPER_BASE.filter(({ path }) => !/encoder_model_/.test(path));
    expect(chooseFiles(files, LAPTOP, 'q4').paths).toEqual(
      expect.arrayContaining(['onnx/decoder_model_merged_q4.onnx', 'onnx/encoder_model.onnx']),
    );
  });

  it('is no other precision where there are several', () => {
    const files = hub.WHISPER_BASE.filter(({ path }) => path !== 'onnx/encoder_model_int8.onnx');
    const choice = chooseFiles(files, LAPTOP);
    expect(choice.graph).toBe('onnx/decoder_model_merged_quantized.onnx');
    expect(reasonOf(choice, 'onnx/decoder_model_merged_int8.onnx')).toBe('has no encoder_model_int8.onnx beside it');
  });

  it('lies at the top of the model where the repository holds several models', () => {
    const { root, graph, paths } = chooseFiles(hub.PHI3_GENAI, LAPTOP);
    expect(root).toBe('cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4');
    const places = paths.map((path) => placeInModel(root, path));
    expect(new Set(places).size).toBe(places.length);
    expect(places).toEqual(expect.arrayContaining(['LICENSE', 'config.json', 'tokenizer.json', 'genai_config.json']));
    // Its own settings, not those of the repository.
    expect(paths).not.toContain('config.json');
    expect(placeInModel(root, graph)).toBe('phi3-mini-4k-instruct-cpu-int4-rtn-block-32-acc-level-4.onnx');
    // What its folder lacks is taken from the top.
    const cuda = chooseFiles(hub.PHI3_GENAI, CUDA);
    expect(cuda.paths).toEqual(expect.arrayContaining(['config.json', `${cuda.root}/tokenizer.json`]));
  });

  it('is never a file that could lie elsewhere, whatever the listing says', () => {
    const evil = [
      '../config.json',
      '/etc/a.json',
      'onnx/../../model.onnx',
      'a\\b.json',
      'c:/x.json',
      'x\n.json',
      'onnx//a.onnx',
    ];
    const files = [...evil.map((path) => ({ path, sizeBytes: 1 })), ...hub.BAAI_BGE];
    expect(chooseFiles(files, LAPTOP).paths).toEqual(chooseFiles(hub.BAAI_BGE, LAPTOP).paths);
    expect(
      failure(
        evil.map((path) => ({ path, sizeBytes: 1 })),
        LAPTOP,
      ).code,
    ).toBe('model_not_found');
    const part = fc.constantFrom(
      '..',
      '.',
      '',
      'onnx',
      'model.onnx',
      'model.onnx_data',
      'config.json',
      '\\',
      ':',
      '\0',
      'a',
    );
    const way = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(fc.array(way, { maxLength: 8 }), (ways) => {
        const listing = [...ways.map((path) => ({ path, sizeBytes: 10 })), { path: 'onnx/model.onnx', sizeBytes: 10 }];
        const { paths, rejected } = chooseFiles(listing, LAPTOP, 'onnx/model.onnx');
        expect(paths.every(isInside)).toBe(true);
        expect(rejected.every(({ graph }) => isInside(graph))).toBe(true);
        expect(new Set(paths).size).toBe(paths.length);
      }),
      runs(500),
    );
  });

  it.each([[MINILM], [SMOLLM2]])('is what the manifest in %s lists', async (folder) => {
    const manifest = manifestOf(folder);
    const names = await readdir(folder, { recursive: true, withFileTypes: true });
    const listing = await Promise.all(
      names
        .filter((entry) => entry.isFile())
        .map(async ({ parentPath, name }) => {
          const file = join(parentPath, name);
          const path = file.slice(folder.length + 1).replaceAll(sep, '/');
          return { path, sizeBytes: (await stat(file)).size };
        }),
    );
    const choice = chooseFiles(listing, LAPTOP);
    expect(choice.graph).toBe(manifest.graph);
    expect(choice.paths).toEqual(manifest.files.map(({ path }) => path).sort());
  });

  it('would lie elsewhere, were such a file taken', () => {
    const leadsOut = (path: string, { resolve, relative, isAbsolute }: typeof posix): boolean => {
      const way = relative(resolve('/models/acme'), resolve('/models/acme', path));
      return way.startsWith('..') || isAbsolute(way);
    };
    for (const path of ['../config.json', '/etc/a.json', 'onnx/../../model.onnx']) {
      expect([isInside(path), leadsOut(path, posix)]).toEqual([false, true]);
    }
    for (const path of ['..\\config.json', '\\etc\\a.json', 'x:/a.json', 'onnx\\..\\..\\a.json']) {
      expect([isInside(path), leadsOut(path, win32)]).toEqual([false, true]);
    }
  });

  it('leaves out what is called settings and is as large as weights', () => {
    const files = [
      ...hub.BAAI_BGE,
      { path: 'huge.json', sizeBytes: 1e9 },
      { path: 'weft-manifest.json', sizeBytes: 10 },
    ];
    expect(chooseFiles(files, LAPTOP).paths).toEqual(chooseFiles(hub.BAAI_BGE, LAPTOP).paths);
  });
});

describe('reasons', () => {
  it('say what was chosen, for which device, and what goes with it', () => {
    expect(chooseFiles(hub.QWEN3, WEBGPU).reasons).toEqual([
      'onnx/model_q4f16.onnx: 4-bit weights with activations in half precision, 570 MB; fits the 7.2 GB that models may take on the GPU (webgpu); half precision runs on webgpu',
      '8 files of settings, vocabulary and licence, 14.2 MB',
    ]);
    expect(chooseFiles(hub.WHISPER_HALVES, LAPTOP).reasons).toEqual([
      'decoder_model.onnx: weights in single precision, 487 MB; fits the 8.0 GB that models may take on the processor; it is the best of those that fit on the processor',
      'with it encoder_model.onnx and decoder_with_past_model.onnx',
      '5 files of settings, vocabulary and licence, 3.0 MB',
    ]);
    expect(chooseFiles(hub.XENOVA_MINILM, MAC).reasons[0]).toMatch(/fits what is on the GPU \(coreml\)/);
  });

  it('say why every other graph was not', () => {
    const choice = chooseFiles(hub.QWEN3, machine(2.2e9));
    expect(choice.graph).toBe('onnx/model_int8.onnx');
    expect(Object.fromEntries(choice.rejected.map(({ graph, reason }) => [graph, reason]))).toEqual({
      'onnx/model.onnx': 'needs about 6.7 GB; models may take 2.2 GB on the processor',
      'onnx/model_bnb4.onnx': 'needs about 2.5 GB; models may take 2.2 GB on the processor',
      'onnx/model_fp16.onnx': 'needs about 3.4 GB; models may take 2.2 GB on the processor',
      'onnx/model_q4.onnx': 'needs about 2.6 GB; models may take 2.2 GB on the processor',
      'onnx/model_q4f16.onnx': '4-bit weights with activations in half precision suit the processor less',
      'onnx/model_quantized.onnx': 'is the same in another file',
      'onnx/model_uint8.onnx': 'is the unsigned form of the same',
    });
    expect(reasonOf(chooseFiles(hub.QWEN3, WEBGPU), 'onnx/model_int8.onnx')).toBe(
      '8-bit weights are not computed on webgpu',
    );
    expect(reasonOf(chooseFiles(hub.SENTENCE_TRANSFORMERS, LAPTOP), 'onnx/model_qint8_avx512_vnni.onnx')).toBe(
      'needs instructions that not every processor has',
    );
    expect(reasonOf(chooseFiles(hub.SENTENCE_TRANSFORMERS, LAPTOP, 'fp32'), 'onnx/model_O2.onnx')).toBe(
      'was not asked for',
    );
    expect(reasonOf(chooseFiles(hub.PHI3_GENAI, LAPTOP), 'directml/directml-int4-awq-block-128/model.onnx')).toBe(
      'is written for dml',
    );
    expect(reasonOf(chooseFiles(hub.CLIP, LAPTOP), 'onnx/text_model.onnx')).toBe('is a part of the model');
    expect(reasonOf(chooseFiles(hub.WHISPER_BASE, LAPTOP), 'onnx/decoder_model_fp16.onnx')).toBe(
      'is the first half of a decoder that is there as a whole',
    );
  });

  it('name every graph of the listing once', () => {
    for (const files of [hub.XENOVA_MINILM, hub.WHISPER_BASE, hub.PHI3_GENAI, hub.QWEN3_4B, hub.CLIP]) {
      const { graph, rejected } = chooseFiles(files, CUDA);
      const graphs = files.map(({ path }) => path).filter((path) => path.endsWith('.onnx'));
      expect([graph, ...rejected.map((other) => other.graph)].sort()).toEqual(graphs.sort());
      expect(rejected.every(({ reason }) => reason !== '')).toBe(true);
    }
  });
});

describe('a variant that was asked for', () => {
  it.each<[string, readonly ListedFile[], string]>([
    ['onnx/model_q4f16.onnx', hub.QWEN3, 'onnx/model_q4f16.onnx'],
    ['model_q4f16.onnx', hub.QWEN3, 'onnx/model_q4f16.onnx'],
    ['model_q4f16', hub.QWEN3, 'onnx/model_q4f16.onnx'],
    ['Q4F16', hub.QWEN3, 'onnx/model_q4f16.onnx'],
    ['int8', hub.QWEN3, 'onnx/model_int8.onnx'],
    ['quantized', hub.QWEN3, 'onnx/model_quantized.onnx'],
    ['q8', hub.BGE_RERANKER, 'onnx/model_quantized.onnx'],
    ['int8', hub.BGE_RERANKER, 'onnx/model_quantized.onnx'],
    ['fp32', hub.SENTENCE_TRANSFORMERS, 'onnx/model.onnx'],
    ['O3', hub.SENTENCE_TRANSFORMERS, 'onnx/model_O3.onnx'],
    ['qint8_avx512_vnni', hub.SENTENCE_TRANSFORMERS, 'onnx/model_qint8_avx512_vnni.onnx'],
    ['int8', hub.SENTENCE_TRANSFORMERS, 'onnx/model_qint8_avx512.onnx'],
    ['q4', hub.WHISPER_BASE, 'onnx/decoder_model_merged_q4.onnx'],
    ['decoder_model_merged_q4.onnx', hub.WHISPER_BASE, 'onnx/decoder_model_merged_q4.onnx'],
    ['onnx', hub.QWEN3_4B, 'onnx/model_q4f16.onnx'],
    ['cuda/cuda-fp16/', hub.PHI3_GENAI, 'cuda/cuda-fp16/phi3-mini-4k-instruct-cuda-fp16.onnx'],
    ['directml', hub.PHI3_GENAI, 'directml/directml-int4-awq-block-128/model.onnx'],
    ['det.onnx', hub.OCR, 'det.onnx'],
    ['text_model_quantized', hub.CLIP, 'onnx/text_model_quantized.onnx'],
  ])('is found as %s', (variant, files, graph) => {
    const choice = chooseFiles(files, machine(32e9), variant);
    expect(choice.graph).toBe(graph);
    expect(choice.reasons[0]).toMatch(/; asked for$/);
  });

  it('wins where it does not fit, with a warning', () => {
    const choice = chooseFiles(hub.QWEN3, SMALL, 'fp16');
    expect(choice.graph).toBe('onnx/model_fp16.onnx');
    expect(choice.reasons[0]).toMatch(/does not fit the 1.0 GB that models may take on the processor; asked for/);
    expect(choice.reasons.at(-1)).toBe('warning: it needs about 3.4 GB of memory to run, and may not load here');
    expect(chooseFiles(hub.QWEN3, LAPTOP, 'fp16').reasons.join()).not.toMatch(/warning/);
  });

  it('wins where its device is not there, with a warning', () => {
    const choice = chooseFiles(hub.PHI3_GENAI, LAPTOP, 'directml');
    expect(choice.reasons.at(-1)).toBe('warning: is written for dml');
  });

  it('warns of a part on its own', () => {
    expect(chooseFiles(hub.WHISPER_BASE, LAPTOP, 'onnx/encoder_model_q4.onnx').reasons.at(-1)).toMatch(
      /^warning: it goes with a decoder/,
    );
  });

  it('is refused where there is none, with what there is', () => {
    const error = failure(hub.BGE_RERANKER, LAPTOP, 'q5_K_M', { id: 'Xenova/bge-reranker-base' });
    expect(error).toMatchObject({
      code: 'model_not_found',
      message:
        'Xenova/bge-reranker-base has no "q5_K_M". It has onnx/model.onnx, onnx/model_fp16.onnx, onnx/model_quantized.onnx.',
    });
    expect(failure(hub.WHISPER_BASE, LAPTOP, 'toString').message).toMatch(/and \d+ more\.$/);
  });
});

describe('a repository from which nothing can be taken', () => {
  it.each<[string, readonly ListedFile[], string, RegExp]>([
    ['of safetensors', hub.QWEN3_ORIGINAL, 'Qwen/Qwen3-1.7B', /onnx-community\/Qwen3-1\.7B-ONNX/],
    ['of GGUF', hub.GGUF_ONLY, 'acme/SmolLM2-GGUF', /onnx-community\/SmolLM2-GGUF/],
    ['with nothing', [], 'onnx-community/nothing', /the hub lists them/],
  ])('%s has no ONNX files, and a remedy', (_what, files, id, remedy) => {
    const error = failure(files, LAPTOP, undefined, { id });
    expect(error.code).toBe('model_not_found');
    expect(error.message).toContain(`${id} has no ONNX files`);
    expect(error.remedy).toMatch(remedy);
  });

  it('holds a model of parts that belong together', () => {
    const error = failure(hub.SMOLVLM, LAPTOP, undefined, { id: 'acme/vlm' });
    expect(error.code).toBe('unsupported');
    expect(error.message).toMatch(
      /is a part of a model of several graphs \(decoder_model_merged, embed_tokens, vision_encoder\)/,
    );
    expect(failure(hub.OCR, LAPTOP).message).toMatch(/nothing says which is the model/);
  });

  it('is too large, with the numbers', () => {
    const error = failure(hub.QWEN3_4B, machine(2e9, gpu('webgpu', 4e9)), undefined, { id: 'acme/large' });
    expect(error.code).toBe('out_of_memory');
    expect(error.message).toMatch(
      /needs about 7\.7 GB; models may take 3\.6 GB on the GPU \(webgpu\), 2\.0 GB on the processor/,
    );
  });
});
