// The little colour there is. `styleText` leaves it out where NO_COLOR is set or the terminal has none.
import { styleText } from 'node:util';
import type { Output } from './context.ts';

/** A line that steps back behind the answer, its end included; plain where the stream is no terminal. */
export function dimLine(stream: Output, text: string): string {
  return `${stream.isTTY ? styleText('dim', text, { stream }) : text}\n`;
}
