// Files that a person names on a command line: a tensor, a schema. What they name may also be a pipe or a device, whose
// size nobody knows before its end.
import { createReadStream } from 'node:fs';

/**
 * The whole file, or undefined where it holds more than `bytesMax` bytes.
 * @throws the system's error when it can't be read; an AbortError after the signal
 */
export async function readInputFile(
  path: string,
  bytesMax: number,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(path, signal === undefined ? {} : { signal }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
