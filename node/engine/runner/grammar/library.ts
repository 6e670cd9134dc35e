// The grammar library, XGrammar in WebAssembly, as it can be loaded: its package says that it is a module, but its file is
// CommonJS. Used by the grammar worker only.
import { readFileSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const PACKAGE = '@mlc-ai/web-xgrammar';

/** What is used of the library. */
export type GrammarLibrary = typeof import('@mlc-ai/web-xgrammar');

/** What is used of WebAssembly, which the declarations of Node leave to those of browsers. */
interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface WithMemory {
  readonly WebAssembly: { readonly Memory: { readonly prototype: Memory } };
}

/**
 * Loads the library into this thread.
 * @param bytesMax what its memory may grow to; the library itself would take 2 GiB
 */
export function loadGrammarLibrary(bytesMax: number): GrammarLibrary {
  const { prototype } = (globalThis as unknown as WithMemory).WebAssembly.Memory;
  const { grow } = prototype;
  prototype.grow = function bounded(this: Memory, pages: number): number {
    if (this.buffer.byteLength + pages * 65_536 > bytesMax) throw new RangeError('The grammar takes too much memory.');
    return grow.call(this, pages);
  };
  const hooks = registerHooks({
    load(url, context, next) {
      if (!url.includes(`/${PACKAGE}/`)) return next(url, context);
      return { format: 'commonjs', source: readFileSync(fileURLToPath(url)), shortCircuit: true };
    },
  });
  try {
    return createRequire(import.meta.url)(PACKAGE) as GrammarLibrary;
  } finally {
    hooks.deregister();
  }
}
