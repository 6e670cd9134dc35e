// The lines that were typed in chats, kept in the data folder for the next one. Convenience: what fails here is told once,
// and the chat goes on.
import { open } from 'node:fs/promises';
import { WeftError } from '../../protocol/errors.ts';
import { PRIVATE_FILE_MODE, systemCode, unwritable, writeWhole } from '../config/files.ts';
import { HISTORY_BYTES_MAX, HISTORY_LINE_LENGTH_MAX, HISTORY_LINES_MAX } from './limits.ts';

/** Its name in the data folder. */
export const HISTORY_FILE = 'chat-history';

export interface LineHistoryInit {
  readonly path: string;
  /** Hears why lines are not kept, once. */
  readonly onProblem: (error: WeftError) => void;
}

export class LineHistory {
  /** What was kept, newest first, as readline wants it. */
  readonly lines: readonly string[];
  readonly #init: LineHistoryInit;
  /** Oldest first. */
  readonly #kept: string[];
  /** Lines in the file: those above the bound are cut off when there are twice as many. */
  #written: number;
  #last: Promise<void> = Promise.resolve();
  #broken = false;

  /** Reads what is there; never rejects. */
  static async open(init: LineHistoryInit): Promise<LineHistory> {
    try {
      return new LineHistory(init, await readTail(init.path));
    } catch (error) {
      const history = new LineHistory(init, []);
      history.#fail(error);
      return history;
    }
  }

  private constructor(init: LineHistoryInit, lines: readonly string[]) {
    this.#init = init;
    this.#kept = lines.slice(-HISTORY_LINES_MAX);
    this.#written = lines.length;
    this.lines = this.#kept.toReversed();
  }

  /** Keeps a line, soon. Empty ones, very long ones and repetitions are left out. */
  add(line: string): void {
    if (this.#broken || line.trim() === '' || line.length > HISTORY_LINE_LENGTH_MAX) return;
    const clean = withoutControls(line);
    if (clean === this.#kept.at(-1)) return;
    this.#kept.push(clean);
    this.#kept.splice(0, this.#kept.length - HISTORY_LINES_MAX);
    this.#last = this.#last.then(() => this.#write(clean)).catch((error: unknown) => this.#fail(error));
  }

  /** Resolves when everything is written. */
  close(): Promise<void> {
    return this.#last;
  }

  async #write(line: string): Promise<void> {
    if (this.#broken) return;
    if (this.#written >= 2 * HISTORY_LINES_MAX) {
      await writeWhole(this.#init.path, `${this.#kept.join('\n')}\n`);
      this.#written = this.#kept.length;
      return;
    }
    // Appended, so that two chats at once lose nothing of each other.
    const file = await open(this.#init.path, 'a', PRIVATE_FILE_MODE);
    try {
      await file.chmod(PRIVATE_FILE_MODE);
      await file.appendFile(`${line}\n`);
    } finally {
      await file.close();
    }
    this.#written += 1;
  }

  #fail(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#init.onProblem(error instanceof WeftError ? error : unwritable(error));
  }
}

/** The file's last lines, oldest first; none where there is no file. */
async function readTail(path: string): Promise<string[]> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - HISTORY_BYTES_MAX);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size - start), position: start });
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    if (start > 0) lines.shift(); // cut in the middle
    return lines.filter((line) => line !== '' && line.length <= HISTORY_LINE_LENGTH_MAX).map(withoutControls);
  } finally {
    await file.close();
  }
}

/** A file that somebody else wrote must not drive the terminal when its lines are recalled. */
const withoutControls = (line: string): string => line.replace(/\p{Cc}/gu, ' ');
