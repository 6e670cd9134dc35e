// What this node reads out to its peers: manifests, and pieces of the files that they list.
import { open } from 'node:fs/promises';
import { canonicalJson } from '../../models/manifest.ts';
import type { ModelStore } from '../../models/store.ts';
import type { SharedFiles } from '../mesh/serve-files.ts';

/** Reads from the store; nothing outside its manifests can be named. */
export function modelFiles(store: ModelStore): SharedFiles {
  return {
    manifestJson: (digest) => {
      const installed = store.byDigest(digest);
      return installed && canonicalJson(installed.manifest);
    },
    read: async (sha256, offset, length) => {
      const file = store.fileByDigest(sha256);
      if (file === undefined) return undefined;
      const bytes = new Uint8Array(Math.max(0, Math.min(length, file.sizeBytes - offset)));
      const handle = await open(file.path, 'r');
      try {
        const { bytesRead } = await handle.read(bytes, 0, bytes.byteLength, offset);
        return { bytes: bytes.subarray(0, bytesRead), sizeBytes: file.sizeBytes };
      } finally {
        await handle.close();
      }
    },
  };
}
