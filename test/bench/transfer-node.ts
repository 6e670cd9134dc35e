// A whole node that receives while it chats: assembled as `weft serve` does it, with a second store to fetch into, and
// a plain libp2p beside the mesh's.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../node/core/clock.ts';
import { silentLog } from '../../node/core/log.ts';
import { Governor } from '../../node/mesh/transfer/governor.ts';
import { PeerTransfer } from '../../node/mesh/transfer/peer-transfer.ts';
import { until } from '../support/wait.ts';
import { startLocal } from './nodes.ts';
import type { End } from './transfer-child.ts';
import type { Roles } from './transfer-process.ts';
import { fetchPlain, plainLibp2p } from './transfer-stream.ts';
import { fetchInto, storeIn } from './transfer-weft.ts';

export async function openNode({ ticket, env, folder }: Roles['node']): Promise<End> {
  const { node } = await startLocal({ ...env }, ticket);
  const { mesh, engine } = node;
  const governor = new Governor({ clock: systemClock }, { busy: () => engine.load().requestsInFlight > 0 });
  const transfer = new PeerTransfer({ mesh, clock: systemClock, log: silentLog, governor });
  const store = await storeIn(folder);
  const plainHost = await plainLibp2p([]);
  let doneBytes = 0;
  let abort = new AbortController();
  let under: Promise<unknown> = Promise.resolve();
  return {
    address: node.url,
    key: node.apiKeyFile === undefined ? '' : (await readFile(node.apiKeyFile, 'utf8')).trim(),
    begin: async (request) => {
      const { from, file, plain } = request;
      if (plain === undefined) {
        await until('the sender', () => from.every((sender) => mesh.peer(sender)?.state === 'connected'));
      }
      abort = new AbortController();
      doneBytes = 0;
      const { signal } = abort;
      const again = async (): Promise<void> => {
        // The same file again and again, until it is told to stop.
        for (let before = 0; !signal.aborted; before += file.sizeBytes) {
          const onProgress = (progress: { readonly doneBytes: number }): void => {
            doneBytes = before + progress.doneBytes;
          };
          const onBytes = (bytes: number): void => {
            doneBytes += bytes;
          };
          if (plain !== undefined) await fetchPlain(plainHost, join(folder, 'plain'), request, { signal, onBytes });
          else await fetchInto(store, file, transfer, from, { signal, onProgress });
        }
      };
      under = again().catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      under.catch(() => undefined);
      await Promise.race([until('the first bytes', () => doneBytes > 0), under]);
    },
    moved: () => doneBytes,
    end: async () => {
      abort.abort();
      await under;
    },
  };
}
