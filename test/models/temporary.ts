// A folder that is gone after the test, and a small model in it.
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { tinyGraph } from './onnx/onnx-bytes.ts';
import { MINILM } from './paths.ts';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-models-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** ROOT/OWNER/NAME with MiniLM's tokenizer and a graph of a few bytes, whose weights lie in a file of their own. */
export async function tinyModel(root: string, id = 'owner/tiny'): Promise<string> {
  const folder = join(root, ...id.split('/'));
  await mkdir(join(folder, 'onnx'), { recursive: true });
  for (const name of ['LICENSE', 'config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    await cp(join(MINILM, name), join(folder, name));
  }
  await writeFile(join(folder, 'onnx', 'model.onnx'), tinyGraph('model.onnx_data'));
  await writeFile(join(folder, 'onnx', 'model.onnx_data'), new Uint8Array(5 << 20).fill(7));
  return folder;
}
