// The manifests of the bundled models, for tests that need no engine.
import { readFile } from 'node:fs/promises';
import { type Manifest, parseManifest } from '../../../../models/manifest.ts';

const BUNDLED = new URL('../../../../models/bundled/', import.meta.url);

const read = async (id: string): Promise<Manifest> =>
  parseManifest(await readFile(new URL(`${id}/weft-manifest.json`, BUNDLED), 'utf8'));

export const minilm = (): Promise<Manifest> => read('Xenova/all-MiniLM-L6-v2');
export const smollm = (): Promise<Manifest> => read('HuggingFaceTB/SmolLM2-135M-Instruct');
