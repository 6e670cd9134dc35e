// Where the parts of the installed package lie: the same functions run from source and from the bundle in dist/.
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackagePaths {
  /** Main script of a runner process. */
  readonly runnerEntry: string;
  /** Main script of the prep process. */
  readonly prepEntry: string;
  /** The models that come with the package, in the hub's layout. */
  readonly bundledModels: string;
  /** The built pages, where there are any. */
  readonly pages: string;
}

export function packagePaths(): PackagePaths {
  const here = dirname(fileURLToPath(import.meta.url));
  const bundled = basename(here) === 'dist';
  const root = bundled ? dirname(here) : join(here, '..', '..');
  return {
    runnerEntry: bundled ? join(here, 'runner.js') : join(root, 'node', 'engine', 'runner', 'main.ts'),
    prepEntry: bundled ? join(here, 'prep.js') : join(root, 'node', 'prep', 'main.ts'),
    bundledModels: join(root, 'models', 'bundled'),
    pages: join(root, 'dist', 'ui'),
  };
}
