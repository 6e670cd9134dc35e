// Chat with a language model: messages → prompt → token ids, and ids → text. The coordinator loads one per model.

import { WeftError } from '../../protocol/errors.ts';
import { CHAT_MESSAGES_MAX } from '../limits.ts';
import type { Manifest } from '../manifest.ts';
import { readVerified } from '../verify.ts';
import { ChatTemplate } from './chat-template.ts';
import type { Detokenizer } from './detokenizer.ts';
import type { TokenPiece } from './token-bytes.ts';
import { loadVerifiedTokenizer, type TextTokenizer } from './tokenizer.ts';
import type { TemplateMessage, TemplateTool } from './tool-prompt.ts';

export interface TextGenerationTask {
  /**
   * The prompt for these messages, up to where the assistant's answer begins, with the tools that it may call.
   * @throws WeftError `context_too_long` for more messages than the context could hold, `bad_request` when the template
   *   refuses them, `unsupported` when the model has no template
   */
  renderChat(messages: readonly TemplateMessage[], tools?: readonly TemplateTool[]): string;
  /**
   * Token ids of a prompt, which holds the special ones: the template wrote them. On the caller's thread: prompts beyond
   * TEXT_CHARS_INLINE_MAX belong in the prep process.
   */
  encode(text: string): Int32Array;
  /** The fewest tokens that the text can have, found in 60 ms for 16 MiB; 0 where nothing can be said. */
  minTokens(text: string): number;
  /**
   * Ids that begin a text which no template wrote, such as BOS. As llama.cpp does it: `add_bos_token` of
   * tokenizer_config.json decides, and where that says nothing, what tokenizer.json puts before a text. Nothing is put
   * behind it, whatever the tokenizer says: the text shall be gone on with.
   */
  readonly before: readonly number[];
  /** What stands for an empty text: BOS, else EOS; undefined for a tokenizer that names neither. */
  readonly startId: number | undefined;
  /** Ids of tokens are below this. */
  readonly vocabularySize: number;
  /** A fresh detokenizer, for one answer. */
  detokenizer(): Detokenizer;
  /** A token by itself. */
  piece(id: number): TokenPiece;
  /** Any of these ends an answer. */
  readonly eosIds: readonly number[];
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
}

/**
 * Loads tokenizer and template, each verified against the manifest. Takes 0.1 to 0.3 s and 18 MB for SmolLM2.
 * @throws WeftError `model_corrupt`
 */
export async function loadTextGeneration(folder: string, manifest: Manifest): Promise<TextGenerationTask> {
  const { generation, contextLength } = manifest;
  if (generation === undefined) {
    throw new WeftError({ code: 'model_corrupt', message: 'The manifest says nothing about text generation.' });
  }
  const tokenizer = await loadVerifiedTokenizer(folder, manifest);
  const separate = manifest.files.some((file) => file.path === TEMPLATE_FILE)
    ? Buffer.from(await readVerified(folder, manifest, TEMPLATE_FILE)).toString('utf8')
    : undefined;
  const template = new ChatTemplate(tokenizer.config, separate);
  // Every message takes at least a token, by its role if by nothing else.
  const messagesMax = Math.min(contextLength, CHAT_MESSAGES_MAX);
  return {
    renderChat: (messages, tools) => {
      if (messages.length > messagesMax) {
        throw new WeftError({
          code: 'context_too_long',
          message: `A conversation of ${messages.length} messages is too long; the most is ${messagesMax}.`,
          facts: { param: 'messages', limit: String(messagesMax) },
        });
      }
      return template.render(messages, tools);
    },
    encode: (text) => tokenizer.encode(text, { tokensMax: Number.POSITIVE_INFINITY, specialTokens: false }).ids,
    minTokens: (text) => tokenizer.minTokens(text),
    before: beforeText(tokenizer),
    startId: startOf(tokenizer),
    vocabularySize: generation.vocabularySize,
    detokenizer: () => tokenizer.detokenizer(),
    piece: (id) => tokenizer.piece(id),
    eosIds: generation.eosIds,
    contextLength,
  };
}

const TEMPLATE_FILE = 'chat_template.jinja';

function beforeText(tokenizer: TextTokenizer): readonly number[] {
  const { add_bos_token: asked, bos_token: bos } = tokenizer.config;
  if (asked === false) return [];
  if (asked !== true || tokenizer.before.length > 0) return tokenizer.before;
  const id = idOf(tokenizer, bos);
  return id === undefined ? [] : [id];
}

const startOf = (tokenizer: TextTokenizer): number | undefined =>
  idOf(tokenizer, tokenizer.config.bos_token) ?? idOf(tokenizer, tokenizer.config.eos_token);

const idOf = (tokenizer: TextTokenizer, token: string | null | undefined): number | undefined =>
  typeof token === 'string' ? tokenizer.idOf(token) : undefined;
