// Writes the parts of a graph as ONNX files: each graph with the file of its weights beside it, and a page that says how they
// are chained. For `weft cut`.
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WeftError } from '../../protocol/errors.ts';
import type { GraphPart } from '../../protocol/part.ts';
import { systemCode } from '../config/files.ts';
import type { PartFile, PartMaker } from '../core/prep.ts';

export interface CutFilesInit {
  /** Hub id of the model, and its digest. */
  readonly model: { readonly id: string; readonly digest: string };
  /** The graph's file: absolute. */
  readonly graph: string;
  /** Chained parts. */
  readonly parts: readonly GraphPart[];
  /** What their names begin with. */
  readonly name: string;
  /** Must not exist, or be empty. */
  readonly out: string;
  readonly signal: AbortSignal;
}

/** A part that was written. */
export interface WrittenPart {
  /** In the folder; the weights, where it has any, are in the file of the same name and `.data`. */
  readonly file: string;
  /** Of both files. */
  readonly sizeBytes: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** How the parts are chained: what the page beside them holds. */
export const CHAIN_FILE = 'parts.json';

/**
 * Writes all of them or nothing.
 * @throws WeftError `bad_request` where something is there already or can't be written; as PartMaker.partModels
 */
export async function writeParts(maker: PartMaker, init: CutFilesInit): Promise<readonly WrittenPart[]> {
  const { graph, parts, name, signal } = init;
  const out = resolve(init.out);
  await checkOut(out);
  const files = parts.map((_part, index) => `${name}.part${index + 1}.onnx`);
  const made = await maker.partModels(
    { graph, parts: parts.map((part, index) => ({ part, weights: `${files[index]}.data` })) },
    { signal },
  );
  const folder = await refusing(out, async () => {
    const unfinished = join(dirname(out), `.${basename(out)}-${randomBytes(4).toString('hex')}`);
    await mkdir(dirname(out), { recursive: true });
    await mkdir(unfinished);
    return unfinished;
  });
  try {
    const written = parts.map(({ inputs, outputs }, index): WrittenPart => {
      const { model, weights } = made[index] as PartFile;
      const sizeBytes = model.byteLength + Math.max(0, ...weights.map(({ at, length }) => at + length));
      return { file: files[index] as string, sizeBytes, inputs: inputs.map((input) => input.name), outputs };
    });
    await refusing(out, async () => {
      for (const [index, file] of files.entries()) {
        await writePart(join(folder, file), made[index] as PartFile, dirname(graph), signal);
      }
      const chain = { model: init.model, parts: written };
      await writeFile(join(folder, CHAIN_FILE), `${JSON.stringify(chain, undefined, 2)}\n`);
      // An empty folder gives way; one that is not empty any more doesn't.
      await rmdir(out).catch((error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
      });
      await rename(folder, out);
    });
    return written;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** @throws WeftError `bad_request` for a file, or a folder with anything in it */
export async function checkOut(out: string): Promise<void> {
  const names = await readdir(out).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw unwritable(out, error);
  });
  if (names.length === 0) return;
  throw new WeftError({
    code: 'bad_request',
    message: `The folder ${out} has files in it, and none is overwritten.`,
    remedy: 'Name a folder that is empty, or that does not exist yet, with --out.',
  });
}

async function writePart(path: string, { model, weights }: PartFile, from: string, signal: AbortSignal): Promise<void> {
  await writeFile(path, model, { flag: 'wx' });
  if (weights.length === 0) return;
  await using file = await open(`${path}.data`, 'wx');
  for (const { location, offset, length, at } of weights) {
    let position = at;
    const source = createReadStream(join(from, ...location.split('/')), { start: offset, end: offset + length - 1 });
    const target = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        file.write(chunk, 0, chunk.byteLength, position).then(() => {
          position += chunk.byteLength;
          done();
        }, done);
      },
    });
    await pipeline(source, target, { signal });
    if (position - at === length) continue;
    throw new WeftError({
      code: 'model_corrupt',
      message: `The file of the weights, ${location}, is shorter than the graph says.`,
      remedy: 'Check it with `weft verify`, or get it again.',
    });
  }
}

async function refusing<Result>(out: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof WeftError || systemCode(error) === undefined ? error : unwritable(out, error);
  }
}

const unwritable = (out: string, cause: unknown): WeftError =>
  new WeftError(
    {
      code: 'bad_request',
      message: `The folder ${out} can't be written (${systemCode(cause) ?? 'unknown error'}).`,
      remedy: 'Name a folder of yours with --out, on a disk with room for the weights.',
    },
    { cause },
  );
