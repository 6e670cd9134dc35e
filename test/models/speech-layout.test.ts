// Manifests of speech models and rerankers, from folders in the hub's layout.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../models/build-manifest.ts';
import { parseManifest } from '../../models/manifest.ts';
import { speechGraphs } from '../../models/speech-layout.ts';
import { tinyReranker } from '../support/tiny-reranker.ts';
import { TINY_SPEECH, tinySpeech } from '../support/tiny-speech.ts';
import { temporaryFolder } from './temporary.ts';

async function change(folder: string, file: string, settings: object): Promise<void> {
  const path = join(folder, file);
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...settings }));
}

describe('the manifest of a speech model', () => {
  it('says how it hears, what its tokens mean, and where both graphs are', async () => {
    const { manifest } = await tinySpeech(await temporaryFolder());
    expect(manifest).toMatchObject({
      task: 'automatic-speech-recognition',
      graph: 'onnx/decoder_model_merged.onnx',
      contextLength: 64,
      generation: { layers: 2, kvHeads: 2, headSize: 4, vocabularySize: 366, eosIds: [TINY_SPEECH.eos] },
      speech: {
        sampleRate: 16_000,
        fftSize: 400,
        hopLength: 160,
        melBins: 8,
        frames: 200,
        startId: TINY_SPEECH.start,
        previousId: TINY_SPEECH.previous,
        languages: { en: TINY_SPEECH.en, de: TINY_SPEECH.de },
        transcribeId: TINY_SPEECH.transcribe,
        translateId: TINY_SPEECH.translate,
        noTimestampsId: TINY_SPEECH.noTimestamps,
        timestampBeginId: TINY_SPEECH.firstTime,
        initialTimestampsMax: 10,
        beginSuppressIds: [32, TINY_SPEECH.eos],
      },
    });
    expect(manifest.graphs?.encoder).toMatchObject({
      path: 'onnx/encoder_model.onnx',
      inputs: [{ name: 'input_features' }],
    });
    const paths = manifest.files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['onnx/encoder_model.onnx', 'onnx/decoder_model_merged.onnx']));
  });

  it('names the decoder with a past where there are two', async () => {
    const { manifest } = await tinySpeech(await temporaryFolder(), { layout: 'apart' });
    expect(manifest.graph).toBe('onnx/decoder_model.onnx');
    expect(manifest.graphs?.decoderWithPast?.path).toBe('onnx/decoder_with_past_model.onnx');
  });

  it('knows no language where the model was taught English alone', async () => {
    const { manifest } = await tinySpeech(await temporaryFolder(), { multilingual: false });
    expect(manifest.speech).toMatchObject({ languages: {} });
    expect(manifest.speech?.translateId).toBeUndefined();
  });

  it.each<[string, (folder: string) => Promise<void>]>([
    ['a preprocessor with other bins', (folder) => change(folder, 'preprocessor_config.json', { feature_size: 80 })],
    ['a vocabulary that is not the graph’s', (folder) => change(folder, 'config.json', { vocab_size: 300 })],
    ['a missing encoder', (folder) => rm(join(folder, 'onnx/encoder_model.onnx'))],
    ['a missing preprocessor', (folder) => rm(join(folder, 'preprocessor_config.json'))],
    ['a setting of the wrong type', (folder) => change(folder, 'config.json', { d_model: 'eight' })],
  ])('is refused for %s', async (_what, spoil) => {
    const { folder } = await tinySpeech(await temporaryFolder());
    await spoil(folder);
    await expect(buildManifest(folder)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('is refused where its tokens, graphs or specifications do not fit', async () => {
    const { manifest } = await tinySpeech(await temporaryFolder());
    const parse = (changes: object) => () => parseManifest(JSON.stringify({ ...manifest, ...changes }));
    expect(parse({})).not.toThrow();
    expect(parse({ speech: { ...manifest.speech, startId: 100_000 } })).toThrow(/vocabulary/);
    expect(parse({ speech: undefined })).toThrow(/speech/);
    expect(parse({ graphs: undefined })).toThrow(/encoder/);
    const encoder = manifest.graphs?.encoder;
    expect(parse({ graphs: { encoder: { ...encoder, path: 'onnx/other.onnx' } } })).toThrow(/files/);
    expect(parse({ graphs: { encoder: { ...encoder, path: '../secret' } } })).toThrow(/stay inside/);
  });
});

describe('graphs that belong together', () => {
  const names = [
    'encoder_model.onnx',
    'encoder_model_q4.onnx',
    'decoder_model_merged.onnx',
    'decoder_model_merged_q4.onnx',
  ];

  it('have one suffix', () => {
    expect(speechGraphs(names, 'onnx/decoder_model_merged_q4.onnx')).toEqual({
      decoder: 'onnx/decoder_model_merged_q4.onnx',
      encoder: 'onnx/encoder_model_q4.onnx',
      decoderWithPast: undefined,
    });
  });

  it('may be of different precision where there is but one encoder', () => {
    expect(speechGraphs(['encoder_model.onnx', 'decoder_model_merged_q4.onnx'], undefined)?.encoder).toBe(
      'onnx/encoder_model.onnx',
    );
  });

  it('are not guessed', () => {
    expect(speechGraphs(names, undefined)).toBeUndefined();
    expect(speechGraphs(names, 'onnx/encoder_model.onnx')).toBeUndefined();
    expect(() => speechGraphs(['decoder_model_merged.onnx'], undefined)).toThrow(/no encoder_model.onnx/);
    expect(() => speechGraphs(['decoder_model.onnx', 'encoder_model.onnx'], undefined)).toThrow(/decoder_with_past/);
  });

  it('are taken by the name of the decoder', async () => {
    const { folder } = await tinySpeech(await temporaryFolder());
    await rename(join(folder, 'onnx/decoder_model_merged.onnx'), join(folder, 'onnx/decoder_model_merged_q4.onnx'));
    const manifest = await buildManifest(folder, { graph: 'onnx/decoder_model_merged_q4.onnx' });
    expect(manifest).toMatchObject({ precision: 'q4', graphs: { encoder: { path: 'onnx/encoder_model.onnx' } } });
  });
});

describe('the manifest of a reranker', () => {
  it('is that of a classifier with one label', async () => {
    const { manifest, folder } = await tinyReranker(await temporaryFolder());
    expect(manifest).toMatchObject({
      task: 'text-ranking',
      contextLength: 64,
      encoding: { dimensions: 1, pooling: 'logits', normalize: false, padId: 0 },
    });
    // Something else that gives logits is any graph.
    await change(folder, 'config.json', { architectures: ['BertForTokenClassification'] });
    expect((await buildManifest(folder)).task).toBe('tensor');
  });

  it('counts only the positions that texts can have, where the table has more', async () => {
    const { folder } = await tinyReranker(await temporaryFolder());
    await change(folder, 'config.json', { model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 });
    expect(await buildManifest(folder)).toMatchObject({ contextLength: 512, encoding: { padId: 1 } });
  });

  it('cannot have the pooling of another task', async () => {
    const { manifest } = await tinyReranker(await temporaryFolder());
    const parse = (changes: object) => () => parseManifest(JSON.stringify({ ...manifest, ...changes }));
    expect(parse({ encoding: { ...manifest.encoding, pooling: 'mean' } })).toThrow(/another task/);
    expect(parse({ task: 'feature-extraction' })).toThrow(/another task/);
  });
});
