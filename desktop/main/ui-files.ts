// The pages of the desktop window: the files that the build puts into dist/ui, with the same rules for what they may do as
// the node gives them in a browser.
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { PAGE_HEADERS, PAGE_TYPES } from '../../protocol/pages.ts';

const INDEX = 'index.html';

export interface UiFiles {
  /** @param path of the URL, still escaped */
  answer(path: string): Promise<Response>;
}

/** @param folder of the built pages, `index.html` in it */
export function uiFiles(folder: string): UiFiles {
  let names: Promise<ReadonlySet<string>> | undefined;
  return {
    async answer(path) {
      names ??= namesIn(folder);
      const known = await names;
      const name = path === '/' ? INDEX : path.slice(1);
      // By name from a list: no path that a page makes up is ever opened.
      if (!known.has(name)) {
        if (known.size === 0) names = undefined; // Not built yet: looked at again.
        const text = known.size === 0 ? 'The pages were not built: run `npm run build`.' : 'There is no such file.';
        return new Response(`${text}\n`, {
          status: 404,
          headers: {
            ...PAGE_HEADERS,
            'content-type': 'text/plain; charset=utf-8',
            'x-content-type-options': 'nosniff',
          },
        });
      }
      return new Response(await readFile(join(folder, name)), {
        headers: {
          ...PAGE_HEADERS,
          'content-type': PAGE_TYPES[extname(name)] ?? 'application/octet-stream',
          'x-content-type-options': 'nosniff',
          'cache-control': name === INDEX ? 'no-store' : 'public, max-age=31536000, immutable',
        },
      });
    },
  };
}

/** Plain files only: a link could lead out of the folder. */
async function namesIn(folder: string): Promise<ReadonlySet<string>> {
  const names = async (within: string): Promise<string[]> => {
    const entries = await readdir(join(folder, within), { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map(({ name }) => `${within}${name}`);
  };
  return new Set([...(await names('')), ...(await names('assets/'))]);
}
