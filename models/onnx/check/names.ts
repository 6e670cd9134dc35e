// What a check may look for, and what every part of it uses.
import { onnxCorrupt } from '../protobuf.ts';

/**
 * Parts of the check, so that tests can leave one out and see the attack succeed. `elements`: tensors are what their
 * shape says; `places`: external data stays beside the graph; `links`: and is reached without one; `extents`: and is as
 * long as said; `domains`: operators are ONNX's, the runtime's or the file's own; `outside`: none of them names a file;
 * `made`: none makes a huge tensor of numbers in the file; `names`: no tensor or node has two sources; `calls`:
 * functions end, and don't multiply without bound.
 */
export type OnnxCheck =
  | 'elements'
  | 'places'
  | 'links'
  | 'extents'
  | 'domains'
  | 'outside'
  | 'made'
  | 'names'
  | 'calls';

/** All of them. */
export const ONNX_CHECKS: ReadonlySet<OnnxCheck> = new Set<OnnxCheck>([
  'elements',
  'places',
  'links',
  'extents',
  'domains',
  'outside',
  'made',
  'names',
  'calls',
]);

/** A name from a hostile file, fit for one line of a message. */
export function quoted(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]/g, '?');
  return JSON.stringify(plain.length > 80 ? `${plain.slice(0, 77)}...` : plain);
}

/** Notices when a field that a message may have once is there twice: protobuf would merge them, or take the last. */
export class Once {
  #seen = 0;

  /** @param number of the field, below 32 */
  see(number: number, what: string): void {
    const bit = 1 << number;
    if ((this.#seen & bit) !== 0) throw onnxCorrupt(`${what} is written twice in one place`);
    this.#seen |= bit;
  }
}
