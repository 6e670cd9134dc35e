// Which large files have been hashed since the daemon started: a file is hashed again only when it has changed. Asked
// by the supervisor before every load; the hashing itself is the runner's.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstalledModel } from '../../models/installed.ts';

/** Remembers what was verified, by path, size, time of change and inode. */
export class VerifiedFiles {
  readonly #seen = new Map<string, string>();

  /** What the model's large files look like now, by path; a file that can't be read is told from any other state. */
  async look(model: InstalledModel): Promise<ReadonlyMap<string, string>> {
    const looks = new Map<string, string>();
    for (const file of model.manifest.files) {
      if (file.kind !== 'large') continue;
      const path = join(model.folder, ...file.path.split('/'));
      try {
        const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
        looks.set(path, `${size}/${mtimeNs}/${ctimeNs}/${ino}`);
      } catch {
        // The runner's own check says what is wrong with it.
        looks.set(path, 'unreadable');
      }
    }
    return looks;
  }

  /** True when every one of these was verified in this state. */
  has(looks: ReadonlyMap<string, string>): boolean {
    return looks.entries().every(([path, look]) => this.#seen.get(path) === look);
  }

  /** They were verified; `looks` is from before, so that a change in between is noticed next time. */
  add(looks: ReadonlyMap<string, string>): void {
    for (const [path, look] of looks) this.#seen.set(path, look);
  }
}
