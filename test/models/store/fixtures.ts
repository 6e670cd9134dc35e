// A store in a folder that is gone after the test.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ModelStore, type ModelStoreInit } from '../../../models/store.ts';
import { temporaryFolder } from '../temporary.ts';

export interface Opened {
  readonly store: ModelStore;
  readonly root: string;
  readonly lines: string[];
}

/** A store that is open. */
export async function openStore(init: Partial<ModelStoreInit> & { readonly root?: string } = {}): Promise<Opened> {
  const { root = join(await temporaryFolder(), 'models'), ...rest } = init;
  const lines: string[] = [];
  const log = { warn: (_fields: unknown, message: string) => void lines.push(message) };
  const store = new ModelStore({ log }, { roots: [root], cacheFolder: join(root, '..', 'cache'), ...rest });
  await store.open();
  onTestFinished(() => store.close());
  return { store, root, lines };
}
