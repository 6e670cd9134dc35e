// Where the bundled models lie, and their manifests, for the tests of this layer.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Manifest, parseManifest } from '../../models/manifest.ts';

export const BUNDLED = fileURLToPath(new URL('../../models/bundled', import.meta.url));
export const SMOLLM2 = join(BUNDLED, 'HuggingFaceTB', 'SmolLM2-135M-Instruct');
export const MINILM = join(BUNDLED, 'Xenova', 'all-MiniLM-L6-v2');

export const manifestOf = (folder: string): Manifest =>
  parseManifest(readFileSync(join(folder, 'weft-manifest.json'), 'utf8'));
