// The little colour there is. `styleText` leaves it out where the stream is no terminal, or NO_COLOR is set.
import { styleText } from 'node:util';
import type { Output } from './context.ts';

/** Text that steps back behind the answer. */
export function dim(stream: Output, text: string): string {
  return stream.isTTY ? styleText('dim', text, { stream }) : text;
}
