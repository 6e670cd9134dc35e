// Functions that a file defines for itself. The runtime puts each in the place of its calls, and again in those within,
// so that a file of a kilobyte can become a billion nodes: here they are counted before anything is put anywhere.
import { ONNX_FUNCTIONS_MAX, ONNX_NODES_MAX } from '../../limits.ts';
import { onnxCorrupt } from '../protobuf.ts';
import { quoted } from './names.ts';

/** What a graph or function consists of, those within its nodes included. */
export class Body {
  nodes = 0;
  /** Times that each operator stands in it, by {@link operatorKey}. */
  readonly uses = new Map<string, number>();

  use(key: string): void {
    this.nodes++;
    this.uses.set(key, (this.uses.get(key) ?? 0) + 1);
  }
}

/** An operator or function by its full name. */
export function operatorKey(domain: string, name: string, overload: string): string {
  return `${domain === 'ai.onnx' ? '' : domain}\0${name}\0${overload}`;
}

/** Domain and name of a key, for a message. */
export function spelled(key: string): string {
  const [domain = '', name = ''] = key.split('\0');
  return quoted(domain === '' ? name : `${domain}:${name}`);
}

export class Functions {
  readonly #bodies = new Map<string, Body>();
  readonly #expanded = new Map<string, number>();

  /** @throws WeftError `model_corrupt` when it was defined before */
  define(key: string, body: Body): void {
    if (this.#bodies.has(key)) throw onnxCorrupt(`the function ${spelled(key)} is defined twice`);
    if (this.#bodies.size >= ONNX_FUNCTIONS_MAX) throw onnxCorrupt('it has too many functions');
    this.#bodies.set(key, body);
  }

  has(key: string): boolean {
    return this.#bodies.has(key);
  }

  /** @throws WeftError `model_corrupt` when what these functions stand for has no end, or too many nodes */
  check(main: Body): void {
    // Those that nothing calls are counted as well: a function may be called from where this reader doesn't look.
    for (const key of this.#bodies.keys()) this.#expand(key, []);
    bounded(this.#size(main, []));
  }

  #expand(key: string, trail: readonly string[]): number {
    const known = this.#expanded.get(key);
    if (known !== undefined) return known;
    const body = this.#bodies.get(key);
    if (body === undefined) return 1;
    if (trail.includes(key)) throw onnxCorrupt(`the function ${spelled(key)} calls itself`);
    if (trail.length > DEPTH_MAX) throw onnxCorrupt('its functions are nested too deeply');
    const size = bounded(this.#size(body, [...trail, key]));
    this.#expanded.set(key, size);
    return size;
  }

  #size(body: Body, trail: readonly string[]): number {
    let size = 0;
    for (const [key, count] of body.uses) size += count * this.#expand(key, trail);
    return size;
  }
}

/** Functions that call functions. */
const DEPTH_MAX = 64;

function bounded(nodes: number): number {
  if (nodes > ONNX_NODES_MAX) throw onnxCorrupt('its functions become more nodes than any model has');
  return nodes;
}
