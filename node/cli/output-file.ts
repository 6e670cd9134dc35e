// Files that a command writes for a person. Used by `weft infer` and `weft show --cuts`.
import { writeFile } from 'node:fs/promises';
import { WeftError } from '../../protocol/errors.ts';
import { systemCode } from '../config/files.ts';

/** An earlier file of that name is replaced. @throws WeftError `bad_request` where it can't be written */
export async function writeOrRefuse(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await writeFile(path, content);
  } catch (error) {
    const message = `The file ${path} can't be written (${systemCode(error) ?? 'unknown error'}).`;
    throw new WeftError(
      { code: 'bad_request', message, remedy: 'Name a file in a folder of yours.' },
      { cause: error },
    );
  }
}
