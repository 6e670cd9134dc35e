// A hub of the tests' own: serves a folder (OWNER/NAME/...) as the Hugging Face hub serves repositories, large files by a
// redirect to a second server, and tells whichever lies a test asks for.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestCertificate } from './certificate.ts';
import type { Lie, LieKind, Told } from './hub-lies.ts';

export interface HubServerInit {
  /** Models as OWNER/NAME/FILES. Read once per model, when it is first asked for. */
  readonly folder: string;
  /** Serves https with it. */
  readonly certificate?: TestCertificate;
  /** Host in the hub's own address. @default '127.0.0.1' */
  readonly host?: string;
  /** Host in the address that large files are redirected to; must lead here. @default '127.0.0.1' */
  readonly cdnHost?: string;
  /** Files of at least this size, and all .onnx and what belongs to them, are LFS files. @default 1 MiB */
  readonly lfsBytes?: number;
  /** Only requests with this token get anything. */
  readonly token?: string;
  /** Entries on one page of a file list. @default 1000 */
  readonly pageSize?: number;
  /** Files that are not served. */
  readonly ignore?: (path: string) => boolean;
  /** Of `cardData.license`. @default 'apache-2.0' */
  readonly licence?: string;
  /** @default 'text-generation' */
  readonly task?: string;
}

/** A request that came. */
export interface HubRequest {
  readonly server: 'hub' | 'cdn';
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Hub {
  /** For HF_ENDPOINT. */
  readonly url: string;
  /** Origin that large files come from. */
  readonly cdnUrl: string;
  readonly ports: { readonly hub: number; readonly cdn: number };
  readonly requests: readonly HubRequest[];
  /** Bytes of files that went out, of both servers. */
  readonly fileBytes: number;
  lie(lie: Lie): Told;
  /** No lies any more. */
  honest(): void;
  /** The commit that `main` of a model is at. */
  commit(id: string): Promise<string>;
  close(): Promise<void>;
}

interface ServedFile {
  readonly path: string;
  readonly source: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly gitSha1: string;
  readonly lfs: boolean;
}

interface Repository {
  readonly commit: string;
  readonly files: readonly ServedFile[];
}

interface Body {
  readonly source: string;
  readonly first: number;
  readonly length: number;
}

/** Written at a time: small enough that lies about single bytes and paces are exact. */
const PIECE_BYTES = 64 << 10;

export async function startHub(init: HubServerInit): Promise<Hub> {
  const hub = new HubServer(init);
  await hub.start();
  return hub;
}

class HubServer implements Hub {
  readonly requests: HubRequest[] = [];
  fileBytes = 0;
  readonly #init: HubServerInit;
  readonly #servers: { readonly hub: Server; readonly cdn: Server };
  readonly #repositories = new Map<string, Promise<Repository | undefined>>();
  #lies: { readonly lie: Lie; told: number }[] = [];
  /** Makes addresses and ETags different each time. */
  #count = 0;

  constructor(init: HubServerInit) {
    this.#init = init;
    const serve = (server: 'hub' | 'cdn'): Server => {
      const handle = (request: IncomingMessage, response: ServerResponse): void => {
        this.#answer(server, request, response).catch((error: unknown) => response.destroy(error as Error));
      };
      return init.certificate === undefined
        ? createServer(handle)
        : createSecureServer({ ...init.certificate }, handle);
    };
    this.#servers = { hub: serve('hub'), cdn: serve('cdn') };
  }

  async start(): Promise<void> {
    for (const server of Object.values(this.#servers)) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
  }

  get ports(): { readonly hub: number; readonly cdn: number } {
    const port = (server: Server): number => (server.address() as AddressInfo).port;
    return { hub: port(this.#servers.hub), cdn: port(this.#servers.cdn) };
  }

  get url(): string {
    return `${this.#scheme}://${this.#init.host ?? '127.0.0.1'}:${this.ports.hub}`;
  }

  get cdnUrl(): string {
    return `${this.#scheme}://${this.#init.cdnHost ?? '127.0.0.1'}:${this.ports.cdn}`;
  }

  get #scheme(): string {
    return this.#init.certificate === undefined ? 'http' : 'https';
  }

  lie(lie: Lie): Told {
    const entry = { lie, told: 0 };
    this.#lies.push(entry);
    return {
      get times() {
        return entry.told;
      },
      stop: () => {
        this.#lies = this.#lies.filter((other) => other !== entry);
      },
    };
  }

  honest(): void {
    this.#lies = [];
  }

  async commit(id: string): Promise<string> {
    const repository = await this.#repository(id);
    if (repository === undefined) throw new Error(`The hub of this test has no ${id}.`);
    return repository.commit;
  }

  async close(): Promise<void> {
    for (const server of Object.values(this.#servers)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** The next lie of one of these kinds for this request; counts it as told. */
  #lieOf<K extends LieKind>(url: string, ...kinds: readonly K[]): (Lie & { readonly kind: K }) | undefined {
    const entry = this.#lies.find(
      ({ lie, told }) =>
        (kinds as readonly LieKind[]).includes(lie.kind) &&
        told < (lie.times ?? Number.POSITIVE_INFINITY) &&
        (lie.on?.test(url) ?? true),
    );
    if (entry === undefined) return undefined;
    entry.told++;
    return entry.lie as Lie & { readonly kind: K };
  }

  async #answer(server: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    this.requests.push({ server, path: url, headers: request.headers });
    if (this.#lieOf(url, 'silent')) return;
    const refusal = this.#lieOf(url, 'throttle', 'fail');
    if (refusal !== undefined) {
      const { kind, retryAfter, errorCode, status = 500 } = refusal;
      return end(response, kind === 'throttle' ? 429 : status, {
        ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
        ...(errorCode !== undefined && { 'x-error-code': errorCode }),
      });
    }
    const redirect = this.#lieOf(url, 'circle', 'hops', 'redirect');
    if (redirect !== undefined) {
      const step = `${url.split('#')[0]?.replace(/[?&]hop=\d+$/, '')}`;
      const hop = redirect.kind === 'hops' ? `hop=${++this.#count}` : url.includes('hop=1') ? '' : 'hop=1';
      const next = hop === '' ? step : `${step}${step.includes('?') ? '&' : '?'}${hop}`;
      return end(response, 302, { location: redirect.to ?? next });
    }
    const { pathname, searchParams } = new URL(url, 'http://hub');
    const path = decodeURIComponent(pathname);
    if (server === 'cdn') return this.#cdn(path, request, response);
    if (this.#init.token !== undefined && request.headers.authorization !== `Bearer ${this.#init.token}`) {
      const gated = request.headers.authorization === undefined;
      return end(response, gated ? 401 : 403, { 'x-error-code': 'GatedRepo' });
    }
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
    if (api !== null) {
      const [, id = '', what, revision = ''] = api;
      return this.#api(id, what === 'tree' ? searchParams : undefined, revision, url, response);
    }
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    if (file === null) return end(response, 404, {});
    const [, id = '', revision = '', name = ''] = file;
    return this.#resolve(id, revision, name, request, response);
  }

  async #api(
    id: string,
    tree: URLSearchParams | undefined,
    revision: string,
    url: string,
    response: ServerResponse,
  ): Promise<void> {
    const repository = await this.#repository(id);
    if (repository === undefined) return end(response, 401, { 'x-error-code': 'RepoNotFound' });
    const { commit, files } = repository;
    if (revision !== 'main' && revision !== commit) return end(response, 404, { 'x-error-code': 'RevisionNotFound' });
    const text = this.#lieOf(url, 'text')?.text;
    if (text !== undefined) return json(response, text, {});
    if (tree === undefined) {
      return json(
        response,
        JSON.stringify({
          id,
          sha: commit,
          gated: this.#init.token !== undefined && 'manual',
          pipeline_tag: this.#init.task ?? 'text-generation',
          tags: ['onnx'],
          cardData: { license: this.#init.licence ?? 'apache-2.0' },
          siblings: files.map(({ path }) => ({ rfilename: path })),
        }),
        {},
      );
    }
    const more = this.#lieOf(url, 'size') === undefined ? 0 : 1;
    const strange = this.#lieOf(url, 'path')?.path;
    const endless = this.#lieOf(url, 'endless') !== undefined;
    const from = Number(tree.get('cursor') ?? 0);
    const to = from + (this.#init.pageSize ?? 1000);
    const folders = new Set(
      files.flatMap(({ path }) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : [])),
    );
    const entries = [
      ...[...folders].map((path) => ({ type: 'directory', oid: '0'.repeat(40), size: 0, path })),
      ...files.map(({ path, sizeBytes, sha256, gitSha1, lfs }) => ({
        type: 'file',
        oid: gitSha1,
        size: sizeBytes + more,
        path,
        ...(lfs && { lfs: { oid: sha256, size: sizeBytes + more, pointerSize: 134 } }),
      })),
      ...(strange === undefined ? [] : [{ type: 'file', oid: '0'.repeat(40), size: 1, path: strange }]),
    ];
    const link = `<${this.url}/api/models/${id}/tree/${commit}?recursive=true&cursor=${endless ? this.#count++ : to}>; rel="next"`;
    const page = endless ? [] : entries.slice(from, to);
    return json(response, JSON.stringify(page), endless || to < entries.length ? { link } : {});
  }

  async #resolve(
    id: string,
    revision: string,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const url = request.url ?? '';
    const repository = await this.#repository(id);
    if (repository === undefined) return end(response, 401, { 'x-error-code': 'RepoNotFound' });
    const { commit, files } = repository;
    const file = files.find((candidate) => candidate.path === path);
    if (revision !== 'main' && revision !== commit) return end(response, 404, { 'x-error-code': 'RevisionNotFound' });
    if (file === undefined) return end(response, 404, { 'x-error-code': 'EntryNotFound' });
    const said = { 'x-repo-commit': this.#lieOf(url, 'commit') === undefined ? commit : 'f'.repeat(40) };
    if (!file.lfs) return this.#send(file, file.gitSha1, said, request, response);
    const digest = this.#lieOf(url, 'linked-etag') === undefined ? file.sha256 : 'f'.repeat(64);
    return end(response, 302, {
      ...said,
      'x-linked-etag': `"${digest}"`,
      'x-linked-size': String(file.sizeBytes),
      location: `${this.cdnUrl}/${id}/${file.sha256}?signed=${++this.#count}`,
    });
  }

  async #cdn(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, id = '', sha256] = /^\/([^/]+\/[^/]+)\/([0-9a-f]{64})$/.exec(path) ?? [];
    const file = (await this.#repository(id))?.files.find((candidate) => candidate.sha256 === sha256);
    if (file === undefined) return end(response, 404, {});
    return this.#send(file, `cdn-${file.sha256.slice(0, 32)}`, {}, request, response);
  }

  async #send(
    file: ServedFile,
    etag: string,
    headers: OutgoingHttpHeaders,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const url = request.url ?? '';
    const lie = (...kinds: readonly LieKind[]): Lie | undefined => this.#lieOf(url, ...kinds);
    const other = lie('etag', 'changed');
    const tag = other === undefined ? etag : `${etag}-${++this.#count}`;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const asked = other?.kind === 'etag' ? undefined : request.headers['if-range'];
    const partial = range !== null && (asked === undefined || asked === `"${tag}"`) && lie('whole') === undefined;
    const first = partial ? Number(range[1]) : 0;
    const last = partial ? Math.min(Number(range[2]), file.sizeBytes - 1) : file.sizeBytes - 1;
    if (partial && first >= file.sizeBytes) return end(response, 416, { 'content-range': `bytes */${file.sizeBytes}` });
    const shift = lie('range') === undefined ? 0 : 1;
    const ends = lie('short', 'long');
    const length = last - first + 1;
    response.writeHead(partial ? 206 : 200, {
      ...headers,
      'accept-ranges': 'bytes',
      ...(lie('no-etag') === undefined && { etag: `"${tag}"` }),
      ...(partial && { 'content-range': `bytes ${first + shift}-${last + shift}/${file.sizeBytes}` }),
      ...(ends === undefined && { 'content-length': length }),
      ...(lie('gzip') !== undefined && { 'content-encoding': 'gzip' }),
    });
    await this.#body({ source: file.source, first, length }, ends, response, url);
  }

  async #body(
    { source, first, length }: Body,
    ends: Lie | undefined,
    response: ServerResponse,
    url: string,
  ): Promise<void> {
    const cut = ends ?? this.#lieOf(url, 'stall', 'truncate');
    const wrong = this.#lieOf(url, 'wrong-bytes') !== undefined;
    const pace = this.#lieOf(url, 'slow')?.bytesPerSecond;
    const extra = cut?.kind === 'long' ? (cut.afterBytes ?? 1000) : 0;
    let left = cut === undefined || cut.kind === 'long' ? length : Math.min(length, cut.afterBytes ?? 1000);
    await using handle = await open(source, 'r');
    for (let at = first; left > 0 && !response.destroyed; ) {
      // A tenth of a second's worth.
      const size = Math.min(left, pace === undefined ? PIECE_BYTES : Math.max(1, Math.floor(pace / 10)));
      const piece = new Uint8Array(size);
      await handle.read(piece, 0, size, at);
      if (wrong && at === first) piece[0] = (piece[0] ?? 0) ^ 1;
      this.fileBytes += size;
      at += size;
      left -= size;
      await write(response, piece);
      if (pace !== undefined) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    if (extra > 0) await write(response, new Uint8Array(extra));
    if (cut?.kind === 'truncate') response.destroy();
    else if (cut?.kind !== 'stall') response.end();
  }

  #repository(id: string): Promise<Repository | undefined> {
    const known = this.#repositories.get(id) ?? this.#read(id);
    this.#repositories.set(id, known);
    return known;
  }

  async #read(id: string): Promise<Repository | undefined> {
    const root = join(this.#init.folder, ...id.split('/'));
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return undefined;
    const files: ServedFile[] = [];
    for (const entry of entries.filter((candidate) => candidate.isFile())) {
      const source = join(entry.parentPath, entry.name);
      const path = source.slice(root.length + 1).replaceAll('\\', '/');
      if (this.#init.ignore?.(path) === true) continue;
      const { size } = await stat(source);
      const sha256 = createHash('sha256');
      const git = createHash('sha1').update(`blob ${size}\0`);
      for await (const piece of createReadStream(source)) {
        sha256.update(piece);
        git.update(piece);
      }
      const lfs = size >= (this.#init.lfsBytes ?? 1 << 20) || /\.onnx(_data.*)?$/.test(path);
      files.push({ path, source, sizeBytes: size, sha256: sha256.digest('hex'), gitSha1: git.digest('hex'), lfs });
    }
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    const commit = createHash('sha1').update(JSON.stringify(files.map(({ path, sha256 }) => [path, sha256])));
    return { commit: commit.digest('hex'), files };
  }
}

/** Resolves once more may be written, or the other side is gone. */
function write(response: ServerResponse, piece: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed || response.write(piece)) return resolve();
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function end(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.writeHead(status, { 'content-length': 0, ...headers });
  response.end();
}

function json(response: ServerResponse, text: string, headers: OutgoingHttpHeaders): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}
