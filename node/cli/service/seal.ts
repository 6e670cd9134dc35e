// Tells a service file as Weft wrote it from one that a person has changed: a line in it holds the digest of the rest.
import { createHash } from 'node:crypto';

const SEAL = /weft-service sha256:[0-9a-f]{64}/;
const OPEN = `weft-service sha256:${'0'.repeat(64)}`;

/** `ours`: as Weft wrote it, whichever version. `changed`: by a person, or not Weft's at all. */
export type Authorship = 'ours' | 'changed';

/** Puts the seal in: `comment` makes a comment line of it, which goes behind the first line of an XML file, else first. */
export function seal(text: string, comment: (line: string) => string): string {
  const [first = '', ...rest] = text.split(/(?<=\n)/);
  const line = `${comment(`${OPEN}: changed by hand, it is not overwritten`)}${first.endsWith('\r\n') ? '\r\n' : '\n'}`;
  const open = first.startsWith('<?xml') ? [first, line, ...rest].join('') : line + text;
  return open.replace(OPEN, `weft-service sha256:${digest(open)}`);
}

/** Who wrote this text last. */
export function authorship(text: string): Authorship {
  const found = SEAL.exec(text)?.[0];
  return found?.endsWith(digest(text.replace(SEAL, OPEN))) ? 'ours' : 'changed';
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
