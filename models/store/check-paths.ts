// Where the files of a model may lie in a folder, on any disk. Asked before anything is laid there.
import { OWN_FILES } from '../manifest.ts';
import { corrupt } from './disk-error.ts';

/** Bytes of a name: the bound of nearly every disk. */
const NAME_BYTES_MAX = 255;

/**
 * As a manifest's paths are: relative, forward slashes, no step upwards. And every disk can take all of them: names are not
 * too long, and no file is another one, or the folder of another one, even where neither cases nor
 * ways of writing a letter are told apart.
 */
export function checkPaths(paths: readonly string[]): void {
  const taken = new Set<string>();
  const above = new Set<string>();
  for (const path of paths) {
    const parts = path.split('/');
    const fits = path.length <= 512 && !/[\\:\0]/.test(path) && !parts.some((part) => /^\.{0,2}$/.test(part));
    if (!fits) throw corrupt('The path of a file leaves the folder of its model.');
    if (parts.some((part) => Buffer.byteLength(part) > NAME_BYTES_MAX))
      throw corrupt('The name of a file is too long.');
    const plain = path.normalize().toLowerCase();
    if (taken.has(plain)) throw corrupt(`Two files of the model are called "${path}".`);
    taken.add(plain);
    for (let at = plain.indexOf('/'); at >= 0; at = plain.indexOf('/', at + 1)) above.add(plain.slice(0, at));
  }
  for (const folder of above) {
    if (taken.has(folder) || OWN_FILES.has(folder)) throw corrupt(`"${folder}" is a file of the model, and a folder.`);
  }
}
