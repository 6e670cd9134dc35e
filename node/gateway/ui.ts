// The node's own pages: the static files that the build puts into dist/ui, at `/` and below `/assets/`. They hold nothing of
// this node, so they need no sign-in; what they show they ask of the API.
import { hash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PAGE_HEADERS, PAGE_TYPES } from '../../protocol/pages.ts';

export interface PagesInit {
  /** Folder of the built pages, `index.html` in it; undefined where the node has none. */
  readonly folder: string | undefined;
  /** Sent with each file. Tests leave some out to show what they stop. @default PAGE_HEADERS */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Routes of the pages, which are answered without a key. */
export const PAGE_ROUTES: ReadonlySet<string> = new Set(['/', '/assets/*', '/favicon.ico']);

/** Types that get no smaller. */
const PACKED: ReadonlySet<string> = new Set(['.png', '.webp', '.woff2']);

const INDEX = 'index.html';

/** Names below /assets/ change with what is in them. */
const HASHED = 'public, max-age=31536000, immutable';

/** Past this level Brotli takes ten times as long for a twentieth less. */
const BROTLI_LEVEL = 6;

const ENCODERS = {
  br: (bytes: Buffer) =>
    promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_LEVEL } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes),
} as const;
type Encoding = keyof typeof ENCODERS;

/** True where a browser opens the page as such, in a tab of its own, whoever led it here. */
export function opensPage(headers: IncomingHttpHeaders): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

/** Registers the pages. */
export function registerPages(server: FastifyInstance, init: PagesInit): void {
  const pages = new Pages(init);
  server.get('/', (request, reply) => pages.answer(INDEX, request, reply));
  server.get('/assets/*', (request, reply) => {
    const name = (request.params as { '*'?: string })['*'] ?? '';
    return pages.answer(`assets/${name}`, request, reply);
  });
  // Browsers ask for it whatever the page says.
  server.get('/favicon.ico', (request, reply) => pages.answer('favicon.ico', request, reply));
}

/** One file, read once, and compressed once for each encoding that was asked for. */
interface Page {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly encoded: Map<Encoding, Promise<Buffer>>;
}

class Pages {
  readonly #folder: string | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  /** Names of all files, with forward slashes: what is not among them can't be named. */
  #names: ReadonlySet<string> = new Set();
  readonly #pages = new Map<string, Promise<Page>>();
  /** Of the index, when the folder was last looked at. */
  #mtimeMs: number | undefined;

  constructor({ folder, headers = PAGE_HEADERS }: PagesInit) {
    this.#folder = folder;
    this.#headers = headers;
  }

  async answer(name: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    reply.headers(this.#headers);
    await this.#look(name);
    if (!this.#names.has(INDEX)) return missing(reply);
    if (!this.#names.has(name)) return name === 'favicon.ico' ? reply.status(204).send() : notFound(reply);
    const page = await this.#page(name);
    reply.headers({
      'cache-control': name.startsWith('assets/') ? HASHED : 'no-cache',
      etag: page.etag,
      vary: 'accept-encoding',
    });
    if (request.headers['if-none-match']?.includes(page.etag) === true) return reply.status(304).send();
    const type = extname(name);
    reply.header('content-type', PAGE_TYPES[type] ?? 'application/octet-stream');
    const encoding = PACKED.has(type) ? undefined : accepted(request.headers['accept-encoding']);
    if (encoding === undefined) return reply.send(page.bytes);
    return reply.header('content-encoding', encoding).send(await encodedAs(page, encoding));
  }

  /** Reads the folder's names at first, and anew when another build lies there, which only the index tells. */
  async #look(name: string): Promise<void> {
    const folder = this.#folder;
    if (folder === undefined || (name !== INDEX && this.#mtimeMs !== undefined)) return;
    const mtimeMs = await stat(join(folder, INDEX)).then(
      (found) => found.mtimeMs,
      () => undefined, // Not built, or taken away.
    );
    if (mtimeMs === this.#mtimeMs) return;
    this.#names = mtimeMs === undefined ? new Set() : await namesIn(folder);
    this.#mtimeMs = mtimeMs;
    this.#pages.clear();
  }

  #page(name: string): Promise<Page> {
    const known = this.#pages.get(name);
    if (known !== undefined) return known;
    const page = readFile(join(this.#folder ?? '', name)).then((bytes) => ({
      bytes,
      etag: `"${hash('sha256', bytes, 'base64url').slice(0, 22)}"`,
      encoded: new Map(),
    }));
    this.#pages.set(name, page);
    page.catch(() => this.#pages.delete(name)); // Who asked hears of it; the next one tries again.
    return page;
  }
}

/** Plain files only: a link could lead out of the folder. */
async function namesIn(folder: string): Promise<ReadonlySet<string>> {
  const names = async (within: string): Promise<string[]> => {
    const entries = await readdir(join(folder, within), { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ name }) => `${within}${name}`);
  };
  return new Set([...(await names('')), ...(await names('assets/').catch(() => []))]);
}

function encodedAs({ bytes, encoded }: Page, encoding: Encoding): Promise<Buffer> {
  const made = encoded.get(encoding) ?? ENCODERS[encoding](bytes);
  encoded.set(encoding, made);
  return made;
}

function accepted(header: string | string[] | undefined): Encoding | undefined {
  const given = new Set(
    String(header ?? '')
      .split(',')
      .map((part) => part.trim().toLowerCase()),
  );
  return given.has('br') ? 'br' : given.has('gzip') ? 'gzip' : undefined;
}

function missing(reply: FastifyReply): FastifyReply {
  return plain(reply, 'The pages of this node were not built: run `npm run build`, or install the published package.');
}

function notFound(reply: FastifyReply): FastifyReply {
  return plain(reply, 'There is no such file.');
}

function plain(reply: FastifyReply, text: string): FastifyReply {
  return reply.status(404).header('content-type', 'text/plain; charset=utf-8').send(`${text}\n`);
}
