// Files that a person names on a command line: a text, a tensor, a schema. What they name may also be a pipe or a device,
// whose size nobody knows before its end.
import { createReadStream } from 'node:fs';
import { WeftError } from '../../protocol/errors.ts';
import { systemCode } from '../config/files.ts';

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

/**
 * The whole file, for a request.
 * @param init.remedy what to name instead of what can't be read, or is too large
 * @throws WeftError `bad_request`; `cancelled` after the signal
 */
export async function readFileForRequest(
  path: string,
  init: { readonly bytesMax: number; readonly signal: AbortSignal; readonly remedy: string },
): Promise<Buffer> {
  const { bytesMax, signal, remedy } = init;
  const refused = (message: string, cause?: unknown): WeftError =>
    new WeftError({ code: 'bad_request', message, remedy }, { cause });
  let bytes: Buffer | undefined;
  try {
    bytes = await readInputFile(path, bytesMax, { signal });
  } catch (error) {
    if (signal.aborted) throw new WeftError({ code: 'cancelled', message: 'Ended while reading a file.' });
    throw refused(`The file ${path} can't be read (${systemCode(error) ?? 'unknown error'}).`, error);
  }
  if (bytes !== undefined) return bytes;
  throw refused(`The file ${path} is larger than a request may be.`);
}
