import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../../models/build-manifest.ts';
import { ChatTemplate } from '../../../models/tasks/chat-template.ts';
import { loadTextGeneration } from '../../../models/tasks/text-generation.ts';
import { parseTokenizerConfig } from '../../../models/tasks/tokenizer-json.ts';
import { MINILM, manifestOf, SMOLLM2 } from '../paths.ts';
import { temporaryFolder, tinyModel } from '../temporary.ts';

const task = await loadTextGeneration(SMOLLM2, manifestOf(SMOLLM2));
const QUESTION = { role: 'user', content: 'What is the capital of France?' };
const template = (source: unknown, more: object = {}) =>
  new ChatTemplate(parseTokenizerConfig(Buffer.from(JSON.stringify({ chat_template: source, ...more }))));

describe('chat with SmolLM2', () => {
  it('renders the prompt that the model was trained on', () => {
    expect(task.renderChat([QUESTION])).toBe(
      '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' +
        '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(
      task.renderChat([{ role: 'system', content: 'Be brief.' }, QUESTION, { role: 'assistant', content: 'Paris.' }]),
    ).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n' +
        '<|im_start|>assistant\nParis.<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('encodes it without special tokens beyond those that the template wrote', () => {
    expect([...task.encode(task.renderChat([QUESTION]))]).toEqual([
      1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2, 198,
      1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
    ]);
  });

  it('knows what ends an answer, and how much the context holds', () => {
    expect([task.eosIds, task.contextLength]).toEqual([[2], 8192]);
  });

  it('knows what begins a text, and how many tokens there are', () => {
    expect([task.before, task.startId, task.vocabularySize]).toEqual([[], 1, 49_152]);
  });

  it('refuses more messages than the context could hold, before it renders them', () => {
    const messages = Array.from({ length: 100_000 }, () => QUESTION);
    expect(() => task.renderChat(messages)).toThrow(expect.objectContaining({ code: 'context_too_long' }));
  });
});

describe('chat templates', () => {
  it('pass their own complaint on as a bad request', () => {
    const strict = template(
      "{% if messages[0].role != 'user' %}{{ raise_exception('Start with the user.') }}{% endif %}ok",
    );
    expect(strict.render([QUESTION])).toBe('ok');
    expect(() => strict.render([{ role: 'assistant', content: '' }])).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringContaining('Start with the user.') }),
    );
  });

  it('see the special tokens, however they are written down', () => {
    const source = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}';
    const tokens = { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false } };
    expect(template(source, tokens).render([QUESTION])).toBe(`<s>${QUESTION.content}</s>`);
  });

  it('are taken by the name "default" from a list', () => {
    const list = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'chat' },
    ];
    expect(template(list).render([QUESTION])).toBe('chat');
  });

  it('give no way out of the template', () => {
    const hostile = template("{{ messages.constructor.constructor('return process')() }}");
    expect(() => hostile.render([QUESTION])).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  it('are refused when they are damaged, and missed when there are none', () => {
    expect(() => template('{% if %}')).toThrow(expect.objectContaining({ code: 'model_corrupt' }));
    expect(() => template(undefined).render([QUESTION])).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });
});

describe('loading', () => {
  it('refuses a model of another kind', async () => {
    await expect(loadTextGeneration(MINILM, manifestOf(MINILM))).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('prefers a template in a file of its own', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'chat_template.jinja'), '{{ messages[0].content }}!');
    const manifest = await buildManifest(folder);
    const generation = { layers: 1, kvHeads: 1, headSize: 1, vocabularySize: 1, eosIds: [0] };
    const own = await loadTextGeneration(folder, { ...manifest, generation });
    expect(own.renderChat([QUESTION])).toBe(`${QUESTION.content}!`);
  });
});

describe('what a text begins with', () => {
  const generation = { layers: 1, kvHeads: 1, headSize: 1, vocabularySize: 30_522, eosIds: [0] };
  async function loaded(config: object) {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    return loadTextGeneration(folder, { ...(await buildManifest(folder)), generation });
  }

  it('is what the tokenizer puts before one, and nothing is put behind it', async () => {
    expect(await loaded({})).toMatchObject({ before: [101], startId: undefined });
    expect(await loaded({ add_bos_token: true })).toMatchObject({ before: [101] });
  });

  it('is decided by add_bos_token where the settings say it', async () => {
    expect(await loaded({ add_bos_token: false, bos_token: '[CLS]' })).toMatchObject({ before: [], startId: 101 });
    expect(await loaded({ eos_token: { content: '[SEP]' } })).toMatchObject({ startId: 102 });
    expect(await loaded({ bos_token: 'no such token' })).toMatchObject({ startId: undefined });
  });
});
