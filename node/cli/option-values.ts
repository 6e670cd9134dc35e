// How values of options are read: what several commands take alike.
import { InvalidArgumentError } from 'commander';

/** Every value of an option that may be given more than once. */
export const gathered = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

/** A count. @throws InvalidArgumentError */
export function positiveInteger(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number of 1 or more.');
}
