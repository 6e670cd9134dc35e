// A few lines at the bottom of a terminal that change in place. Lines that stay are printed above them.
import { styleText } from 'node:util';
import type { Output } from './context.ts';
import { textWidth } from './text-width.ts';
import type { ViewLine } from './transfer-view.ts';

/** A terminal that doesn't say its size. */
const COLUMNS_USUAL = 80;

const TONES = { plain: undefined, dim: 'dim', bad: 'yellow' } as const;

export class LiveLines {
  readonly #output: Output;
  /** Widths of the lines that stand there now. */
  #widths: readonly number[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** Columns that a line may have: one less than the window, whose last makes some terminals break the line. */
  get columns(): number {
    return Math.max(1, this.#window - 1);
  }

  /**
   * Shows these lines in the place of those that stand there. A terminal that is slow to take them misses some.
   * @param above lines that stay, each whole
   */
  draw(lines: readonly ViewLine[], above: readonly string[] = []): void {
    if (this.#output.writableNeedDrain && above.length === 0) return;
    const kept = above.map((line) => `${line}\n`).join('');
    this.#output.write(`${this.#toTop()}${kept}${lines.map((line) => this.#painted(line)).join('\n')}`);
    this.#widths = lines.map(({ text }) => textWidth(text));
  }

  /** Takes the changing lines away. */
  end(): void {
    if (this.#widths.length === 0) return;
    this.#output.write(this.#toTop());
    this.#widths = [];
  }

  get #window(): number {
    return this.#output.columns || COLUMNS_USUAL;
  }

  /** To the first column of the first changing line, all of them cleared. A window that shrank has broken some in two. */
  #toTop(): string {
    const rows = this.#widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / this.#window)), 0);
    return `${rows > 1 ? `\u{1b}[${rows - 1}A` : ''}\r\u{1b}[J`;
  }

  #painted({ text, tone }: ViewLine): string {
    const style = TONES[tone];
    return style === undefined ? text : styleText(style, text, { stream: this.#output });
  }
}
