// A JSON document of this layer in the Store: checked when it is read, written whole, one write at a time and in order.
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import type { Store } from '../core/store.ts';

/** Bytes as they stand in a document. */
export const base64Bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

/** The text that {@link base64Bytes} reads. */
export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** What is said of a document that can't be what this program wrote. */
export function damaged(name: string, cause?: unknown): WeftError {
  return new WeftError(
    {
      code: 'config_invalid',
      message: `The document "${name}" in the data folder is damaged.`,
      remedy: 'Restore the data folder from a backup, or use another one (WEFT_HOME) and join again.',
    },
    { cause },
  );
}

/** One document: `T` as written, checked by a zod schema when read. */
export class StoredDocument<Schema extends z.ZodType> {
  readonly #store: Store;
  readonly #name: string;
  readonly #schema: Schema;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(components: { readonly store: Store }, init: { readonly name: string; readonly schema: Schema }) {
    this.#store = components.store;
    this.#name = init.name;
    this.#schema = init.schema;
  }

  /** Undefined when it was never written. @throws WeftError `config_invalid` when it is damaged */
  async load(): Promise<z.output<Schema> | undefined> {
    const bytes = await this.#store.read(this.#name);
    if (bytes === undefined) return undefined;
    try {
      return this.#schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    } catch (cause) {
      throw damaged(this.#name, cause);
    }
  }

  /** Writes after every earlier save has ended, well or not. */
  save(value: z.input<Schema>): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    const write = this.#lastWrite.then(() => this.#store.write(this.#name, bytes));
    // The caller of the failed save hears of it; the next one is tried all the same.
    this.#lastWrite = write.catch(() => undefined);
    return write;
  }
}
