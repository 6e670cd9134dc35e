// A terminal taken over for `weft top`: the alternate screen, keys one by one, and everything as it was afterwards.
import type { CommandContext } from './context.ts';
import type { Window } from './top-view.ts';

const ENTER = '\u{1b}[?1049h\u{1b}[?25l'; // alternate screen, cursor hidden
const LEAVE = '\u{1b}[?25h\u{1b}[?1049l';
const HOME = '\u{1b}[H';
const CLEAR_LINE = '\u{1b}[K';
const CLEAR_BELOW = '\u{1b}[J';
/** q, Q, Ctrl-C, Ctrl-D: with raw keys Ctrl-C is no signal. */
const LEAVING = ['q', 'Q', '\u{3}', '\u{4}'];

/** A window that does not say its size. */
const USUAL: Window = { columns: 80, rows: 24 };

export class TopScreen implements Disposable {
  readonly #context: CommandContext;
  readonly #onKeys: (chunk: Buffer | string) => void;
  readonly #onResize: () => void;
  readonly #rawBefore: boolean;

  /** @param init.onLeave is called when a key says so; `onResize` when the window has another size */
  constructor(context: CommandContext, init: { readonly onLeave: () => void; readonly onResize: () => void }) {
    this.#context = context;
    this.#onKeys = (chunk) => {
      const keys = chunk.toString();
      if (LEAVING.some((key) => keys.includes(key))) init.onLeave();
    };
    this.#onResize = init.onResize;
    const { stdin, stdout } = context;
    this.#rawBefore = 'isRaw' in stdin && stdin.isRaw === true;
    stdin.setRawMode?.(true);
    stdin.on('data', this.#onKeys).on('end', init.onLeave);
    stdin.resume();
    stdout.on('resize', this.#onResize);
    stdout.write(ENTER);
  }

  get window(): Window {
    const { columns, rows } = this.#context.stdout;
    return { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
  }

  /** Shows these lines and nothing else. A terminal that is slow to take them misses some. */
  draw(lines: readonly string[]): void {
    const { stdout } = this.#context;
    if (stdout.writableNeedDrain) return;
    // Cleared before it is written: a line as wide as the window leaves the cursor on its last character.
    const text = lines.map((line) => `${CLEAR_LINE}${line}`).join('\r\n');
    stdout.write(`${HOME}${text}${lines.length < this.window.rows ? `\r\n${CLEAR_BELOW}` : ''}`);
  }

  /** Gives the terminal back as it was. */
  [Symbol.dispose](): void {
    const { stdin, stdout } = this.#context;
    stdin.off('data', this.#onKeys);
    stdin.pause();
    stdin.setRawMode?.(this.#rawBefore);
    stdout.off('resize', this.#onResize);
    stdout.write(LEAVE);
  }
}
