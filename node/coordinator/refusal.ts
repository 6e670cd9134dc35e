// What a request is refused with that asks for something impossible. Used by everything here.
import { WeftError } from '../../protocol/errors.ts';

/**
 * A `bad_request`.
 * @param message says what is wrong, and what would be right
 * @param param the field as the API names it
 */
export const refusal = (message: string, param: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param } });

/** The field of a list of which most requests have one entry: then the list itself. */
export const position = (param: string, list: readonly unknown[], index: number): string =>
  list.length === 1 ? param : `${param}[${index}]`;
