// Helia's end of a transfer. Its packages lie apart (bench/bitswap), and are installed by `npm ci` there.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MESH_LIMITS } from '../../node/mesh/limits.ts';
import type { End } from './transfer-child.ts';
import type { BenchFile } from './transfer-file.ts';
import type { Roles } from './transfer-process.ts';

interface Contender {
  serve(folder: string, file: BenchFile, limits: typeof MESH_LIMITS): Promise<{ address: string; cid: string }>;
  fetchBlocks(
    folder: string,
    wanted: { readonly from: string; readonly cid: string; readonly sizeBytes: number },
    limits: typeof MESH_LIMITS,
  ): Promise<number>;
}

/** @throws Error that says how to install it */
async function contender(): Promise<Contender> {
  try {
    return (await import(new URL('./bitswap/contender.js', import.meta.url).href)) as Contender;
  } catch (cause) {
    throw new Error('Helia is not installed: run `npm ci` in test/bench/bitswap.', { cause });
  }
}

export async function openBitswap({ folder, file }: Roles['bitswap']): Promise<End> {
  const { serve, fetchBlocks } = await contender();
  if (file !== undefined) return serve(join(folder, 'blocks'), file, MESH_LIMITS);
  let round = 0;
  return {
    address: '',
    fetch: async ({ from, cid = '', file: { sizeBytes } }) => {
      // What lies there is not asked for: each round has a store of its own.
      const blocks = join(folder, String(++round));
      try {
        return { ms: await fetchBlocks(blocks, { from: from[0] ?? '', cid, sizeBytes }, MESH_LIMITS) };
      } finally {
        await rm(blocks, { recursive: true, force: true });
      }
    },
  };
}
