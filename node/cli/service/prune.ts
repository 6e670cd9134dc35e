// Frees the space of ONNX Runtime's binaries for other systems: its npm package brings all of them to every machine.
import { readdir, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';

/** A folder of binaries that can't run here. */
export interface ForeignBinaries {
  readonly folder: string;
  readonly sizeBytes: number;
}

/** Folder of the installed onnxruntime-node that holds `PLATFORM/ARCH` folders, or undefined where it isn't installed. */
export function runtimeBinaries(from: string | URL): string | undefined {
  try {
    // The package's main file is dist/index.js; the version of the native interface is part of the folder's name.
    const main = createRequire(from).resolve('onnxruntime-node');
    return join(dirname(dirname(main)), 'bin');
  } catch {
    return undefined; // not installed: there is nothing to free
  }
}

/** The folders for other platforms and processors, smallest path first. */
export async function foreignBinaries(
  bin: string,
  { platform, arch }: { readonly platform: string; readonly arch: string },
): Promise<ForeignBinaries[]> {
  const found: ForeignBinaries[] = [];
  for (const abi of await folders(bin)) {
    for (const system of await folders(join(bin, abi))) {
      for (const processor of await folders(join(bin, abi, system))) {
        if (system === platform && processor === arch) continue;
        const folder = join(bin, abi, system, processor);
        found.push({ folder, sizeBytes: await sizeOf(folder) });
      }
    }
  }
  return found.sort((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** Removes them. */
export async function removeBinaries(foreign: readonly ForeignBinaries[]): Promise<void> {
  for (const { folder } of foreign) await rm(folder, { recursive: true, force: true });
}

/** Like `darwin/arm64`. */
export function platformOf({ folder }: ForeignBinaries): string {
  return folder.split(sep).slice(-2).join('/');
}

async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) bytes += (await stat(join(folder, name))).size;
  return bytes;
}
