// Multiaddrs at which members were reached before: where a node dials first after a restart, when mDNS is of no help.
import type { Store } from '../core/store.ts';

const DOCUMENT = 'addresses';
/** A mesh of a hundred members with a few addresses each; older ones fall out. */
const ADDRESSES_MAX = 512;

export class AddressBook {
  readonly #store: Store;
  #addresses: string[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(store: Store, addresses: string[]) {
    this.#store = store;
    this.#addresses = addresses;
  }

  /** Reads what an earlier run kept; an unreadable document counts as empty, since it is only a hint. */
  static async open(store: Store): Promise<AddressBook> {
    const bytes = await store.read(DOCUMENT);
    return new AddressBook(store, bytes === undefined ? [] : parse(new TextDecoder().decode(bytes)));
  }

  list(): readonly string[] {
    return this.#addresses;
  }

  /** Puts these first. Resolves once they are on disk. */
  async remember(addresses: readonly string[]): Promise<void> {
    const merged = [...new Set([...addresses, ...this.#addresses])].slice(0, ADDRESSES_MAX);
    if (merged.length === this.#addresses.length && merged.every((address) => this.#addresses.includes(address)))
      return;
    this.#addresses = merged;
    const bytes = new TextEncoder().encode(JSON.stringify(merged));
    const written = this.#writing.then(() => this.#store.write(DOCUMENT, bytes));
    // Its caller hears of a failure; the next write is tried all the same.
    this.#writing = written.catch(() => undefined);
    await written;
  }
}

function parse(json: string): string[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string').slice(0, ADDRESSES_MAX) : [];
  } catch {
    return [];
  }
}
