// A Hugging Face hub, or what speaks as one: which files a model has at a commit, and their bytes. Made by the composition
// root; node/library pulls with it.
import { createHash } from 'node:crypto';
import { WeftError } from '../../protocol/errors.ts';
import { type HubFile, type HubModel, nextPage, readRepository, readTree } from './answers.ts';
import { type Asked, changed, misbehaves } from './failures.ts';
import { type HubComponents, HubHttp, type HubInit } from './http.ts';
import { RemoteFile } from './remote-file.ts';

export type { HubFile, HubModel } from './answers.ts';
export type { HubComponents, HubInit } from './http.ts';

/** A file as a transfer names it: the part of node/core's ChunkedFile that is used; models may not import it. */
interface ChunkedFile {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly chunks: { readonly sizeBytes: number };
}

/** Where chunks come from, in the shape of node/core's ChunkSource. */
export interface HubSource {
  readonly kind: 'hub';
  /** The hub's host. */
  readonly name: string;
  readonly parallelMax: number;
  holdings(files: readonly ChunkedFile[], signal: AbortSignal): Promise<readonly ('all' | 'none')[]>;
  /** @throws WeftError `model_corrupt` when the hub has another file, or gives another one than it listed */
  read(
    file: ChunkedFile,
    index: number,
    options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** Longest name of a branch or tag. */
const REVISION_LENGTH_MAX = 255;

export class HubClient {
  readonly #http: HubHttp;
  readonly #endpoint: string;

  constructor(components: HubComponents, init: HubInit) {
    this.#http = new HubHttp(components, init);
    this.#endpoint = init.endpoint;
  }

  /**
   * A model at a revision, pinned to its commit.
   * @param id `owner/name`
   * @param revision a branch, a tag or a commit. @default `main`
   * @throws WeftError `model_not_found`, `hub_refused` (private, or with terms), `hub_unreachable`, `model_corrupt`; or the
   *   signal's reason
   */
  async model(id: string, revision: string | undefined, signal: AbortSignal): Promise<HubModel> {
    const http = this.#http;
    http.checkMayAsk();
    const asked: Asked = { model: id, revision: revision ?? 'main' };
    if (!/^[\w.-]{1,96}\/[\w.-]{1,96}$/.test(id) || !http.guards.path(id)) {
      throw notFound(`"${id.slice(0, 200)}" is no name of a model on a hub.`, 'Write it as OWNER/NAME.');
    }
    if (asked.revision.length > REVISION_LENGTH_MAX || !http.guards.path(asked.revision)) {
      throw notFound('This is no name of a revision.', 'Check the part behind the @.');
    }
    const api = `${this.#endpoint}/api/models/${id}`;
    const { value } = await http.json(new URL(`${api}/revision/${encodeURIComponent(asked.revision)}`), asked, signal);
    const repository = readRepository(value, id, http.host);
    const files = await this.#files(`${api}/tree/${repository.revision}`, asked, signal);
    return { ...repository, files };
  }

  /**
   * A whole small file, verified by its LFS digest or its git blob's.
   * @throws WeftError `model_corrupt` when it is not what was listed, or too large for this; otherwise as {@link model}
   */
  async bytes(model: HubModel, file: HubFile, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const http = this.#http;
    http.checkMayAsk();
    if (file.sizeBytes > http.limits.smallBytesMax)
      throw changed(http.host, file.path, 'is too large to be read whole');
    // An empty file has no bytes to ask for.
    const bytes = file.sizeBytes === 0 ? new Uint8Array(0) : await this.#file(model, file).whole({ signal });
    const [actual, wanted] =
      file.sha256 === undefined
        ? [gitDigest(bytes, file.gitSha1.length === 64 ? 'sha256' : 'sha1'), file.gitSha1]
        : [createHash('sha256').update(bytes).digest('hex'), file.sha256];
    if (!http.guards.digest(actual, wanted))
      throw changed(http.host, file.path, 'is not what the hub lists: its digest differs');
    return bytes;
  }

  /** This model's LFS files as chunks. Files are named by their sha256; the bytes are not verified here. */
  source(model: HubModel): HubSource {
    const http = this.#http;
    const listed = new Map<string, HubFile>();
    for (const file of model.files) if (file.sha256 !== undefined) listed.set(file.sha256, file);
    const find = ({ sha256, sizeBytes }: ChunkedFile): HubFile | undefined => {
      const file = listed.get(sha256);
      return file?.sizeBytes === sizeBytes ? file : undefined;
    };
    const open = new Map<string, RemoteFile>();
    return {
      kind: 'hub',
      name: http.host,
      parallelMax: http.limits.parallelMax,
      holdings: async (files) => files.map((file) => (find(file) === undefined ? 'none' : 'all')),
      read: async (chunked, index, options) => {
        http.checkMayAsk();
        options.signal.throwIfAborted();
        const file = find(chunked);
        if (file === undefined) throw changed(http.host, chunked.sha256, 'is not there');
        const remote = open.get(chunked.sha256) ?? this.#file(model, file);
        open.set(chunked.sha256, remote);
        const offset = index * chunked.chunks.sizeBytes;
        return remote.range(offset, Math.min(chunked.chunks.sizeBytes, file.sizeBytes - offset), options);
      },
    };
  }

  /** Ends every request under way; none is made any more. */
  async close(): Promise<void> {
    await this.#http.close();
  }

  async #files(tree: string, asked: Asked, signal: AbortSignal): Promise<HubFile[]> {
    const http = this.#http;
    const { filesMax, pagesMax } = http.limits;
    const files = new Map<string, HubFile>();
    let query: string | undefined = '?recursive=true';
    for (let page = 0; query !== undefined; page++) {
      if (page >= pagesMax) throw misbehaves(http.host, 'lists files without end');
      const { value, headers } = await http.json(new URL(tree + query), asked, signal);
      for (const file of readTree(value, http.host, http.guards.path)) {
        if (files.has(file.path)) throw misbehaves(http.host, 'lists a file twice');
        files.set(file.path, file);
      }
      if (files.size > filesMax) throw misbehaves(http.host, `lists more than ${filesMax} files`);
      query = nextPage(headers);
    }
    return [...files.values()];
  }

  #file({ id, revision }: HubModel, { path, sizeBytes, sha256 }: HubFile): RemoteFile {
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    const url = new URL(`${this.#endpoint}/${id}/resolve/${revision}/${encoded}`);
    return new RemoteFile(this.#http, { url, model: id, commit: revision, path, sizeBytes, sha256 });
  }
}

const notFound = (message: string, remedy: string): WeftError =>
  new WeftError({ code: 'model_not_found', message, remedy });

/** The id that git gives a file. */
function gitDigest(bytes: Uint8Array, algorithm: 'sha1' | 'sha256'): string {
  return createHash(algorithm).update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex');
}
