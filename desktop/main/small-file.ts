// Small JSON files of the app itself: preferences, and where the window was. What is damaged or missing is as good as not
// there; what is written replaces the old file whole.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';

/** @returns undefined where there is no file, or none that is understood */
export function readJson<Schema extends z.ZodType>(path: string, schema: Schema): z.infer<Schema> | undefined {
  try {
    if (statSync(path).size > SMALL_FILE_BYTES_MAX) return undefined;
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined; // The caller has a default for that.
  }
}

/** @throws the system's error */
export function writeJson(path: string, value: unknown): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
