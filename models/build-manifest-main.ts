// `node models/build-manifest-main.ts FOLDER [--graph onnx/model_q4.onnx] [--licence Apache-2.0]` writes the folder's
// weft-manifest.json and prints the model's digest. For those who add a model folder by hand; see docs/models.md.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { toWeftError } from '../protocol/errors.ts';
import { buildManifest } from './build-manifest.ts';
import { MANIFEST_FILE, modelRef } from './manifest.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    graph: { type: 'string' },
    licence: { type: 'string' },
    id: { type: 'string' },
    task: { type: 'string' },
  },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error(
    'Usage: node models/build-manifest-main.ts FOLDER [--graph PATH] [--licence SPDX] [--id OWNER/NAME] [--task TASK]',
  );
  process.exitCode = 2;
} else {
  try {
    const manifest = await buildManifest(folder, values);
    await writeFile(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
    const { id, digest } = modelRef(manifest);
    console.log(`${id} ${digest}`);
  } catch (error) {
    const { message, remedy } = toWeftError(error);
    console.error(`${message} ${remedy}`);
    process.exitCode = 1;
  }
}
