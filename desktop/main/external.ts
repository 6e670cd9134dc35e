// Which addresses leave the app: the system's browser opens what a person clicks, and nothing that starts a program.
import { URL_LENGTH_MAX } from './limits.ts';

const SCHEMES: ReadonlySet<string> = new Set(['http:', 'https:', 'mailto:']);

/** @returns the address as it may be given to the system; undefined for any other */
export function externalUrl(text: string): string | undefined {
  if (text.length > URL_LENGTH_MAX) return undefined;
  const url = URL.parse(text);
  if (url === null || !SCHEMES.has(url.protocol)) return undefined;
  // A name before the host is there to look like the host.
  if (url.username !== '' || url.password !== '') return undefined;
  return url.href;
}
