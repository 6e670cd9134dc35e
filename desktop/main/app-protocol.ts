// `app://weft`: everything that the pages can reach. Their own files, and the node's API below /api and /v1, to which the
// main process adds the key: the pages never hold it. No other host, no other path, no page of another origin.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type ErrorCode, toWeftError, WeftError } from '../../protocol/errors.ts';
import { APP_HOST, APP_ORIGIN, APP_SCHEME } from '../shared/bridge.ts';
import { PATH_LENGTH_MAX, REQUESTS_MAX } from './limits.ts';
import type { NodeLink } from './node-link.ts';
import type { UiFiles } from './ui-files.ts';

export interface AppProtocolComponents {
  readonly link: Pick<NodeLink, 'send'>;
  readonly files: UiFiles;
}

/** What of a page's headers the node is told. Above all not Origin, Cookie and Authorization. */
const TO_NODE = /^(accept|content-type|last-event-id|traceparent|x-weft-(?!csrf$)[a-z-]+)$/;

/** What of the node's headers the page is told. */
const TO_PAGE = /^(content-type|content-disposition|cache-control|retry-after|x-request-id|x-weft-[a-z-]+)$/;

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Answers to these have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Answers the requests of one app. */
export class AppProtocol {
  readonly #components: AppProtocolComponents;
  #underWay = 0;

  constructor(components: AppProtocolComponents) {
    this.#components = components;
  }

  /** Never rejects. */
  async answer(request: Request): Promise<Response> {
    try {
      const { pathname, search } = checkedUrl(request);
      if (/^\/(api|v1)\//.test(pathname)) return await this.#forward(request, pathname + search);
      if (request.method !== 'GET' && request.method !== 'HEAD') throw forbidden('Files can only be read.');
      return await this.#components.files.answer(pathname);
    } catch (error) {
      return refusal(error);
    }
  }

  async #forward(request: Request, path: string): Promise<Response> {
    if (this.#underWay >= REQUESTS_MAX) {
      throw new WeftError({ code: 'overloaded', message: 'Too many requests of the pages are under way.' });
    }
    this.#underWay += 1;
    let done = (): void => {
      this.#underWay -= 1;
      done = () => undefined;
    };
    try {
      const headers = [...request.headers].filter(([name]) => TO_NODE.test(name));
      const answer = await this.#components.link.send({
        method: request.method,
        path,
        headers: Object.fromEntries(headers),
        body: request.body ?? undefined,
        signal: request.signal,
      });
      answer.body.once('close', () => done());
      const { status } = answer;
      const init = { status, headers: pageHeaders(answer.headers) };
      if (request.method !== 'HEAD' && !BODILESS.has(status)) return new Response(streamOf(answer.body), init);
      answer.body.resume();
      return new Response(null, init);
    } catch (error) {
      done();
      throw error;
    }
  }
}

/** As it comes: an event is on its way to the page before the next one is there. Ending the stream ends the request. */
function streamOf(body: IncomingMessage): ReadableStream<Uint8Array> {
  return Readable.toWeb(body, { strategy: { highWaterMark: 0 } }) as ReadableStream<Uint8Array>;
}

function pageHeaders(headers: IncomingHttpHeaders): Headers {
  const kept = new Headers({
    'x-content-type-options': 'nosniff',
    // An answer of the API is no page, whatever it says of itself.
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
    'cache-control': 'no-store',
  });
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && TO_PAGE.test(name)) kept.set(name, value);
  }
  return kept;
}

/** @throws WeftError `forbidden` */
function checkedUrl(request: Request): URL {
  const url = URL.parse(request.url);
  if (url === null || url.protocol !== `${APP_SCHEME}:` || url.host !== APP_HOST || url.username !== '') {
    throw forbidden('Only the app itself can be reached here.');
  }
  const origin = request.headers.get('origin');
  if (origin !== null && origin !== APP_ORIGIN) throw forbidden('Only pages of the app may ask here.');
  if (!METHODS.has(request.method)) throw forbidden('This method is not known here.');
  if (url.pathname.length + url.search.length > PATH_LENGTH_MAX) throw forbidden('The address is too long.');
  if (!isPlain(url.pathname)) throw forbidden('The address is not written plainly.');
  return url;
}

/** No step upwards and nothing that could be read as one, escaped once or twice. Ids of models have escaped slashes. */
function isPlain(path: string): boolean {
  let plain = path;
  for (let times = 0; times < 3; times += 1) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\\\u0000-\u001f\u007f]/.test(plain) || plain.split('/').some((part) => part === '..' || part === '.')) {
      return false;
    }
    try {
      plain = decodeURIComponent(plain);
    } catch {
      return times > 0; // A percent sign that means itself is fine only once it was escaped.
    }
  }
  return !path.startsWith('//');
}

const OPENAI_TYPES: Partial<Record<ErrorCode, string>> = { overloaded: 'rate_limit_error' };

/** In the shape of the node's own refusals. */
function refusal(thrown: unknown): Response {
  const { status, code, message, remedy } = toWeftError(thrown);
  const type = OPENAI_TYPES[code] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  const text = code === 'internal' ? 'Something failed inside the app.' : message;
  return Response.json(
    { error: { message: text, type, param: null, code, weft_code: code, remedy, request_id: 'desktop' } },
    // 499 is for the node's own log; nobody reads an answer to a request that was given up.
    {
      status: status === 499 ? 503 : status,
      headers: { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' },
    },
  );
}

function forbidden(message: string): WeftError {
  return new WeftError({ code: 'forbidden', message, remedy: 'Open the app anew; if it stays so, report it.' });
}
