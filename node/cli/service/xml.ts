// Text inside XML elements, for the two service files that are XML.
import { WeftError } from '../../../protocol/errors.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** @throws WeftError `config_invalid` for characters that XML has no way to write */
export function xmlText(value: string): string {
  if (/\p{Cc}|[\ufffe\uffff]/u.test(value) || !value.isWellFormed()) {
    throw new WeftError({
      code: 'config_invalid',
      message: 'A path of the service has control characters.',
      remedy: 'Choose folders with plain names.',
    });
  }
  return value.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
