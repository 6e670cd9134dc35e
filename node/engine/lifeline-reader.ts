// Reads what a runner's lifeline says (runner/lifeline.ts). The other end is a process that may have been taken over by a
// hostile model: whatever is no such line is dropped.
import { LIFELINE_LINE_CHARS_MAX } from './limits.ts';

/** What a runner says of itself. */
export interface RunnerReading {
  /** Resident bytes of the whole process. */
  readonly residentBytes: number;
  /** The most that it was since the last reading. */
  readonly peakBytes: number;
  /** For how long its main thread has stood still; 0 = it turns. */
  readonly stalledMs: number;
}

const READING = /^(\d{1,15}) (\d{1,15}) (\d{1,15})$/;
const OVER = /^over (\d{1,15}) (\d{1,15})$/;

/** Puts pieces together to lines, and tells what they say. */
export class LifelineReader {
  readonly #components: {
    readonly onReading: (reading: RunnerReading) => void;
    /** The process is about to end itself, because it takes more than its cap. */
    readonly onOver: (residentBytes: number, capBytes: number) => void;
  };
  #rest = '';

  constructor(components: {
    readonly onReading: (reading: RunnerReading) => void;
    readonly onOver: (residentBytes: number, capBytes: number) => void;
  }) {
    this.#components = components;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, LIFELINE_LINE_CHARS_MAX);
    for (const line of lines) {
      const reading = READING.exec(line);
      if (reading !== null) {
        const [, resident, peak, stalled] = reading;
        this.#components.onReading({
          residentBytes: Number(resident),
          peakBytes: Number(peak),
          stalledMs: Number(stalled),
        });
      }
      const over = OVER.exec(line);
      if (over !== null) this.#components.onOver(Number(over[1]), Number(over[2]));
    }
  }
}
