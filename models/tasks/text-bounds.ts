// Where a text can be cut so that its pieces, tokenised one by one, give exactly the tokens of the whole; and how few
// tokens a text can have at least. Both keep the work on a hostile or very long text bounded.
import { WeftError } from '../../protocol/errors.ts';
import { PIECE_CHARS, UNCUT_CHARS_MAX } from '../limits.ts';
import type { TokenizerConfig, TokenizerJson } from './tokenizer-json.ts';

/** How the texts of one tokenizer may be cut. */
export interface CutRule {
  /** True when a cut before this index changes no token, before or behind it. The index is within the text, not 0. */
  mayCut(text: string, index: number): boolean;
  /** True when text of nothing but ASCII white space gives no tokens. */
  readonly silentWhitespace: boolean;
}

const isAsciiSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

/** CJK Unified Ideographs: each becomes a word of its own, and none decomposes. */
const isIdeograph = (code: number): boolean => code >= 0x4e00 && code <= 0x9fff;

/**
 * BERT's: words end at white space and ideographs stand alone, so a cut before either parts nothing. The normaliser
 * works character by character except for decomposition and the final sigma, and neither looks across them.
 */
const bertRule: CutRule = {
  mayCut: (text, index) => {
    const code = text.charCodeAt(index);
    return isAsciiSpace(code) || isIdeograph(code);
  },
  silentWhitespace: true,
};

/**
 * GPT-2's: its pattern never puts white space behind anything else in one match, so every match ends where white
 * space begins, whatever follows. Within a run of white space it looks ahead, so there is no cut there.
 */
const gpt2Rule: CutRule = {
  mayCut: (text, index) => text.charCodeAt(index) === 0x20 && /\S/.test(text.charAt(index - 1)),
  silentWhitespace: false,
};

/** The rule of a tokenizer; undefined for one whose texts are not known to be cuttable. */
export function cutRuleOf(json: TokenizerJson, config: TokenizerConfig): CutRule | undefined {
  const { normalizer, pre_tokenizer: preTokenizer, model, added_tokens: added } = json;
  if (model.fuse_unk === true) return undefined;
  // A token that holds white space or an ideograph could lie across a cut.
  if (added.some((token) => /[\s\u4e00-\u9fff]/.test(token.content))) return undefined;
  if (
    normalizer?.type === 'BertNormalizer' &&
    preTokenizer?.type === 'BertPreTokenizer' &&
    model.type === 'WordPiece'
  ) {
    return normalizer.handle_chinese_chars === true ? bertRule : { ...bertRule, mayCut: cutAtAsciiSpace };
  }
  if (normalizer !== null || model.type !== 'BPE' || config.remove_space === true) return undefined;
  if (config.do_lowercase_and_remove_accent === true || added.some((token) => token.lstrip || token.rstrip)) {
    return undefined;
  }
  const steps = preTokenizer?.type === 'Sequence' ? (preTokenizer.pretokenizers ?? []) : [preTokenizer];
  const last = steps.at(-1);
  const known = steps.slice(0, -1).every((step) => step?.type === 'Digits');
  return known && last?.type === 'ByteLevel' && last.use_regex !== false ? gpt2Rule : undefined;
}

const cutAtAsciiSpace = (text: string, index: number): boolean => isAsciiSpace(text.charCodeAt(index));

/**
 * The text in pieces, cut where the rule allows.
 * @param pieceChars how long a piece is at least, but for the last @default PIECE_CHARS
 * @throws WeftError `bad_request` when more than a Mi characters come without a place to cut
 */
export function* pieces(
  text: string,
  rule: CutRule | undefined,
  pieceChars: number = PIECE_CHARS,
): Generator<string, void, undefined> {
  let start = 0;
  while (start < text.length) {
    const end = nextCut(text, start, rule, pieceChars);
    if (end - start > UNCUT_CHARS_MAX) {
      throw new WeftError({
        code: 'bad_request',
        message: `The text has more than ${UNCUT_CHARS_MAX} characters in a row without a place to divide it.`,
        remedy: 'Send a shorter text, or one with spaces between its words.',
      });
    }
    yield text.slice(start, end);
    start = end;
  }
}

/** Where the piece that begins at `start` ends. Gives up, at a place beyond the limit, when nothing cuts it. */
function nextCut(text: string, start: number, rule: CutRule | undefined, pieceChars: number): number {
  if (rule === undefined || text.length - start <= pieceChars) return text.length;
  const last = Math.min(text.length, start + UNCUT_CHARS_MAX + 1);
  for (let index = start + pieceChars; index < last; index++) {
    if (rule.mayCut(text, index)) return index;
  }
  return last;
}

/** What a lower bound of a text's tokens is worked out from. */
export interface TokenFloor {
  /** Bytes of the longest token. */
  readonly longestBytes: number;
  /** 256 entries: 0 for a byte that has no token and is left out without a trace, else 1. */
  readonly counted: Uint8Array;
}

/**
 * The fewest tokens that the text can have: its bytes over those of the longest token. Takes 60 ms for 16 MiB.
 * @param floor undefined where a token can stand for text of any length: then the answer is 0
 */
export function minTokens(text: string, floor: TokenFloor | undefined): number {
  if (floor === undefined) return 0;
  const bytes = Buffer.from(text, 'utf8');
  let counted = 0;
  // By index: iterating takes twenty times as long.
  for (let index = 0; index < bytes.length; index++) counted += floor.counted[bytes[index] as number] as number;
  return Math.ceil(counted / floor.longestBytes);
}
