// Which tokens' log probabilities go out with which text: each token's with the text that begins in it, whatever held
// that text back on its way. Kept by the answer.
import type { TokenPiece } from '../../models/tasks/token-bytes.ts';
import type { TokenLogprob } from '../../protocol/infer.ts';
import type { TokenReport, TokenText } from '../core/coordinator.ts';

/** Text that came out of the detokenizer at once, and the tokens that it is made of. */
interface Stretch {
  /** UTF-16 units of it that are neither shown nor dropped. */
  left: number;
  /** Empty once they have gone out. */
  reports: readonly TokenReport[];
}

export class TokenReports {
  readonly #piece: (id: number) => TokenPiece;
  /** Tokens whose text is still to come, because they are a part of a character. */
  #pending: TokenReport[] = [];
  /** In the order of the text. */
  readonly #stretches: Stretch[] = [];

  constructor(init: { readonly piece: (id: number) => TokenPiece }) {
    this.#piece = init.piece;
  }

  /** A token that was drawn. Special tokens are no part of the text and have no report. */
  drawn(id: number, logprob: TokenLogprob | undefined): void {
    const piece = this.#piece(id);
    if (logprob === undefined || piece.special) return;
    const top = logprob.top.map((other) => textOf(this.#piece(other.id), other.logprob));
    this.#pending.push({ ...textOf(piece, logprob.logprob), top });
  }

  /** So much text came of the tokens that were drawn since the last text. */
  text(length: number): void {
    if (length === 0) return;
    this.#stretches.push({ left: length, reports: this.#pending });
    this.#pending = [];
  }

  /** The next so many units go out. @returns reports of the tokens that begin in them or before, and have not gone out */
  shown(length: number): readonly TokenReport[] {
    const reports: TokenReport[] = [];
    this.#pass(length, (stretch) => {
      reports.push(...stretch.reports);
      stretch.reports = [];
    });
    return reports;
  }

  /** The next so many units are no part of the answer's text: a token of nothing else has no report. */
  dropped(length: number): void {
    this.#pass(length, () => undefined);
  }

  #pass(length: number, visit: (stretch: Stretch) => void): void {
    for (let left = length; left > 0; ) {
      const [stretch] = this.#stretches;
      if (stretch === undefined) return;
      visit(stretch);
      const passed = Math.min(left, stretch.left);
      stretch.left -= passed;
      left -= passed;
      if (stretch.left === 0) this.#stretches.shift();
    }
  }
}

const textOf = ({ text, bytes }: TokenPiece, logprob: number): TokenText => ({ token: text, bytes, logprob });
